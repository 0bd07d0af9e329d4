# SPDX-License-Identifier: BSD-3-Clause
"""Which layers can count instead of integrating (`sim.torch.counting`)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from export.compartment import MTIF
from export.fit.bounds import signed_sums
from export.network import Input, Layer, Network
from export.synapse import Conv
from sim.torch import int8 as torch_int8
from sim.torch.counting import Counting, CountingConv, is_bounded
from sim.torch.int8 import INT8_PAYLOAD, UINT8_PAYLOAD
from sim.torch.onednn import Geometry, OneDnnConv, may_be_tried
from sim.torch.synapse import Phases, as_convolution


def prepare_counting(
    layer: Layer, network: Network, device: torch.device
) -> Counting | None:
    """Prepare a layer to count; None where it cannot, whatever its sources send.

    Parameters
    ----------
    layer : Layer
        Of the network.
    network : Network
        Gives T and the sources.
    device : torch.device
        Where it will run.
    """
    compartment, steps = layer.compartment, network.num_steps
    if device.type != "cpu" or not isinstance(compartment, MTIF):
        return None
    largest = _largest_totals(layer, network)
    most = max(largest, default=UINT8_PAYLOAD + 1)
    if compartment.mapping != "graded" or most > UINT8_PAYLOAD:
        return None
    found = _one_convolution(layer, network)
    if found is None:
        return None
    conv, phases = found
    lowest = min(c.weight_exp for c in layer.connections)
    shifts = tuple(c.weight_exp - lowest for c in layer.connections)
    shifted = max(x << shift for x, shift in zip(largest, shifts, strict=False))
    limit = INT8_PAYLOAD if shifted <= INT8_PAYLOAD else UINT8_PAYLOAD
    if limit > torch_int8.payload_limit() or not may_be_tried(Geometry.of(conv)):
        return None
    bias = compartment.bias.effective().astype(np.int64)
    theta = compartment.vth_mant.astype(np.int64)
    units = tuple(
        np.abs(signed_sums(c)).astype(np.int64) << c.weight_exp
        for c in layer.connections
    )
    rest = steps * np.abs(bias) + 260 * theta
    return Counting(
        sources=tuple(c.source for c in layer.connections),
        shifts=shifts,
        units=units,
        rest=rest,
        always=is_bounded(largest[:-1], shifts, units, rest, limit),
        maximum=compartment.payload_maximum,
        limit=limit,
        conv=_counting_conv(conv, 2 << lowest, theta, bias, steps),
        phases=phases,
    )


def _largest_totals(layer: Layer, network: Network) -> list[int]:
    """Of each source and of the layer itself; empty if it reads the input."""
    sources = [network.nodes[c.source] for c in layer.connections]
    if any(isinstance(source, Input) for source in sources):
        return []
    nodes = [*sources, layer]
    return [network.num_steps * node.magnitude for node in nodes]


def _one_convolution(
    layer: Layer, network: Network
) -> tuple[Conv, Phases | None] | None:
    """All connections as one convolution over the joined channels of the sources."""
    shapes = [network.nodes[c.source].shape for c in layer.connections]
    found = [
        as_convolution(c.synapse, shape)
        for c, shape in zip(layer.connections, shapes, strict=True)
    ]
    if len(found) == 1:
        return found[0]
    convs = [conv for conv, _ in found]
    kinds = {(c.weight.shape[2:], c.stride, c.padding, c.dilation) for c in convs}
    plain = all(c.groups == 1 for c in convs) and not any(p for _, p in found)
    if not plain or len(kinds) > 1 or len({shape[1:] for shape in shapes}) > 1:
        return None
    joined = Conv(
        weight=np.concatenate([c.weight for c in convs], axis=1),
        stride=convs[0].stride,
        padding=convs[0].padding,
        dilation=convs[0].dilation,
    )
    return joined, None


def _counting_conv(
    conv: Conv,
    scale: int,
    theta: npt.NDArray[np.int64],
    bias: npt.NDArray[np.int64],
    steps: int,
) -> CountingConv:
    """Fold thresholds into the scales and biases of a convolution."""
    levels = torch.from_numpy((conv.weight // 2).astype(np.int8))
    geometry = (conv.stride, conv.padding, conv.dilation)

    def for_channels(values: npt.NDArray[np.float64]) -> Tensor:
        # Phases of a transposed convolution come one after the other.
        values = np.broadcast_to(values, max(len(bias), len(theta)))
        if len(values) > 1:
            values = np.tile(values, len(levels) // len(values))
        return torch.from_numpy(np.broadcast_to(values, len(levels)).astype(np.float32))

    late = [(step * bias + 0.5) / theta for step in range(1, steps + 1)]
    scales = for_channels(scale / theta)
    return CountingConv(
        geometry=Geometry.of(conv),
        each=OneDnnConv(levels, scales, None, geometry, conv.groups, dtype=torch.uint8),
        all_steps=OneDnnConv(levels, scales, None, geometry, conv.groups),
        biases=tuple(for_channels(one - 0.5) for one in late),
        late_biases=torch.stack([for_channels(one) for one in late])[
            :, None, None, None
        ],
    )
