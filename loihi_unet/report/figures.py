# SPDX-License-Identifier: BSD-3-Clause
"""Plots of a report as PNGs, each for a light and for a dark page."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from loihi_unet.report.schema import Failure, LayerRecord, Rate


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """Colours of one scheme; both pairs tell left from right without red and green."""

    text: str
    grid: str
    left: str
    right: str


LIGHT = Scheme(text="#1d2433", grid="#d4d9e2", left="#1f5fbf", right="#c2570c")
DARK = Scheme(text="#e4e8f0", grid="#3a4254", left="#7db2ff", right="#ffab66")

Draw = Callable[[Axes, Scheme], None]


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One plot in both schemes, as PNG bytes, and what it shows in words."""

    light: bytes
    dark: bytes
    alt: str


def plot(draw: Draw, alt: str, size: tuple[float, float]) -> Plot:
    """Draw a plot twice; ``size`` in inches, shown at 80 to 130 pixels each."""
    return Plot(light=_png(draw, LIGHT, size), dark=_png(draw, DARK, size), alt=alt)


def _png(draw: Draw, scheme: Scheme, size: tuple[float, float]) -> bytes:
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for spine in axes.spines.values():
        spine.set_color(scheme.grid)
    axes.tick_params(colors=scheme.text, labelsize=8)
    axes.grid(color=scheme.grid, linewidth=0.6)
    axes.set_axisbelow(True)
    draw(axes, scheme)
    for label in (axes.title, axes.xaxis.label, axes.yaxis.label):
        label.set_color(scheme.text)
        label.set_fontsize(9)
    buffer = io.BytesIO()
    # No software name or date: equal reports give equal bytes.
    figure.savefig(buffer, transparent=True, metadata={"Software": None})
    return buffer.getvalue()


def payloads(layers: Sequence[LayerRecord]) -> Plot:
    """Share of each payload in each layer, as a map on a logarithmic scale."""
    known = [layer for layer in layers if layer.histogram]
    width = max(len(layer.histogram) for layer in known)
    bins = min(width, 64)
    shares = np.zeros((len(known), bins))
    for row, layer in enumerate(known):
        counts = np.zeros(width)
        counts[: len(layer.histogram)] = layer.histogram
        parts = np.array_split(counts, bins)
        shares[row] = [part.sum() / max(1, counts.sum()) for part in parts]

    def draw(axes: Axes, scheme: Scheme) -> None:
        level = np.log10(np.maximum(shares, 1e-6))
        image = axes.imshow(
            np.where(shares > 0, level, np.nan),
            aspect="auto", cmap="viridis", vmin=-6, vmax=0,
            extent=(-0.5, width - 0.5, len(known) - 0.5, -0.5),
        )  # fmt: skip
        axes.grid(False)
        axes.set_yticks(range(len(known)), [layer.name for layer in known])
        axes.set_title("How often each layer sends which payload")
        axes.set_xlabel("payload: the integer that a spike carries; 0: no spike")
        bar = axes.figure.colorbar(
            image, ax=axes, label="share of all, as a power of 10"
        )
        bar.ax.tick_params(colors=scheme.text, labelsize=8)
        bar.ax.yaxis.label.set_color(scheme.text)

    return plot(draw, "payload histogram of each layer", (4.6, 0.9 + 0.19 * len(known)))


def headroom(layers: Sequence[LayerRecord]) -> Plot:
    """Bits that the largest potential of each layer takes, of 24 signed."""
    known = [layer for layer in layers if layer.headroom_bits is not None]

    def draw(axes: Axes, scheme: Scheme) -> None:
        used = [23 - (layer.headroom_bits or 0) for layer in known]
        axes.barh(range(len(known)), used, color=scheme.left, height=0.7)
        axes.axvline(23, color=scheme.right, linewidth=1.5)
        axes.set_yticks(range(len(known)), [layer.name for layer in known])
        axes.invert_yaxis()
        axes.set_xlim(0, 24)
        axes.set_title("Largest potential of each layer")
        axes.set_xlabel("bits without sign; line: the limit, 24 bits signed")

    return plot(draw, "largest potential of each layer", (4.6, 0.9 + 0.19 * len(known)))


def rate(rates: Sequence[tuple[str, Rate]]) -> Plot:
    """Activation of the ANN against mean payload, by normalisation."""

    def draw(axes: Axes, scheme: Scheme) -> None:
        top = max([1e-9, *(max(r.activation, default=0) for _, r in rates)])
        axes.plot([0, top], [0, top], color=scheme.grid, linewidth=1)
        styles = [(scheme.left, "o"), (scheme.right, "x")]
        for (name, item), (colour, marker) in zip(rates, styles, strict=False):
            shown = "none" if item.correlation is None else f"{item.correlation:.4f}"
            axes.scatter(
                item.activation, item.payload, s=9, color=colour, marker=marker,
                alpha=0.6, linewidths=0.8, label=f"{name}-wise, r = {shown}",
            )  # fmt: skip
        axes.set_title(f"Layer {rates[0][1].layer}")
        axes.set_xlabel("activation of the ANN")
        axes.set_ylabel("mean payload x scale")
        _legend(axes, scheme)

    return plot(draw, f"ANN activation and spike rate, {rates[0][1].layer}", (3.6, 3))


def potential(failure: Failure, left: str, right: str) -> Plot:
    """Both potentials of the compartment that differs first, step by step."""

    def draw(axes: Axes, scheme: Scheme) -> None:
        _both(axes, scheme, failure.potentials_left, failure.potentials_right)
        for threshold in failure.thresholds[:1]:
            axes.axhline(threshold, color=scheme.text, linewidth=0.8, linestyle=":")
        axes.axvline(failure.first.step, color=scheme.grid, linewidth=6, zorder=0)
        axes.set_title("Potential of the neuron that differs first")
        axes.set_ylabel("potential before reset, integer")
        _steps(axes)
        _legend(axes, scheme, (f"{left} (left)", f"{right} (right)"))

    return plot(draw, "potential of both backends over time", (3.6, 3))


def sent(failure: Failure, left: str, right: str) -> Plot:
    """Both payloads of the compartment that differs first, step by step."""

    def draw(axes: Axes, scheme: Scheme) -> None:
        _both(axes, scheme, failure.payloads_left, failure.payloads_right)
        axes.axvline(failure.first.step, color=scheme.grid, linewidth=6, zorder=0)
        axes.set_title("Payload of the neuron that differs first")
        axes.set_ylabel("payload, integer")
        _steps(axes)
        axes.locator_params(axis="y", integer=True)
        _legend(axes, scheme, (f"{left} (left)", f"{right} (right)"))

    return plot(draw, "payload of both backends over time", (3.6, 3))


def differences(failure: Failure) -> Plot:
    """How often the right side is off by how much."""

    def draw(axes: Axes, scheme: Scheme) -> None:
        labels = [f"{value:+d}" for value, _ in failure.differences]
        counts = [count for _, count in failure.differences]
        axes.bar(labels, counts, color=scheme.right)
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.5)
        axes.tick_params(axis="x", labelrotation=90 if len(labels) > 10 else 0)
        axes.set_title("Differences of this layer's payloads")
        axes.set_xlabel("right minus left, integers")
        axes.set_ylabel("number of values")

    return plot(draw, "histogram of differences", (3.6, 3))


def _steps(axes: Axes) -> None:
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel("time step")


def _both(axes: Axes, scheme: Scheme, a: Sequence[int], b: Sequence[int]) -> None:
    axes.plot(a, color=scheme.left, marker="o", markersize=4, label="left")
    axes.plot(b, color=scheme.right, marker="x", linestyle="--", label="right")


def _legend(axes: Axes, scheme: Scheme, labels: Sequence[str] | None = None) -> None:
    arguments: dict[str, Any] = {"labels": labels} if labels else {}
    if labels:
        arguments["handles"] = axes.get_lines()[:2]
    axes.legend(fontsize=8, labelcolor=scheme.text, framealpha=0, **arguments)
