# SPDX-License-Identifier: BSD-3-Clause
"""A network in windows, clocked step by step under any rules."""

from __future__ import annotations

import numpy as np

from export.compartment import MTIF
from export.network import Layer, Network
from export.synapse import IntArray
from sim.probes.rules import Int64, WindowRules
from sim.reference import synapse


def run_windows(
    network: Network, images: IntArray, layer: str, rules: WindowRules
) -> Int64:
    """Payloads of one layer of a network.

    Parameters
    ----------
    network : Network
        Of layers of `MTIF`, 1x1 in size.
    images : ndarray, shape (images, C, 1, 1)
        Input.
    layer : str
        The layer that is recorded.
    rules : WindowRules
        What the chip does.

    Returns
    -------
    ndarray, shape (images * T, C), int64
        What it sent, the windows one after the other.
    """
    steps = len(images) * network.num_steps
    cells = {x.name: _Cell(network, x, rules) for x in network.layers}
    silent = {name: np.zeros(n.shape, np.int64) for name, n in network.nodes.items()}
    sent = {name: [zeros] for name, zeros in silent.items()}
    for now in range(1, steps + network.stages[layer] + 1):
        index = min((now - 1) // network.num_steps, len(images) - 1)
        sending = {name: cell.step(now, sent) for name, cell in cells.items()}
        sending[network.input.name] = images[index].astype(np.int64)
        for name, payload in sending.items():
            sent[name].append(payload)
    rows = sent[layer][-steps:]
    return np.stack(rows)[:, :, 0, 0]


class _Cell:
    """One layer's potentials."""

    def __init__(self, network: Network, layer: Layer, rules: WindowRules) -> None:
        assert isinstance(layer.compartment, MTIF)
        self.layer, self.cell, self.rules = layer, layer.compartment, rules
        self.stage = network.stages[layer.name]
        self.num_steps = network.num_steps
        self.vth = self.cell.vth_mant.astype(np.int64)[:, None, None]
        self.bias = self.cell.bias.effective()[:, None, None]
        self.v = np.zeros(layer.shape, np.int64)
        self.pending = self.v.copy()

    def step(self, now: int, sent: dict[str, list[Int64]]) -> Int64:
        """Advance to time step ``now`` (1-based); return what is sent."""
        since = now - 1 - self.stage
        silent = np.zeros(self.layer.shape, np.int64)
        if since < 0:
            if self.rules.window == "early":
                self.v = self.v + self.bias
            return silent
        first = since % self.num_steps == 0
        if first and (
            self.rules.window == "before" or (self.rules.window == "early" and since)
        ):
            self.v = silent.copy()
            if self.rules.at_spike != "left over":
                self.pending = silent.copy()
        if self.rules.at_spike == "left over":
            self.v, self.pending = self.v - self.pending, silent.copy()
        self.v = self.v + self.bias + self._arriving(sent)
        if first and self.rules.window == "after":
            self.v = silent.copy()
        payload, fired = self._compare()
        self._reset(fired, payload)
        return payload

    def _arriving(self, sent: dict[str, list[Int64]]) -> Int64:
        total = np.zeros(self.layer.shape, np.int64)
        for c in self.layer.connections:
            delay = {"kept": c.delay, "none": 0, "one less": max(c.delay - 1, 0)}
            history = sent[c.source]
            place = len(history) - 1 - delay[self.rules.delay]
            payload = _carried(history[max(place, 0)], self.rules)
            sums = synapse.apply(c.synapse, payload)
            match self.rules.exponent:
                case "left":
                    sums = sums << c.weight_exp
                case "right":
                    sums = sums >> c.weight_exp
                case "ignored":
                    pass
            total = total + sums
        return total

    def _compare(self) -> tuple[Int64, Int64]:
        """What is sent, and how much of v that is worth."""
        left, payload = self.v.copy(), np.zeros_like(self.v)
        for i in reversed(range(self.cell.num_thresholds)):
            threshold = self.vth << i
            seen = self.v if self.rules.residual == "shared" else left
            fires = seen >= threshold
            if self.rules.residual == "next step":
                fires &= payload == 0
            left = left - fires * threshold
            payload = payload + (fires << i)
        return payload, self.v - left

    def _reset(self, worth: Int64, payload: Int64) -> None:
        match self.rules.at_spike:
            case "subtract":
                self.v = self.v - worth
            case "zero":
                self.v = np.where(payload > 0, 0, self.v)
            case "left over":
                self.pending = worth
            case "late":
                self.v, self.pending = self.v - self.pending, worth


def _carried(payload: Int64, rules: WindowRules) -> Int64:
    """What of a graded spike arrives."""
    carried: Int64
    match rules.payload:
        case "all":
            carried = payload
        case "1 bit":
            carried = (payload != 0).astype(np.int64)
        case "to 127":
            carried = np.minimum(payload, 127)
        case "to 255":
            carried = np.minimum(payload, 255)
        case "8 bits":
            carried = payload & 255
        case "16 bits signed":
            carried = (payload + 2**15) % 2**16 - 2**15
    return carried
