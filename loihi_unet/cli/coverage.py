# SPDX-License-Identifier: BSD-3-Clause
"""What a run exercised, printed; and ``verify --stimulus``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loihi_unet.cli.console import out, print_json, print_table, progress

if TYPE_CHECKING:
    from loihi_unet.runs.exercise_network import Exercised

#: Channels that are named, of one layer.
NAMED = 8


def coverage_line(coverage: Mapping[str, Any]) -> str:
    """One line for people.

    Parameters
    ----------
    coverage : Mapping[str, Any]
        `CoverageReport.to_json`, or the reason why it was not counted.
    """
    from sim.coverage.report import Share
    from sim.coverage.rerun import NOT_COUNTED

    if NOT_COUNTED in coverage:
        return f"coverage not counted: {coverage[NOT_COUNTED]}"
    parts = [
        f"{what} {Share(**coverage[what])}"
        if coverage[what]
        else f"{what} of stock neurons are not counted"
        for what in ("weights", "biases", "thresholds")
    ]
    return f"had a say: {', '.join(parts)}"


def print_silent(coverage: Mapping[str, Any]) -> None:
    """Print which channels never fired, with their share of the weights."""
    from sim.coverage.report import Share

    apart = coverage["out_of_reach"]
    if apart:
        out.print(
            f"{apart:,} weights meet nothing at this size, whatever the picture: they "
            "read the padding alone, or are cut away",
            soft_wrap=True,
        )
    if not coverage["silent"] and not apart:
        return
    if coverage["silent"]:
        _print_channels(coverage)
    firing = Share(**coverage["weights_of_firing"])
    what = "of the weights whose source channel fired"
    out.print(f"{what}{', without those' if apart else ''}: {firing}", soft_wrap=True)


def _print_channels(coverage: Mapping[str, Any]) -> None:
    total = coverage["weights"]["total"]
    rows = [
        [
            source["source"],
            f"{len(source['channels'])} of {source['of']}",
            _named(source["channels"]),
            source["weights"],
            f"{100 * source['weights'] / total:.2f} %",
        ]
        for source in coverage["silent"]
    ]
    columns = ["source", "never fired", "channels", "weights that read them", "share"]
    print_table("", columns, rows)


def _named(channels: list[int]) -> str:
    named = ", ".join(str(channel) for channel in channels[:NAMED])
    return named + (", .." if len(channels) > NAMED else "")


def verify_stimulus(
    network: Path,
    backends: tuple[str, str],
    *,
    size: tuple[int, int] | None,
    count: int | None,
    seed: int,
    report: Path | None,
    as_json: bool,
) -> int:
    """Run made pictures through two backends; print, and return the exit code."""
    from loihi_unet.runs.exercise_network import exercise_network

    with progress(quiet=as_json) as bar:
        exercised = exercise_network(
            network, backends, size=size, count=count, seed=seed, progress=bar
        )
    if report is not None:
        _report(report, exercised, backends)
    if as_json:
        print_json(_record(exercised))
    else:
        _print(exercised, backends)
        if report is not None:
            out.print(f"report in {report / 'report.html'}", soft_wrap=True)
    return 0 if exercised.exercise.identical else 1


def _record(exercised: Exercised) -> dict[str, Any]:
    from loihi_unet.runs.hashes import hashes

    return exercised.exercise.to_json() | hashes(exercised.network)


def _print(exercised: Exercised, backends: tuple[str, str]) -> None:
    from loihi_unet.cli.verdict import print_comparison

    result = exercised.exercise
    different = [o for o in result.overflows if not o.same]
    for overflow in different:
        places = [
            "ran through" if place is None else f"layer '{place[0]}', step {place[1]}"
            for place in (overflow.left, overflow.right)
        ]
        out.print(
            f"{overflow.picture}: {backends[0]} {places[0]}; {backends[1]} {places[1]}",
            soft_wrap=True,
            markup=False,
        )
    if result.comparison is not None:
        print_comparison(result.comparison, [p.name for p in result.pictures])
    if different:
        out.print(f"[red]FAIL[/]  {len(different)} pictures overflow at other places")
    elif result.overflows:
        out.print(f"{len(result.overflows)} pictures overflow, at the same places")
    if result.comparison is None:
        out.print("[red]FAIL[/]  every picture overflows: no payload was compared")
    coverage = result.coverage.to_json()
    out.print(coverage_line(coverage), soft_wrap=True)
    print_silent(coverage)
    flips = result.flips
    if flips is not None:
        out.print(
            f"flipped bits: {flips.noticed:,} of {flips.total:,} change what a picture "
            f"makes a layer send, {flips.proved:,} are proved to change nothing, "
            f"{len(flips.left):,} are left",
            soft_wrap=True,
        )


def _report(folder: Path, exercised: Exercised, backends: tuple[str, str]) -> None:
    """Report on the first picture that differs, or on the first."""
    from loihi_unet.errors import DataError
    from loihi_unet.report.verify import write_report
    from loihi_unet.runs.verify_set import compare_recorded
    from sim.backend import create

    exercise = exercised.exercise
    to_show = exercise.to_show
    if to_show is None:
        raise DataError("report: every picture overflows, there is nothing to show")
    left, right = (
        create(name).run(exercised.network, to_show.levels[None]) for name in backends
    )
    network = exercised.network
    comparison = compare_recorded(network, left, right)
    whole = None
    if exercise.comparison is not None:
        height, width = to_show.levels.shape[-2:]
        whole = exercise.to_json() | {
            "sizes": [[exercise.comparison.images, height, width]],
            "shown": to_show.name,
        }
        if any(not overflow.same for overflow in exercise.overflows):
            whole["reasons"] = ["pictures overflow at other places"]
    write_report(folder, comparison, left, right, network, whole)
