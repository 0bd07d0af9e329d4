# SPDX-License-Identifier: BSD-3-Clause
"""``reproduce``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from loihi_unet.cli.console import JsonOption, out, print_json, progress


def reproduce(
    target: Annotated[
        Literal["table1", "table2", "table3", "table4", "table5", "figure3", "spiden"],
        typer.Argument(metavar="TARGET", help="table1 .. table5, figure3 or spiden."),
    ],
    scale: Annotated[
        Literal["laptop", "paper"],
        typer.Option(help="Small models on few pictures, or 64 channels on a GPU."),
    ] = "laptop",
    data_root: Annotated[
        Path, typer.Option(help="Folder that holds BSDS500-train, Set12, DRIVE ...")
    ] = Path("."),
    folder: Annotated[
        Path, typer.Option("--out", help="Folder for results and what they need.")
    ] = Path("runs/reproduce"),
    as_json: JsonOption = False,
) -> None:
    """Measure a table or figure of arXiv 2307.10974, or SPIDEN's, with own networks.

    What was measured before is not measured again; a run that was stopped goes on.

    Example: loihi-unet reproduce figure3 --data-root data
    """
    from loihi_unet.reproduce import reproduce as run
    from loihi_unet.reproduce.scales import SCALES

    command = shlex.join(["loihi-unet", *sys.argv[1:]])
    with progress(quiet=as_json) as bar:
        record = run(
            target,
            SCALES[scale],
            data_root,
            folder,
            command=command,
            progress=bar(f"{target}, rows"),
        )
    if as_json:
        print_json(record)
        return
    stem = target if scale == "laptop" else f"{target}-{scale}"
    page = folder / f"{stem}.md"
    out.print(page.read_text(encoding="utf-8"), markup=False, soft_wrap=True)
    out.print(f"written to {page}", soft_wrap=True)
