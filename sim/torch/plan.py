# SPDX-License-Identifier: BSD-3-Clause
"""A Network prepared for torch: packed weights, and what the bounds prove."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from export.compartment import MTIF
from export.facts import STATE
from export.fit.bounds import potential_bounds
from export.network import Input, Layer, Network
from sim.torch.compartment import Firing, reciprocal_is_exact
from sim.torch.counting import Counting
from sim.torch.counting_plan import prepare_counting
from sim.torch.exact import float_dtype
from sim.torch.synapse import Sums, int8_fits, prepare


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedConnection:
    """One connection, ready to run.

    Parameters
    ----------
    source : str
        Name of the source.
    sums : callable
        Payloads to shifted sums, with the bias if it is the one that carries it.
    constant : bool
        The source is the input, which does not change over a window.
    check : bool
        The sums could leave 24 bits signed.
    """

    source: str
    sums: Sums
    constant: bool
    check: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedLayer:
    """One layer, ready to run.

    Parameters
    ----------
    layer : Layer
        What it was made from.
    connections : tuple of PreparedConnection
        Their sums are added.
    bias : Tensor or None, shape (C, 1, 1)
        Still to be added; None if a connection carries it.
    firing : Firing or None
        None for an accumulator.
    dtype : torch.dtype
        In which everything is exact.
    check : bool
        The potential could leave 24 bits signed.
    counting : Counting or None
        How to do without potentials, where that is possible.
    """

    layer: Layer
    connections: tuple[PreparedConnection, ...]
    bias: Tensor | None
    firing: Firing | None
    dtype: torch.dtype
    check: bool
    counting: Counting | None


def prepare_network(
    network: Network, device: torch.device
) -> tuple[PreparedLayer, ...]:
    """Prepare every layer of a network for a device.

    Raises
    ------
    BackendError
        If sums of a layer are too large for any exact arithmetic.
    """
    return tuple(_prepare_layer(layer, network, device) for layer in network.layers)


def _prepare_layer(
    layer: Layer, network: Network, device: torch.device
) -> PreparedLayer:
    compartment = layer.compartment
    bias = compartment.bias.effective().astype(np.int64)
    bounds = [c.bound(network.nodes[c.source].magnitude) for c in layer.connections]
    total = sum(bounds) + int(np.abs(bias).max())
    dtype = float_dtype(total, f"layer '{layer.name}'")
    firing = None
    if isinstance(compartment, MTIF):
        theta = torch.from_numpy(compartment.vth_mant.astype(np.float64))
        firing = Firing(theta=theta.to(device), maximum=compartment.payload_maximum)
        if not reciprocal_is_exact(int(theta.max()), compartment.num_thresholds):
            dtype = torch.float64
    carried = torch.from_numpy(bias).to(device, dtype)
    # An unproven sum is checked before the bias is added to it.
    first_carries = bounds[0] <= STATE.maximum
    connections = []
    for index, (c, bound) in enumerate(zip(layer.connections, bounds, strict=True)):
        source = network.nodes[c.source]
        signed = isinstance(source, Input) and source.minimum < 0
        suits = int8_fits(c, source.magnitude, signed)
        sums = prepare(
            c,
            source.shape,
            bias=carried if index == 0 and first_carries else None,
            dtype=dtype,
            magnitude=source.magnitude if suits else None,
            device=device,
        )
        connections.append(
            PreparedConnection(
                source=c.source,
                sums=sums,
                constant=isinstance(source, Input),
                check=bound > STATE.maximum,
            )
        )
    low, high = potential_bounds(layer, network)
    return PreparedLayer(
        layer=layer,
        connections=tuple(connections),
        bias=None if first_carries else carried[:, None, None],
        firing=firing,
        dtype=dtype,
        check=not STATE.contains(low, high),
        counting=prepare_counting(layer, network, device),
    )
