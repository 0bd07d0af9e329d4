# SPDX-License-Identifier: BSD-3-Clause
"""What connections do to values, and to the sides of a picture."""

import math
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional

from loihi_unet.networks.topology import INPUT
from loihi_unet.spiking.layer import Connection, Layer


def apply(connection: Connection, value: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return what a connection makes of what its source sends.

    Parameters
    ----------
    connection : Connection
        Kind, weight and geometry.
    value : Tensor, shape (B, C, H, W), float
        What the source sends.
    bias : Tensor, shape (C_out,), optional
        Added by the same convolution.

    Returns
    -------
    Tensor, shape (B, C_out, H_out, W_out), dtype of `value`
        What arrives.
    """
    place = connection.place
    if connection.weight is None:
        if connection.kind == "average_pool":
            value = functional.avg_pool2d(value, place.stride)
        return value if bias is None else value + bias[:, None, None]
    weight = connection.weight.to(value)
    if connection.kind == "conv":
        return functional.conv2d(
            value,
            weight,
            bias,
            stride=place.stride,
            padding=place.padding,
            dilation=place.dilation,
            groups=place.groups,
        )
    return functional.conv_transpose2d(
        value,
        weight,
        bias,
        stride=place.stride,
        padding=place.padding,
        output_padding=place.output_padding,
    )


def dense(connection: Connection) -> Connection:
    """Return a convolution of one channel group, zeros between those it had."""
    groups = connection.place.groups
    if connection.weight is None or groups == 1:
        return connection
    parts = connection.weight.chunk(groups)
    rows, width = parts[0].shape[:2]
    shape = (rows * groups, width * groups, *parts[0].shape[2:])
    full = connection.weight.new_zeros(shape)
    for n, part in enumerate(parts):
        full[n * rows : (n + 1) * rows, n * width : (n + 1) * width] = part
    place = replace(connection.place, groups=1)
    return replace(connection, weight=full, geometry=place)


def columns(values: Any, connection: Connection) -> Any:
    """Shape one number for each channel of a source to multiply weights by.

    Parameters
    ----------
    values : ndarray or Tensor, shape (1,) or (C_in,)
        Of the layer that sends.
    connection : Connection
        With weights.

    Returns
    -------
    ndarray or Tensor
        Broadcasts over the connection's weights.
    """
    if connection.kind == "conv_transpose":
        return values.reshape(-1, 1, 1, 1)
    groups = connection.place.groups
    if groups == 1 or len(values) == 1:
        return values.reshape(1, -1, 1, 1)
    assert connection.weight is not None  # a pool has no weights to multiply
    rows = connection.weight.shape[0]
    group = np.arange(rows) // (rows // groups)
    return values.reshape(groups, -1)[group][:, :, None, None]


def entering(layers: Iterable[Layer]) -> int:
    """Return how many channels the input of a network has."""
    without = 0
    for layer in layers:
        for c in layer.connections:
            if c.source != INPUT:
                continue
            if c.weight is None:
                without = layer.channels
            elif c.kind == "conv_transpose":
                return int(c.weight.shape[0])
            else:
                return int(c.weight.shape[1]) * c.place.groups
    return without


def relative_sides(layers: Iterable[Layer]) -> dict[str, tuple[Fraction, Fraction]]:
    """Return each layer's sides as a share of the input's, borders left out.

    Parameters
    ----------
    layers : iterable of Layer
        In topological order.

    Returns
    -------
    dict[str, tuple[Fraction, Fraction]]
        (H, W) by name, ``"input"`` included.
    """
    sides = {INPUT: (Fraction(1), Fraction(1))}
    for layer in layers:
        c = layer.connections[0]
        (h, w), (sh, sw) = sides[c.source], c.place.stride
        up = c.kind == "conv_transpose"
        sides[layer.name] = (h * sh, w * sw) if up else (h / sh, w / sw)
    return sides


def side_multiple(layers: Iterable[Layer]) -> int:
    """Return what a picture's sides must be multiples of, so that branches meet."""
    sides = relative_sides(layers).values()
    return math.lcm(*(side.denominator for pair in sides for side in pair))
