# SPDX-License-Identifier: BSD-3-Clause
"""``verify`` and ``report``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loihi_unet.cli.console import (
    JsonOption,
    ReportOption,
    SchedulerOption,
    SeedOption,
    WorkersOption,
    backend_names,
    out,
    print_json,
    print_table,
    progress,
    say_shipped,
)
from loihi_unet.cli.network import parse_size

if TYPE_CHECKING:
    from loihi_unet.runs.verify_set import SetComparison
    from sim.verify.comparison import Comparison


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
            help="Twice: the machines to compare on every picture.",
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
    report: ReportOption = None,
    network: Annotated[
        Path | None,
        typer.Option(
            help="Network that was recorded (file or shipped name); tells potentials."
        ),
    ] = None,
    scheduler: SchedulerOption = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare integer by integer; exit code 0 if EXACT, else 1.

    Example: loihi-unet verify torch.h5 chip.h5 --report runs/report --network a.net

    Two machines on every picture of a folder, on all cores or a Dask cluster:
    loihi-unet verify a.net Set12 --backend torch --backend lava --crop 64x64
    """
    if backend is None:
        if (sigma, seed, crop, scheduler, workers) != (0.0, 0, None, None, None):
            raise typer.BadParameter(
                "--sigma, --seed, --crop, --scheduler and --workers are for pictures: "
                "name two machines with --backend"
            )
        if right is None:
            raise typer.BadParameter("a second recording is needed, or --backend twice")
        comparison = _recordings(left, right, report, network)
        record, pictures = comparison.to_json(), None
    else:
        if len(backend) != 2 or network is not None:
            raise typer.BadParameter(
                "with pictures, --backend is needed twice and --network not at all"
            )
        from loihi_unet.runs.frames import Conditions
        from loihi_unet.runs.verify_set import verify_set

        say_shipped(left)
        size = parse_size(crop) if crop else None
        with progress(quiet=as_json) as bar:
            over_set = verify_set(
                left,
                right,
                (backend[0], backend[1]),
                Conditions(sigma=sigma, seed=seed, crop=size),
                scheduler=scheduler,
                workers=workers,
                progress=bar(f"{' and '.join(backend)}, pictures"),
            )
        comparison, record = over_set.comparison, over_set.to_json()
        pictures = record["pictures"]
        if report is not None:
            _report_picture(report, over_set)
    if as_json:
        print_json(record)
    else:
        print_comparison(comparison, pictures)
        if report is not None:
            out.print(f"report in {report / 'report.html'}", soft_wrap=True)
    raise typer.Exit(0 if comparison.identical else 1)


def _recordings(
    left: Path, right: Path, report: Path | None, network: Path | None
) -> Comparison:
    from sim.recording_file import read_recording
    from sim.verify.comparison import compare

    a, b = read_recording(left), read_recording(right)
    comparison = compare(a, b)
    if report is not None:
        from loihi_unet.report.verify import write_report

        write_report(report, comparison, a, b, network)
    return comparison


def _report_picture(report: Path, over_set: SetComparison) -> None:
    """Report on the first picture that differs, or on the first."""
    from loihi_unet.report.verify import write_report
    from loihi_unet.runs.verify_set import record_both
    from sim.verify.comparison import compare

    job = over_set.telling
    a, b = record_both(job)
    write_report(report, compare(a, b), a, b, job.machines.network)


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


def print_comparison(
    comparison: Comparison, pictures: Sequence[str] | None = None
) -> None:
    """Print a verdict: a table of the layers that differ, and the last word.

    Images are called by their names, if ``pictures`` has these, else by number.
    """
    bad = [layer for layer in comparison.layers if layer.mismatches]
    if bad:
        rows = []
        for layer in bad:
            first = layer.first
            assert first is not None  # a layer with mismatches has a first one
            image = pictures[first.image] if pictures else f"image {first.image}"
            where = f"{image}, step {first.step}"
            place = f"({first.c}, {first.y}, {first.x})"
            counts = (layer.name, layer.compared, layer.mismatches)
            rows.append([*counts, where, place, first.left, first.right])
        columns = ["layer", "compared", "mismatches", "first", "(c, y, x)"]
        print_table("", [*columns, comparison.left, comparison.right], rows)
    if not comparison.same_network:
        out.print("the recordings are of different networks (sha256)")
    verdict = "[green]EXACT[/]" if comparison.identical else "[red]FAIL[/]"
    out.print(
        f"{verdict}  {comparison.left} = {comparison.right}: "
        f"{comparison.mismatches:,} mismatches in {comparison.compared:,} values, "
        f"{len(comparison.layers)} layers, {comparison.images} image(s), "
        f"{comparison.steps} steps"
        if comparison.identical
        else f"{verdict}  {comparison.left} != {comparison.right}: "
        f"{comparison.mismatches:,} mismatches in {comparison.compared:,} values"
    )
