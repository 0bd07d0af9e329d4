# SPDX-License-Identifier: BSD-3-Clause
"""``verify`` and ``report``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from loihi_unet.cli.console import (
    BACKENDS,
    JsonOption,
    ReportOption,
    SchedulerOption,
    SeedOption,
    WhiteLevelOption,
    WorkersOption,
    backend_names,
    open_network,
    out,
    print_json,
    print_white_levels,
    progress,
    say_shipped,
)
from loihi_unet.cli.coverage import coverage_line
from loihi_unet.cli.network import parse_size
from loihi_unet.cli.stock_options import with_stock_options
from loihi_unet.cli.verdict import print_comparison

if TYPE_CHECKING:
    from export.netx import StockOptions
    from loihi_unet.runs.frames import Conditions
    from loihi_unet.runs.verify_set import SetComparison
    from sim.verify.comparison import Comparison


@with_stock_options
def verify(
    left: Annotated[
        Path, typer.Argument(help="Recording (.h5); with --backend, a network.")
    ],
    right: Annotated[
        Path | None,
        typer.Argument(
            help="Recording (.h5) to compare with; with --backend, a folder of "
            "pictures or one (default: scikit-image's)."
        ),
    ] = None,
    backend: Annotated[
        list[str] | None,
        typer.Option(
            help="Twice, the backends to compare on every picture: " + BACKENDS + ".",
            autocompletion=backend_names,
        ),
    ] = None,
    sigma: Annotated[
        float, typer.Option(help="With --backend: noise in gray levels.", min=0)
    ] = 0.0,
    seed: SeedOption = 0,
    crop: Annotated[
        str | None,
        typer.Option(help="With --backend: HEIGHTxWIDTH from the middle."),
    ] = None,
    white_level: WhiteLevelOption = None,
    report: ReportOption = None,
    network: Annotated[
        Path | None,
        typer.Option(
            help="Network that was recorded (file or shipped name): tells what there "
            "is to compare, potentials and causes. Recordings of another are refused."
        ),
    ] = None,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="PARTIAL is wanted: exit code 0 for it."),
    ] = False,
    stimulus: Annotated[
        bool,
        typer.Option(
            "--stimulus",
            help="With --backend: pictures that are made to exercise the network.",
        ),
    ] = False,
    count: Annotated[
        int | None,
        typer.Option(
            help="With --stimulus: how many; default: until coverage no longer grows.",
            min=1,
        ),
    ] = None,
    scheduler: SchedulerOption = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
    stock: StockOptions | None = None,
) -> None:
    """Compare integer by integer; exit code 0 if EXACT, else 1.

    EXACT: every layer, step, image and the output were compared. PARTIAL: nothing
    differs, but not all was compared; the line says what.

    Example: loihi-unet verify torch.h5 chip.h5 --report runs/report --network a.net

    Two backends on every picture of a folder, on all cores or a Dask cluster:
    loihi-unet verify a.net Set12 --backend torch --backend lava --crop 64x64

    A network of stock neurons on one .npy array (docs/netx_stock.md):
    loihi-unet verify lava-dl.net spikes.npy --backend torch --backend lava

    On pictures that are made until as many weights as possible have had a say:
    loihi-unet verify a.net --stimulus --backend torch --backend lava
    """
    if stimulus:
        if backend is None or len(backend) != 2:
            raise typer.BadParameter("--stimulus needs --backend twice")
        if (right, network, sigma, scheduler, workers) != (None, None, 0.0, None, None):
            raise typer.BadParameter(
                "--stimulus makes the pictures, here: no folder, --network, --sigma, "
                "--scheduler or --workers"
            )
        from loihi_unet.cli.coverage import verify_stimulus

        code = verify_stimulus(
            left,
            (backend[0], backend[1]),
            size=parse_size(crop) if crop else None,
            count=count,
            seed=seed,
            report=report,
            as_json=as_json,
        )
        raise typer.Exit(code)
    if count is not None:
        raise typer.BadParameter("--count is for --stimulus")
    if backend is None:
        given = (sigma, seed, crop, white_level, scheduler, workers)
        if given != (0.0, 0, None, None, None, None):
            raise typer.BadParameter(
                "--sigma, --seed, --crop, --white-level, --scheduler and --workers are "
                "for pictures: name two backends with --backend"
            )
        if right is None:
            raise typer.BadParameter("a second recording is needed, or --backend twice")
        if stock is not None and network is None:
            raise typer.BadParameter("netx's arguments are for a network, none is read")
        outcome = _verify_recordings(left, right, report, network, stock)
    elif len(backend) != 2 or network is not None:
        raise typer.BadParameter(
            "with pictures, --backend is needed twice and --network not at all"
        )
    elif right is not None and right.suffix == ".npy":
        given = (sigma, seed, crop, white_level, scheduler, workers)
        if given != (0.0, 0, None, None, None, None):
            raise typer.BadParameter(
                "--sigma, --seed, --crop, --white-level, --scheduler and --workers are "
                "for pictures"
            )
        outcome = _verify_arrays(left, right, (backend[0], backend[1]), report, stock)
    else:
        if stock is not None:
            raise typer.BadParameter("netx's arguments need a .npy array to run on")
        from loihi_unet.runs.frames import Conditions

        say_shipped(left)
        conditions = Conditions(
            sigma=sigma, seed=seed, crop=parse_size(crop) if crop else None
        )
        outcome = _verify_pictures(
            left,
            right,
            (backend[0], backend[1]),
            conditions,
            report=report,
            scheduler=scheduler,
            workers=workers,
            white_level=white_level,
            quiet=as_json,
        )
    if as_json:
        print_json(outcome.record)
    else:
        print_comparison(outcome.comparison, outcome.pictures)
        print_white_levels(outcome.record.get("white_levels", ()))
        for line in outcome.lines:
            out.print(line, soft_wrap=True, markup=False)
        if report is not None:
            out.print(f"report in {report / 'report.html'}", soft_wrap=True)
    wanted = ("EXACT", "PARTIAL") if partial else ("EXACT",)
    raise typer.Exit(0 if outcome.comparison.verdict in wanted else 1)


class _Found(NamedTuple):
    """A verdict, what --json prints, names of pictures, and lines that follow it."""

    comparison: Comparison
    record: dict[str, Any]
    pictures: Sequence[str] | None
    lines: list[str]


def _verify_arrays(
    network_path: Path,
    values: Path,
    backends: tuple[str, str],
    report: Path | None,
    stock: StockOptions | None,
) -> _Found:
    """Two backends on one array."""
    from export.stock_network import StockNetwork
    from loihi_unet.errors import DataError
    from loihi_unet.runs.simulate_arrays import record_both
    from sim.verify.comparison import compare
    from sim.verify.scope import at_size

    network = open_network(network_path, stock)
    if not isinstance(network, StockNetwork):
        raise DataError(f"{values}: this network takes pictures, not arrays")
    a, b = record_both(network, values, backends)
    sized = at_size(network, a)
    comparison = compare(a, b, sized)
    if report is not None:
        from loihi_unet.report.verify import write_report

        write_report(report, comparison, a, b, sized)
    return _Found(comparison, comparison.to_json(), None, [])


def _verify_recordings(
    left: Path,
    right: Path,
    report: Path | None,
    network: Path | None,
    stock: StockOptions | None,
) -> _Found:
    from loihi_unet.runs.hashes import hash_line
    from loihi_unet.runs.verify_recordings import verify_recordings

    verified = verify_recordings(left, right, network, stock)
    record = verified.to_json()
    height, width = verified.left.images.shape[-2:]
    lines = [verified.note, hash_line(record, (height, width))]
    if verified.network is not None:
        from sim.coverage.rerun import rerun

        record["coverage"] = rerun(verified.network, verified.left)
        lines.append(coverage_line(record["coverage"]))
    if report is not None:
        from loihi_unet.report.verify import proven, write_report

        a, b, coverage = verified.left, verified.right, record.get("coverage")
        whole = proven(verified.comparison, a, coverage)
        write_report(report, verified.comparison, a, b, verified.network, whole)
    return _Found(verified.comparison, record, None, [line for line in lines if line])


def _verify_pictures(
    network: Path,
    data: Path | None,
    backends: tuple[str, str],
    conditions: Conditions,
    *,
    report: Path | None,
    scheduler: str | None,
    workers: int | None,
    white_level: int | None,
    quiet: bool,
) -> _Found:
    from loihi_unet.runs.hashes import hash_line
    from loihi_unet.runs.verify_set import verify_set

    with progress(quiet=quiet) as bar:
        verified = verify_set(
            network,
            data,
            backends,
            conditions,
            scheduler=scheduler,
            workers=workers,
            white_level=white_level,
            progress=bar(f"{' and '.join(backends)}, pictures"),
        )
    if report is not None:
        _report_picture(report, verified)
    record = verified.to_json()
    coverage = coverage_line(record["coverage"])
    lines = [verified.note, hash_line(record, verified.file_size), coverage]
    return _Found(
        verified.comparison,
        record,
        record["pictures"],
        [line for line in lines if line],
    )


def _report_picture(report: Path, over_set: SetComparison) -> None:
    """Report on the first picture that differs, or on the first."""
    from loihi_unet.report.verify import write_report
    from loihi_unet.runs.verify_set import compare_recorded, record_both

    job = over_set.to_show
    network, a, b = record_both(job)
    whole = over_set.to_json() | {"sizes": over_set.sizes, "shown": job.picture.name}
    write_report(report, compare_recorded(network, a, b), a, b, network, whole)


def report(
    source: Annotated[Path, typer.Argument(help="report.json or its folder.")],
    path: Annotated[
        Path | None,
        typer.Option("--out", help="HTML file; default: report.html beside it."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Render a report.json as one HTML file that needs nothing else.

    Example: loihi-unet report runs/demo --out demo.html
    """
    from loihi_unet.report import render_report

    written = render_report(source, path)
    if as_json:
        print_json({"out": str(written)})
    else:
        out.print(f"wrote {written}", soft_wrap=True)
