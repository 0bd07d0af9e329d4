# SPDX-License-Identifier: BSD-3-Clause
"""One CUBA layer behind dense synapses, under any rules."""

from __future__ import annotations

import numpy as np

from export.stock_compartment import CUBA, STATE_SHIFT
from export.stock_network import StockNetwork
from export.synapse import Dense, IntArray
from sim.probes.rules import Int64, StockRules, decayed

TURN = 2**24
LARGEST = 2**23 - 1


def run_stock(network: StockNetwork, frames: IntArray, rules: StockRules) -> Int64:
    """Spikes of the one layer of a network.

    Parameters
    ----------
    network : StockNetwork
        One CUBA layer that reads the input through a `Dense`.
    frames : ndarray, shape (T, C_in, 1, 1)
        Input.
    rules : StockRules
        What the chip does.

    Returns
    -------
    ndarray, shape (T, C), int64
        0 or 1.
    """
    (layer,) = network.layers
    cell, synapse = layer.compartment, layer.connections[0].synapse
    assert isinstance(cell, CUBA)
    assert isinstance(synapse, Dense)
    assert isinstance(cell.i_decay, int)
    assert isinstance(cell.v_decay, int)
    i_decay = cell.i_decay + rules.current_offset
    v_decay = cell.v_decay + rules.potential_offset
    threshold = np.asarray(cell.vth_mant, np.int64) << rules.threshold_shift
    bias = cell.bias.effective()
    u = np.zeros(len(bias), np.int64)
    v, paused = u.copy(), u.astype(bool)
    spikes = np.zeros((len(frames), len(bias)), np.int64)
    for t, arrived in enumerate(_arriving(synapse, frames, rules)):
        due = network.reset is not None and network.reset.due(t + 1, 1)
        if due and rules.reset in ("before", "v only"):
            v = np.zeros_like(v)
            u = np.zeros_like(u) if rules.reset == "before" else u
        old = u
        u = decayed(u, i_decay, rules.current_rounding) + (arrived << STATE_SHIFT)
        u = _kept(u, rules.u_wraps)
        taken = (u if rules.current == "new" else old) + bias
        if rules.decay == "before":
            v = decayed(v, v_decay, rules.potential_rounding) + taken
        else:
            v = decayed(v + taken, v_decay, rules.potential_rounding)
        v = _kept(v, rules.v_wraps)
        v = np.where(paused, 0, v)
        fired = v >= threshold if rules.reached else v > threshold
        spikes[t] = fired
        rest = v - threshold if rules.at_spike == "subtract" else np.zeros_like(v)
        v = np.where(fired, rest, v)
        u = np.where(fired, 0, u) if rules.at_spike == "u and v" else u
        paused = fired if rules.at_spike == "pause" else paused
        if due and rules.reset == "after":
            u, v = np.zeros_like(u), np.zeros_like(v)
    return spikes


def _kept(x: Int64, wraps: bool) -> Int64:
    """Values in 24 bits."""
    if wraps:
        return (x + LARGEST) % TURN - LARGEST
    return np.clip(x, -LARGEST, LARGEST)


def _arriving(synapse: Dense, frames: IntArray, rules: StockRules) -> Int64:
    """Sums of every step, (T, C): an input of step t arrives at t + 1 + delay."""
    outputs, inputs = synapse.weight.shape
    sums = np.zeros((len(frames), outputs), np.int64)
    delays = np.zeros((outputs, inputs), int)
    if synapse.delay is not None:
        delays = _delays(synapse.delay.astype(int), rules)
    for t, o, i in np.ndindex(len(frames), outputs, inputs):
        late = t + 1 + delays[o, i]
        if late < len(frames):
            sums[late, o] += int(synapse.weight[o, i]) * int(frames[t, i, 0, 0])
    return sums


def _delays(delay: IntArray, rules: StockRules) -> IntArray:
    match rules.delay:
        case "kept":
            return delay
        case "none":
            return np.zeros_like(delay)
        case "one more":
            return np.where(delay > 0, delay + 1, 0)
        case "5 bits":
            return delay & 31
        case "3 bits":
            return delay & 7
        case "to 31":
            return np.minimum(delay, 31)
