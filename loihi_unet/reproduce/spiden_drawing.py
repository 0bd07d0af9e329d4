# SPDX-License-Identifier: BSD-3-Clause
"""SPIDEN's three trade-offs as a PNG."""

from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from loihi_unet.reproduce.page import by_subject, png

_STYLES = {
    "trained": ("#1f5fbf", "o", "trained directly"),
    "tuned": ("#2a8a4a", "s", "from the DCNN's weights"),
    "converted": ("#c2570c", "x", "converted"),
}


def draw(record: dict[str, Any]) -> bytes:
    """Draw error over spikes, quality over T and energy over T.

    Parameters
    ----------
    record : dict[str, Any]
        Of ``spiden``.

    Returns
    -------
    bytes
        PNG; equal records give equal bytes.
    """
    subjects = by_subject(record)
    figure = Figure(figsize=(12, 3.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    neuron, quality, energy = figure.subplots(1, 3)
    _neuron(neuron, subjects["neuron"])
    dcnn = subjects["trained"][0]
    sigma = next(iter(dcnn["floats"]))
    rows = {
        "trained": subjects["trained"][1:],
        "tuned": subjects["tuned"],
        "converted": subjects["converted"],
    }
    for name, group in rows.items():
        colour, marker, label = _STYLES[name]
        steps = [row["T"] for row in group]
        style = {"color": colour, "marker": marker, "label": label}
        quality.plot(steps, [row["chip"][sigma]["psnr"] for row in group], **style)
        energy.plot(steps, [row["snn_fan_out_mj"] for row in group], **style)
    gray = {"color": "gray", "linestyle": "--", "label": "DCNN"}
    quality.axhline(dcnn["floats"][sigma]["psnr"], **gray)
    energy.axhline(rows["trained"][0]["ann_mj"], **gray)
    quality.set_ylabel("PSNR of the integers (dB)")
    energy.set_ylabel("mJ, spikes with fan-out")
    energy.set_yscale("log")
    for axis in (quality, energy):
        axis.set_xscale("log", base=2)
        axis.set_xlabel("T")
    for axis in (neuron, quality, energy):
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    return png(figure)


def _neuron(axis: Any, rows: list[dict[str, Any]]) -> None:
    for threshold in sorted({row["threshold"] for row in rows}):
        group = [row for row in rows if row["threshold"] == threshold]
        spikes = [row["spikes"] for row in group]
        errors = [row["relative_error"] for row in group]
        axis.plot(spikes, errors, marker=".", label=f"threshold {threshold:g}")
        for row in group:
            place = (row["spikes"], row["relative_error"])
            axis.annotate(f"{row['T']}", place, fontsize=7)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("spikes of a neuron in T steps (T beside its point)")
    axis.set_ylabel("error of the decoded value / power")
