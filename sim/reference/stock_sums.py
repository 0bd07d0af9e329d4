# SPDX-License-Identifier: BSD-3-Clause
"""Whether any sum of a run left 24 bits, from what its layers sent.

Lava's Conv wraps such a sum, and its Dense adds in 32 bits: neither tells. So the
sums that might be too large are added up again, exactly.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from export.facts import STATE
from export.stock_network import StockNetwork
from export.synapse import Injection, IntArray
from sim.overflow import check_range, extremes
from sim.recording import Payload
from sim.reference.stock import Axons, Incoming

Int64 = npt.NDArray[np.int64]


def check_sums(
    network: StockNetwork, values: IntArray, payloads: Mapping[str, Payload]
) -> None:
    """Add up again what might have been too large.

    Parameters
    ----------
    network : StockNetwork
        What ran.
    values : ndarray, shape (T, C, H, W), or (C, H, W) where the input is constant
        What entered.
    payloads : mapping of str to ndarray, shape (T, C, H, W)
        What every layer sent.

    Raises
    ------
    OverflowLayerError
        With the first layer, and its first step, at which a connection's sums left
        24 bits signed.
    """
    leaving: dict[str, Payload] = {network.input.name: values}
    for layer in network.layers:
        axons = Axons(layer)
        leaving[layer.name] = payloads[layer.name]
        if layer.delay is not None:
            steps = payloads[layer.name].astype(np.int64)
            leaving[layer.name] = np.stack([axons.leaving(step) for step in steps])
    for layer in network.layers:
        for connection in layer.connections:
            if isinstance(connection.synapse, Injection):
                continue
            own = connection.source == layer.name
            sent = (payloads if own else leaving)[connection.source]
            largest = int(np.abs(sent.astype(np.int64)).max())
            bound = connection.bound(largest)
            if STATE.contains(-bound, bound):
                continue
            incoming = Incoming(connection, sent.shape[1:])
            what = f"input from '{connection.source}'"
            for t, step in enumerate(sent):
                check_range(extremes(incoming.sums()), layer.name, t, what)
                incoming.sent.append(step.astype(np.int64))
