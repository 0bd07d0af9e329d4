# SPDX-License-Identifier: BSD-3-Clause
"""How far a potential can go, whatever the image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from export.compartment import MTIF
from export.network import Connection, Input, Layer, Network
from export.synapse import AveragePool, IntArray


def potential_bounds(layer: Layer, network: Network) -> tuple[int, int]:
    """Smallest and largest potential after integration, over any T-step window.

    Each source is taken at the end of its range that drives the channel hardest, at
    every step.
    """
    low = layer.compartment.bias.effective().astype(np.int64)
    high = low.copy()
    for connection in layer.connections:
        negative, positive = signed_sums(connection)
        source = network.nodes[connection.source]
        # Padding adds silence to any range.
        least = min(source.minimum, 0) if isinstance(source, Input) else 0
        most = max(source.maximum, 0) if isinstance(source, Input) else source.magnitude
        shift = connection.weight_exp
        high += (positive * most + negative * least) << shift
        low += (negative * most + positive * least) << shift
    steps = network.num_steps
    fall = np.minimum(low, steps * low)
    if not isinstance(layer.compartment, MTIF):
        return int(fall.min()), int(np.maximum(high, steps * high).max())
    if steps == 1:
        return int(fall.min()), int(high.max())
    theta = layer.compartment.vth_mant.astype(np.int64)
    # What a step brings beyond the largest reset piles up. The first step leaves
    # that, or, if it stays below the largest reset, at most theta - 1.
    beyond = high - theta * layer.compartment.payload_maximum
    rise = high + np.maximum(beyond, theta - 1) + (steps - 2) * np.maximum(beyond, 0)
    return int(fall.min()), int(np.maximum(rise, high).max())


def signed_sums(connection: Connection) -> tuple[IntArray, IntArray]:
    """Sums of the negative and of the positive weights: shape (C_out,) each.

    Mantissas of the weights that an output can meet at once, without the exponent.
    """
    synapse = connection.synapse
    if isinstance(synapse, AveragePool):
        positive = synapse.absolute_sum()
        return np.zeros_like(positive), positive
    # absolute_sum knows which taps of a transposed convolution can meet.
    positive = replace(synapse, weight=np.maximum(synapse.weight, 0)).absolute_sum()
    negative = replace(synapse, weight=np.minimum(synapse.weight, 0)).absolute_sum()
    return -negative, positive
