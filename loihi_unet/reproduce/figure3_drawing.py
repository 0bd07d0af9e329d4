# SPDX-License-Identifier: BSD-3-Clause
"""Figure 3 as a PNG."""

from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from loihi_unet.reproduce.figure3 import DRAWN
from loihi_unet.reproduce.page import by_subject, png

_STYLES = {"connection": ("#1f5fbf", "o"), "layer": ("#c2570c", "x")}


def draw(record: dict[str, Any]) -> bytes:
    """Draw a row of scatter plots and one of correlations per network.

    Parameters
    ----------
    record : dict[str, Any]
        Of ``figure3``.

    Returns
    -------
    bytes
        PNG; equal records give equal bytes.
    """
    subjects = by_subject(record)
    columns = len(DRAWN) + 1
    figure = Figure(
        figsize=(2.6 * columns, 2.6 * len(subjects)), dpi=110, layout="constrained"
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(subjects), columns, squeeze=False)
    for line, (name, rows) in zip(axes, subjects.items(), strict=True):
        for axis, layer in zip(line[:-1], DRAWN, strict=True):
            _scatter(axis, rows, layer)
        for row in rows:
            colour, marker = _STYLES[row["normalisation"]]
            values = [item["correlation"] for item in row["layers"]]
            line[-1].plot(
                values, marker, linestyle="-", color=colour, markersize=3, linewidth=1,
                label=f"{row['normalisation']}-wise",
            )  # fmt: skip
        line[0].set_ylabel(f"{name}\nmean payload x scale", fontsize=8)
        line[-1].set_title("r of every layer", fontsize=9)
        line[-1].legend(fontsize=7)
    for axis in axes[-1][:-1]:
        axis.set_xlabel("activation of the U-Net", fontsize=8)
    for axis in axes.flat:
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
    return png(figure)


def _scatter(axis: Any, rows: list[dict[str, Any]], layer: str) -> None:
    axis.set_title(layer, fontsize=9)
    top = 0.0
    for row in rows:
        points = [item for item in row["layers"] if item["layer"] == layer]
        for item in points:  # a shallower U-Net may lack it
            colour, marker = _STYLES[row["normalisation"]]
            r = item["correlation"]
            axis.scatter(
                item["activation"], item["payload"], s=8, color=colour, marker=marker,
                linewidths=0.8, alpha=0.6,
                label="silent" if r is None else f"r = {r:.4f}",
            )  # fmt: skip
            top = max(top, *item["activation"], *item["payload"])
    axis.plot([0, top], [0, top], color="gray", linewidth=1)
    axis.legend(fontsize=7)
