# SPDX-License-Identifier: BSD-3-Clause
"""``fit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from export.mapping import MappingName
from loihi_unet.cli.console import (
    SYSTEMS,
    JsonOption,
    NetworkArgument,
    open_network,
    out,
    print_json,
    print_table,
)
from loihi_unet.cli.stock_options import with_stock_options

if TYPE_CHECKING:
    from export.netx import StockOptions


@with_stock_options
def fit(
    network_path: NetworkArgument,
    chip: Annotated[
        Literal["loihi1", "loihi2"], typer.Option(help="Which generation.")
    ] = "loihi2",
    system: Annotated[
        str | None,
        typer.Option(help=f"{SYSTEMS}; default: any."),
    ] = None,
    mapping: Annotated[
        MappingName | None,
        typer.Option(help="Neurons on compartments; default: the network's own."),
    ] = None,
    recording_path: Annotated[
        Path | None,
        typer.Option("--recording", help="Recording (.h5) to count operations from."),
    ] = None,
    as_json: JsonOption = False,
    stock: StockOptions | None = None,
) -> None:
    """Check a network against a chip's limits and put it on cores.

    Exit code 0 if it fits, else 1. Without --system it also says which of the chip's
    systems hold the network, and up to which picture. docs/fit.md says where each
    number comes from.

    Example: loihi-unet fit network.net --chip loihi2 --system kapoho-point
    """
    from dataclasses import asdict

    from export.fit import boards as run_boards
    from export.fit import fit as run_fit
    from export.fit import fit_tables
    from export.fit.tables import board_table
    from loihi_unet.report.chip_tables import mapping_of
    from loihi_unet.runs.hashes import hash_line, hashes, size_note

    network = open_network(network_path, stock)
    activity, note = None, ""
    if recording_path is not None:
        from sim.recording_file import read_recording
        from sim.statistics import activity as count

        recording = read_recording(recording_path)
        file = network
        network = network.as_ran(recording.num_steps, recording.images.shape[1:])
        note = size_note(file, [(network.input.shape[1], network.input.shape[2])])
        activity = count(network, recording)
    report = run_fit(
        network,
        chip=chip,
        system=system,
        mapping=mapping or mapping_of(network),
        activity=activity,
    )
    # Stock networks are of the size they were trained for.
    told = system is None and network.in_windows
    boards = run_boards(network, report) if told else ()
    if as_json:
        held = [asdict(board) for board in boards]
        print_json(report.to_json() | {"boards": held, "note": note})
    else:
        if note:
            out.print(note, soft_wrap=True)
        height, width = network.input.shape[1:]
        for part in fit_tables(report):
            print_table(part.title, part.columns, part.rows)
        if boards:
            table = board_table(boards)
            print_table(table.title, table.columns, table.rows)
        out.print(hash_line(hashes(network), (height, width)), soft_wrap=True)
    raise typer.Exit(0 if report.fits else 1)
