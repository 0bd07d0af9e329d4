# SPDX-License-Identifier: BSD-3-Clause
"""The first overflow of a run, from what its layers sent.

Lava's Conv wraps a sum that leaves 24 bits, and its Dense adds in 32 bits: neither
tells. A delta is no Var that a model could show. So layers that might overflow compute
their steps again, exactly, each from what its sources sent.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from export.facts import STATE
from export.stock_compartment import CUBA, STATE_SHIFT
from export.stock_network import StockLayer, StockNetwork
from export.synapse import Injection, IntArray
from sim.recording import Payload
from sim.reference.stock import Axons, LayerState


def check_sums(
    network: StockNetwork,
    values: IntArray,
    payloads: Mapping[str, Payload],
    steps: int,
) -> None:
    """Compute again what might have been too large.

    Until the first overflow all that was sent is right, so the first that is found
    here is the first that there was; what is sent after it is not looked at.

    Parameters
    ----------
    network : StockNetwork
        What ran.
    values : ndarray, shape (T, C, H, W), or (C, H, W) where the input is constant
        What entered.
    payloads : mapping of str to ndarray, shape (T, C, H, W)
        What every layer sent. What it sent at the last step is not read.
    steps : int
        How many steps to look at, at most T.

    Raises
    ------
    OverflowLayerError
        The one that `sim.reference.stock` names.
    """
    frames = values
    if not network.input.changes:
        frames = np.broadcast_to(values, (network.num_steps, *values.shape))
    emitted: dict[str, Payload] = {network.input.name: frames, **payloads}
    leaving: dict[str, Payload] = dict(emitted)
    for layer in network.layers:
        if layer.delay is not None:
            axons = Axons(layer)
            sent = emitted[layer.name].astype(np.int64)
            leaving[layer.name] = np.stack([axons.leaving(step) for step in sent])
    doubtful = [
        LayerState(network, layer)
        for layer in network.layers
        if _may_overflow(layer, emitted)
    ]
    for t in range(steps):
        for state in doubtful:
            state.step(t + 1, frames[t].astype(np.int64))
        for state in doubtful:
            for incoming in state.incoming:
                # A layer that reads itself does so before its axons.
                before = incoming.source == state.layer.name
                going = (emitted if before else leaving)[incoming.source]
                incoming.sent.append(going[t].astype(np.int64))


def _may_overflow(layer: StockLayer, sent: Mapping[str, Payload]) -> bool:
    """Whether a layer's sums, or states that add them up, can leave 24 bits."""
    if not isinstance(layer.compartment, CUBA):
        return True
    if isinstance(layer.connections[0].synapse, Injection):
        return False  # it has no sums, and its states wrap and clip by its rules
    largest = {
        c.source: int(np.abs(sent[c.source].astype(np.int64)).max())
        for c in layer.connections
    }
    bound = sum(c.bound(largest[c.source]) for c in layer.connections) << STATE_SHIFT
    return not STATE.contains(-bound, bound)
