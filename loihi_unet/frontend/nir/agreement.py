# SPDX-License-Identifier: BSD-3-Clause
"""How far the integers do what the float network does: never called EXACT."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from export.facts import STATE
from export.stock_network import StockNetwork
from export.synapse import IntArray
from loihi_unet.frontend.nir.floats import FloatRun
from loihi_unet.frontend.nir.graph import Float
from sim.backend import create
from sim.recording import Payload


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """One layer beside its float original.

    Attributes
    ----------
    layer : str
    spikes : (int, int)
        How many in the float network and in the integers; zeros for potentials.
    same : float or None
        Share of all spikes, of either, that both have at the same neuron and step.
    correlation : float or None
        Of the neurons' rates, or of all potentials; None where one is constant.
    """

    layer: str
    spikes: tuple[int, int]
    same: float | None
    correlation: float | None


def padded(network: StockNetwork, frames: IntArray) -> tuple[StockNetwork, IntArray]:
    """Network and input with empty frames behind, until the last layer has seen all."""
    more = max(network.stages.values())
    frames = np.pad(frames, ((0, 0), (0, more), (0, 0), (0, 0), (0, 0)))
    return dataclasses.replace(network, num_steps=frames.shape[1]), frames


def run_integers(network: StockNetwork, frames: IntArray) -> dict[str, Payload]:
    """All traces of the integers, each (runs, T, C, H, W) in the float network's steps.

    Raises
    ------
    OverflowLayerError
        If a sum leaves 24 bits.
    """
    longer, values = padded(network, frames)
    recording = create("torch").run(longer, values)
    steps = frames.shape[1]
    shifted = {}
    for name, trace in recording.payloads.items():
        stage = network.stages[name.rpartition(":")[0] or name]
        shifted[name] = trace[:, stage : stage + steps]
    return shifted


def crowded(traces: dict[str, Payload]) -> list[str]:
    """Layers whose potential saturated, or whose current came near to wrapping."""
    layers = []
    for name, trace in traces.items():
        layer, _, state = name.rpartition(":")
        limit = {"u": (STATE.maximum + 1) // 2, "v": STATE.maximum}.get(state)
        if layer and limit and int(np.abs(trace.astype(np.int64)).max()) >= limit:
            layers.append(layer)
    return layers


def agreement(
    network: StockNetwork, run: FloatRun, traces: dict[str, Payload]
) -> list[Agreement]:
    """Compare all layers that both networks have.

    Parameters
    ----------
    network : StockNetwork
    run : FloatRun
    traces : dict
        What `run_integers` gave on the same input.
    """
    rows = []
    for layer in network.layers:
        if layer.name in run.spikes:
            rows.append(
                _spiking(layer.name, run.spikes[layer.name], traces[layer.name])
            )
        elif layer.name in run.values:
            v = traces[f"{layer.name}:v"] * layer.scale
            r = _correlation(run.values[layer.name], v)
            rows.append(
                Agreement(layer=layer.name, spikes=(0, 0), same=None, correlation=r)
            )
    return rows


def _spiking(name: str, floats: Float, integers: Payload) -> Agreement:
    ours, theirs = integers != 0, floats != 0
    either = int((ours | theirs).sum())
    same = int((ours & theirs).sum()) / either if either else None
    rates = _correlation(theirs.mean(axis=1), ours.mean(axis=1))
    counts = (int(theirs.sum()), int(ours.sum()))
    return Agreement(layer=name, spikes=counts, same=same, correlation=rates)


def _correlation(
    a: npt.NDArray[np.floating[Any]], b: npt.NDArray[np.floating[Any]]
) -> float | None:
    a, b = a.reshape(-1) - a.mean(), b.reshape(-1) - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else None
