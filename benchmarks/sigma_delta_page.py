# SPDX-License-Identifier: BSD-3-Clause
"""Figure and table of what `sigma_delta` measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

JSON = Path("docs/sigma-delta.json")
PAGE = Path("docs/sigma-delta.md")
#: Of kinds of noise, and of the last column.
LABELS = {"none": "no noise", "fixed": "fixed noise", "fresh": "fresh noise"}
COST = "million operations"


def draw(path: Path) -> None:
    """Quality of later frames against operations of a frame, of the whole record."""
    from matplotlib.figure import Figure

    record = json.loads(JSON.read_text())
    panels = {f"noise: {kind}": rows for kind, rows in record.get("video", {}).items()}
    if "segment" in record:
        panels["segmentation"] = record["segment"]
    figure = Figure(figsize=(3.4 * len(panels), 3.2), layout="constrained")
    drawn = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, rows) in zip(drawn, panels.items(), strict=True):
        curve = [row for row in rows if row["network"] == "sigma-delta"]
        axes.plot([_million(row) for row in curve], [*map(_quality, curve)], "o-")
        for row in rows:
            if row["network"].startswith("windows"):
                axes.plot(_million(row), _quality(row), "s")
            if row["network"].startswith("each layer"):
                axes.plot(_million(row), _quality(row), "*", markersize=10)
        level = _quality(rows[0])
        axes.axhline(level, color="gray", linewidth=0.8, linestyle="--")
        axes.set(title=title, xscale="log")
        what = "mean IoU" if "measures" in rows[0] else "PSNR (dB)"
        axes.set(xlabel="million operations a frame", ylabel=what)
    figure.savefig(path, dpi=110)


def table() -> None:
    """Put the rows of videos into docs/sigma-delta.md."""
    record = json.loads(JSON.read_text())
    video = [
        _line(LABELS[kind], row)
        for kind, rows in record.get("video", {}).items()
        for row in rows
    ]
    street = [_line("street", row) for row in record.get("segment", [])]
    lines = PAGE.read_text().split("\n")
    for column, rows in (("PSNR, dB", video), ("mean IoU", street)):
        head = lines.index(f"| video | threshold (share) | {column} | {COST} |")
        first = last = head + 2
        while lines[last].startswith("|"):
            last += 1
        lines[first:last] = rows
    PAGE.write_text("\n".join(lines))


def _line(label: str, row: dict[str, Any]) -> str:
    name = row["network"]
    if row.get("share") is not None:
        name = f"{row['share']:g}"
    score = f"{_quality(row):.{3 if 'measures' in row else 2}f}"
    cost = f"{_million(row):.1f}" if "later" in row else ""
    return f"| {label} | {name} | {score} | {cost} |".replace("|  |", "| |")


def _million(row: dict[str, Any]) -> float:
    return float(row["later"] / 1e6)


def _quality(row: dict[str, Any]) -> float:
    if "measures" in row:
        return float(next(iter(row["measures"].values())))
    return float(np.mean(row["psnr"][1:]))
