# SPDX-License-Identifier: BSD-3-Clause
"""A verdict for people: the layers that differ, and the last word in one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from loihi_unet.cli.console import out, print_table
from loihi_unet.plural import counted

if TYPE_CHECKING:
    from sim.verify.comparison import Comparison


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
    colour = {"EXACT": "green", "PARTIAL": "yellow", "FAIL": "red"}
    verdict = comparison.verdict
    # One line, however narrow the terminal is.
    out.print(
        f"[{colour[verdict]}]{verdict}[/]  {escape(sentence(comparison))}",
        soft_wrap=True,
    )
    for cause in comparison.causes:
        out.print(f"diagnosis: {cause}", soft_wrap=True, markup=False)


def sentence(comparison: Comparison) -> str:
    """What was compared and what came out, all in one line."""
    sign = "!=" if comparison.verdict == "FAIL" else "="
    parts = [f"{comparison.left} {sign} {comparison.right}: "]
    parts[0] += "; ".join(comparison.reasons)
    if comparison.compared:
        differ = (
            "1 mismatch"
            if comparison.mismatches == 1
            else f"{comparison.mismatches:,} mismatches"
        )
        counts = f"{differ} in {counted(comparison.compared, 'value')}"
        if comparison.verdict != "FAIL":
            counts += (
                f", {counted(len(comparison.layers), 'layer')}, "
                f"{counted(comparison.images, 'image')}, "
                f"{counted(comparison.steps, 'step')}"
            )
        parts[0] += f"; {counts}" if comparison.reasons else counts
        if comparison.not_compared:
            parts.append("not compared: " + ", ".join(comparison.not_compared))
    return "; ".join(parts)
