# SPDX-License-Identifier: BSD-3-Clause
"""benchmarks/results.json -> docs/performance.md and its plots.

python benchmarks/render.py
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from export.files.atomic import atomic, write_text

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
#: Of the first level, where a name does not say.
CHANNELS = 16
AXES = {
    "area": ("image area (pixels)", "16 channels, T = 10", 1),
    "T": ("steps T", "16 channels, 128x128", 1),
    "channels": ("channels of the first level", "128x128, T = 10", 2),
}

#: Configuration, what is asked of it over a float forward, and what would be better.
ASKED = (
    ("shipped_128", "0.9", "0.6"),
    ("T1N8_128", "0.9", "0.6"),
    ("T4N4_128", "1.5", "1.2"),
    ("T4N8_128", "1.8", "1.3"),
    ("T10N4_128", "3.8", "3.0"),
    ("T10N4_256", "4.0", "3.2"),
)


def main() -> None:
    """Write the page and one plot per curve."""
    results = json.loads((HERE / "results.json").read_text())
    for name, points in results["growth"].items():
        plot(name, points, DOCS / f"performance_{name}.png")
    write_text(DOCS / "performance.md", page(results))


def page(results: dict[str, Any]) -> str:
    """Give the Markdown of the results."""
    # Markdown, not HTML: nothing to escape.
    environment = Environment(
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("performance.md.jinja").render(
        **results,
        asked=ASKED,
        names={row["key"]: named(row["config"]) for row in results["forwards"]},
        nonzero={
            row["key"]: row["nonzero_share"]
            for row in results["forwards"]
            if "nonzero_share" in row
        },
        orders={name: order(points) for name, points in results["growth"].items()},
        last_orders={
            name: order(points[-2:]) for name, points in results["growth"].items()
        },
        steps=[
            order(pair) for pair in itertools.pairwise(results["growth"]["channels"])
        ],
        all_exact=all(verdicts(results)),
    )


def named(config: dict[str, Any]) -> str:
    """Say which network a row is of."""
    name = config["name"]
    if name != "shipped":
        steps, thresholds = name.removeprefix("T").split("N")
        name = f"T = {steps}, N = {thresholds}"
    wide = "" if config["channels"] == CHANNELS else f", {config['channels']} channels"
    return f"{name}, {config['size']}{wide}"


def order(points: list[dict[str, Any]]) -> float:
    """Exponent of the growth: slope of the log-log fit."""
    x, seconds = zip(*((p["x"], p["seconds"]) for p in points), strict=True)
    return float(np.polyfit(np.log(x), np.log(seconds), 1)[0])


def plot(name: str, points: list[dict[str, Any]], path: Path) -> None:
    """Draw a curve with the growth it should have."""
    label, fixed, power = AXES[name]
    x = np.array([point["x"] for point in points], dtype=float)
    seconds = np.array([point["seconds"] for point in points])
    figure = Figure(figsize=(4.5, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.loglog(x, seconds, "o-", label="measured")
    line = seconds[-1] * (x / x[-1]) ** power
    axes.loglog(x, line, "--", label="linear" if power == 1 else "quadratic")
    axes.set(xlabel=label, ylabel="seconds per image", title=fixed)
    axes.set_xticks(x, [f"{value:g}" for value in x])
    axes.minorticks_off()
    axes.legend()
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def verdicts(value: Any) -> list[bool]:
    """Every ``identical`` in the results."""
    if isinstance(value, dict):
        verdict = [value["identical"]] if "identical" in value else []
        return verdict + [x for child in value.values() for x in verdicts(child)]
    if isinstance(value, list):
        return [x for child in value for x in verdicts(child)]
    return []


if __name__ == "__main__":
    main()
