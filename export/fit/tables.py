# SPDX-License-Identifier: BSD-3-Clause
"""A fit report as plain rows, for a terminal or a document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from export.fit.boards import Board
from export.fit.report import FitReport, LayerFit

Cell = str | int | float


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under named columns.

    Parameters
    ----------
    title : str
        What the table shows.
    columns : tuple of str
        Names.
    rows : tuple of tuple
        One cell per column.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def fit_tables(report: FitReport) -> tuple[Table, ...]:
    """Summary, layers, what does not fit, energy and suggestions; empty ones left out.

    Parameters
    ----------
    report : FitReport
        What `export.fit.fit` returned.

    Returns
    -------
    tuple of Table
        In reading order.
    """
    letters = _letters(report)
    tables = (
        Table(title="summary", columns=("what", "value"), rows=tuple(_summary(report))),
        Table(
            title="layers",
            columns=(
                "layer",
                "compartments",
                "synapses",
                "axons",
                "cores",
                "tile CxHxW",
                "most used",
                "extrapolated",
            ),
            rows=tuple(_layer(layer, letters) for layer in report.layers),
        ),
        Table(
            title="extrapolated beyond what was ever measured or printed",
            columns=("", "what"),
            rows=tuple((letter, what) for what, letter in letters.items()),
        ),
        Table(
            title="does not fit",
            columns=("error",),
            rows=tuple((line,) for line in report.errors),
        ),
        Table(
            title="worst cases that images need not reach",
            columns=("warning",),
            rows=tuple((line,) for line in report.warnings),
        ),
        Table(
            title="energy of one image",
            columns=("what", "count", "low, mJ", "high, mJ", "source"),
            rows=_energy(report),
        ),
        Table(
            title="what fits this system",
            columns=("change", "cores", "chips"),
            rows=tuple((s.change, s.cores, s.chips) for s in report.suggestions),
        ),
        Table(
            title="notes",
            columns=("note",),
            rows=tuple((line,) for line in _notes(report)),
        ),
    )
    return tuple(table for table in tables if table.rows)


def board_table(boards: Sequence[Board]) -> Table:
    """Return which systems hold a network, and up to which picture.

    Parameters
    ----------
    boards : sequence of Board
        As `export.fit.boards` returned.
    """
    return Table(
        title="what fits where",
        columns=("system", "chips", "this size", "largest picture", "cores, chips"),
        rows=tuple(
            (
                board.system,
                board.chips,
                "yes" if board.fits else "no",
                "none" if board.largest is None else "x".join(map(str, board.largest)),
                ""
                if board.largest is None
                else f"{_count(board.needed_cores)}, {_count(board.needed_chips)}",
            )
            for board in boards
        ),
    )


def _summary(report: FitReport) -> list[tuple[Cell, ...]]:
    timing = report.timing
    slow, fast = timing.images_per_second
    rows: list[tuple[Cell, ...]] = [
        ("fits", "yes" if report.fits else "no"),
        ("chip, mapping", f"{report.chip}, {report.mapping}"),
        (
            "system",
            f"{report.system} ({report.system_chips} chips)"
            if report.system
            else "none is large enough",
        ),
        ("cores, chips", f"{_count(report.cores)}, {_count(report.chips)}"),
        *((name, _count(value)) for name, value in report.totals.items()),
        (
            "steps per image, latency",
            f"{timing.steps_per_image}, {timing.latency_steps}",
        ),
        ("step, us", f"{timing.step_low * 1e6:.3g}..{timing.step_high * 1e6:.3g}"),
        ("images per second", f"{slow:.3g}..{fast:.3g}"),
    ]
    binding = report.binding_layer
    if binding and binding.binding:
        use = binding.binding
        rows.append(
            (
                "layer that binds",
                f"{binding.name}: {binding.cores} cores, {use.resource} "
                f"{use.share:.0%}",
            )
        )
    if report.traffic:
        traffic = report.traffic
        rows += [
            ("effective synaptic operations", round(traffic.effective_synops)),
            ("dense synaptic operations", round(traffic.dense_synops)),
            ("executed with this mapping", round(sum(traffic.synops.values()))),
            ("spikes emitted", round(sum(traffic.spikes.values()))),
        ]
    if report.headroom:
        headroom = report.headroom
        rows.append(
            (
                "nearest to overflow in the recording",
                f"{headroom.layer}: {headroom.minimum:,}..{headroom.maximum:,}, "
                f"{headroom.bits:.1f} bits left",
            )
        )
    return rows


def _count(value: int | None) -> str:
    return "none" if value is None else f"{value:,}"


def _letters(report: FitReport) -> dict[str, str]:
    """A letter for each thing extrapolated, in order of appearance."""
    extrapolated = dict.fromkeys(
        x for layer in report.layers for x in layer.extrapolated
    )
    return dict(zip(extrapolated, "abcdefghijklmnopqrstuvwxyz", strict=False))


def _layer(layer: LayerFit, letters: dict[str, str]) -> tuple[Cell, ...]:
    use = layer.binding
    return (
        layer.name,
        layer.compartments,
        layer.synapses,
        _count(layer.axons),
        "none" if layer.cores is None else layer.cores,
        "x".join(map(str, layer.tile)) if layer.tile else "",
        f"{use.resource} {use.share:.0%}" if use else "",
        " ".join(letters[what] for what in layer.extrapolated),
    )


def _energy(report: FitReport) -> tuple[tuple[Cell, ...], ...]:
    energy, traffic = report.energy, report.traffic
    if energy is None or traffic is None:
        return ()
    rows: list[tuple[Cell, ...]] = [
        (t.what, round(t.count), t.low * 1e3, t.high * 1e3, t.source)
        for t in energy.terms
    ]
    if energy.terms:
        rows.append(("all", "", energy.low * 1e3, energy.high * 1e3, ""))
    paper = (
        ("paper: emitted spikes", traffic.threshold_spikes, energy.paper_snn),
        ("the same with fan-out", traffic.threshold_synops, energy.paper_snn_synops),
        ("paper: ANN", traffic.macs, energy.paper_ann),
    )
    rows += [
        (what, round(count), joules * 1e3, joules * 1e3, "arXiv 2307.10974, eq. 13")
        for what, count, joules in paper
    ]
    return tuple(rows)


def _notes(report: FitReport) -> list[str]:
    notes = [*report.notes, report.timing.note]
    if report.energy:
        notes += [report.energy.note, report.energy.paper_note]
    return notes
