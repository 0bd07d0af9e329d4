# SPDX-License-Identifier: BSD-3-Clause
"""A picture of a Network: stages from left to right, resolutions from top to bottom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from export.compartment import MTIF
from export.errors import UserError
from export.files.atomic import atomic
from export.network import Connection, Input, Layer, Network

COLOURS = {
    "Input": "#d9d9d9",
    "Conv": "#a6cee3",
    "AveragePool": "#fdbf6f",
    "ConvTranspose": "#b2df8a",
    "Dense": "#cab2d6",
    "Injection": "#d9d9d9",
}
FORMATS = ("png", "svg", "pdf")
INCHES_PER_STAGE, INCHES_PER_LEVEL = 1.15, 1.5


def draw_network(network: Network, path: Path) -> None:
    """Draw layers with shape, threshold and payload bits, and delayed connections.

    Parameters
    ----------
    network : Network
        What to draw.
    path : Path
        File to write; its suffix says which of `FORMATS`.

    Raises
    ------
    UserError
        If the suffix is another, or the file cannot be written.
    """
    form = path.suffix.lstrip(".").lower()
    if form not in FORMATS:
        raise UserError(f"{path}: suffix {', '.join(FORMATS)} needed for a picture")
    heights = sorted({node.shape[1] for node in network.nodes.values()}, reverse=True)
    columns = 1 + max(network.stages.values())
    size = (INCHES_PER_STAGE * columns + 0.6, INCHES_PER_LEVEL * len(heights) + 1.0)
    with matplotlib.rc_context({"font.size": 8}):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        places = {
            name: (network.stages[name], -heights.index(node.shape[1]))
            for name, node in network.nodes.items()
        }
        for layer in network.layers:
            for connection in layer.connections:
                if connection.source == layer.name:
                    _loop(axes, places[layer.name])
                    continue
                _arrow(axes, connection, places[connection.source], places[layer.name])
        for name, node in network.nodes.items():
            _box(axes, node, places[name])
        axes.set_xlim(-0.6, columns - 0.4)
        axes.set_ylim(-len(heights) + 0.4, 1.4)
        axes.set_xticks(range(columns))
        axes.set_xlabel("stage (time steps after the input)")
        axes.set_yticks([])
        axes.set_title(
            f"{network.task}: T = {network.num_steps}, "
            f"latency {network.latency} steps, sha256 {network.sha256[:12]} "
            f"({network.sha256_any_size[:12]} at any size)"
        )
        for side in ("left", "right", "top"):
            axes.spines[side].set_visible(False)
        with atomic(path) as temporary:
            figure.savefig(temporary, dpi=110, format=form)


def _box(axes: Axes, node: Input | Layer, place: tuple[int, int]) -> None:
    shape = "x".join(map(str, node.shape))
    if isinstance(node, Input):
        kind, lines = "Input", [f"{node.minimum}..{node.maximum}"]
    else:
        kind, lines = type(node.connections[0].synapse).__name__, []
        if isinstance(node.compartment, MTIF):
            vth = node.compartment.vth_mant
            low, high = int(vth.min()), int(vth.max())
            lines.append(f"vth {low}" if low == high else f"vth {low}..{high}")
            lines.append(f"{node.compartment.num_thresholds} bit")
        else:
            lines += _stock(node.compartment)
    axes.text(
        *place,
        "\n".join([node.name, shape, *lines]),
        ha="center",
        va="center",
        bbox={"boxstyle": "round,pad=0.25", "fc": COLOURS[kind], "ec": "#555555"},
        zorder=2,
    )


def _stock(compartment: Any) -> list[str]:
    """What stands in the box of a layer of other compartments."""
    thresholds = getattr(compartment, "vth_mant", None)
    if thresholds is None:
        return ["accumulates"]
    low, high = int(np.min(thresholds)), int(np.max(thresholds))
    vth = f"vth {low}" if low == high else f"vth {low}..{high}"
    return [type(compartment).__name__, vth]


def _arrow(
    axes: Axes, connection: Connection, start: tuple[int, int], end: tuple[int, int]
) -> None:
    width = end[0] - start[0]
    # Skips arc above the layers that they pass, longer ones higher; in levels.
    rise = 0.25 + 0.035 * width if width > 1 else 0.0
    colour = "#c0392b" if rise else "#555555"
    arrow = FancyArrowPatch(
        start,
        end,
        arrowstyle="-|>",
        mutation_scale=9,
        shrinkA=26,
        shrinkB=26,
        # The middle of an arc3 curve rises by half of rad times its length.
        connectionstyle="arc3,rad="
        f"{-2 * rise * INCHES_PER_LEVEL / (width * INCHES_PER_STAGE)}",
        color=colour,
        zorder=1,
    )
    axes.add_patch(arrow)
    if rise:
        shift = f" <<{connection.weight_exp}" if connection.weight_exp else ""
        text = (
            f"delay {connection.delay}{shift}" if connection.delay or shift else "skip"
        )
        axes.text(
            (start[0] + end[0]) / 2,
            (start[1] + end[1]) / 2 + rise,
            text,
            ha="center",
            va="center",
            color=colour,
            bbox={"fc": "white", "ec": "none", "pad": 1},
            zorder=3,
        )


def _loop(axes: Axes, place: tuple[int, int]) -> None:
    """An arrow from a layer to itself, below its box."""
    x, y = place
    axes.annotate(
        "reads itself",
        xy=(x - 0.25, y - 0.22),
        xytext=(x + 0.25, y - 0.42),
        ha="center",
        va="center",
        color="#555555",
        arrowprops={"arrowstyle": "-|>", "color": "#555555"},
    )
