# SPDX-License-Identifier: BSD-3-Clause
"""Sums of the integer networks that are trained: exact, and in 24 bits signed."""

from __future__ import annotations

import torch
from torch import Tensor

from export.compartment import Bias
from export.facts import STATE
from export.network import Connection, Layer, Network
from export.synapse import AveragePool, Conv
from loihi_unet.networks.topology import ConnectionKind
from sim.backend import OverflowLayerError, create
from sim.overflow import check_range
from sim.torch.exact import float_dtype
from sim.torch.int8 import convolve
from sim.torch.synapse import as_convolution


def first_overflow(network: Network, x: Tensor) -> OverflowLayerError | None:
    """Name the overflow that every backend names.

    A training network meets that of its first layer, not that of the first step.

    Parameters
    ----------
    network : Network
        At any size.
    x : Tensor, shape (B, C, H, W)
        Integer levels divided by 255, all channels of the network's input.

    Returns
    -------
    OverflowLayerError or None
        The first in the order of images and steps; None if there is none.
    """
    levels = torch.round(x.detach() * 255).long().cpu().numpy()
    try:
        create("torch").run(network.resized(*levels.shape[2:]), levels, layers=())
    except OverflowLayerError as first:
        return first
    return None


def in_exact_dtype(
    value: Tensor, connection: Connection, magnitude: int, layer: str
) -> Tensor:
    """Return payloads in the dtype in which a connection's sums are exact.

    Parameters
    ----------
    value : Tensor
        Integers in float32.
    connection : Connection
        Its mantissas are even, and the shift is exact: levels, half of them, decide.
    magnitude : int
        Largest absolute value.
    layer : str
        Named where not even float64 is enough.
    """
    bound = int(connection.synapse.absolute_sum().max()) // 2 * magnitude
    return value.to(float_dtype(bound, f"layer '{layer}'"))


def integer_sums(kind: ConnectionKind, connection: Connection, value: Tensor) -> Tensor:
    """Return what a connection delivers, without a gradient of its weights.

    Parameters
    ----------
    kind : str
        What it was before it was lowered.
    connection : Connection
        As it was lowered.
    value : Tensor, shape (T, B, C, H, W)
        As of `in_exact_dtype`.

    Returns
    -------
    Tensor, shape (T, B, C_out, H_out, W_out)
        Integers, of the same dtype.
    """
    if isinstance(connection.synapse, AveragePool):
        return pooled(connection.synapse, value) * (1 << connection.weight_exp)
    if kind == "identity":
        factor = int(connection.synapse.weight[0, 0, 0, 0]) << connection.weight_exp
        return value * factor
    flat = value.flatten(0, 1)
    _, channels, height, width = flat.shape
    conv, phases = as_convolution(connection.synapse, (channels, height, width))
    levels = torch.from_numpy(conv.weight // 2).to(value)
    sums = tried(conv, flat, levels)
    if phases is not None:
        sums = phases(sums)
    return _steps(sums, value) * (2 << connection.weight_exp)


def pooled(pool: AveragePool, value: Tensor) -> Tensor:
    """Sums over a pool's windows times its mantissa; a mean would round."""
    height, width = pool.kernel_size
    windows = value.unflatten(-1, (-1, width)).unflatten(-3, (-1, height))  # type: ignore[no-untyped-call]
    total: Tensor = windows.sum(dim=(-3, -1)) * pool.weight_mant
    return total


def convolved(conv: Conv, value: Tensor, weight: Tensor) -> Tensor:
    """Return sums of all steps, with gradients of values and weights.

    Parameters
    ----------
    conv : Conv
        The geometry.
    value : Tensor, shape (T, B, C, H, W)
        As of `in_exact_dtype`.
    weight : Tensor, shape (C_out, C_in // groups, K_h, K_w)
        The mantissas, shifted.
    """
    return _steps(tried(conv, value.flatten(0, 1), weight.to(value.dtype)), value)


def tried(conv: Conv, x: Tensor, weight: Tensor) -> Tensor:
    """Convolve as the simulator does: tried in this very shape before it is used."""
    return convolve(
        *(x, weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)
    )


def _steps(sums: Tensor, value: Tensor) -> Tensor:
    return sums.reshape(*value.shape[:2], *sums.shape[1:])


def check_sums(
    sums: Tensor, connection: Connection, magnitude: int, layer: str
) -> None:
    """Refuse what arrives through one connection outside 24 bits signed.

    Parameters
    ----------
    sums : Tensor, shape (T, ...)
        Of every step.
    connection, magnitude, layer
        As for `in_exact_dtype`.

    Raises
    ------
    OverflowLayerError
        Names layer, step and source.
    """
    bound = connection.bound(magnitude)
    if STATE.contains(-bound, bound):
        return
    for step, values in enumerate(sums.detach()):
        check_range(_extremes(values), layer, step, f"input from '{connection.source}'")


def check_potential(v: Tensor, layer: str, step: int) -> tuple[int, int]:
    """Refuse potentials outside 24 bits signed; return the least and the largest.

    Raises
    ------
    OverflowLayerError
        Names layer and step.
    """
    extremes = _extremes(v)
    check_range(extremes, layer, step, "potential")
    return extremes


def always_fits(network: Network, layer: Layer) -> bool:
    """Whether no picture can bring a potential of a layer out of 24 bits signed."""
    bias: Bias = layer.compartment.bias
    largest = int(abs(bias.effective()).max()) + sum(
        c.bound(network.nodes[c.source].magnitude) for c in layer.connections
    )
    return STATE.contains(-largest * network.num_steps, largest * network.num_steps)


def _extremes(values: Tensor) -> tuple[int, int]:
    low, high = torch.aminmax(values)
    return int(low), int(high)
