# SPDX-License-Identifier: BSD-3-Clause
"""Taps as the convolution, or the transposed one, that does them."""

from __future__ import annotations

import math

from torch import Tensor, cat

from loihi_unet.frontend.module.taps import Taps
from loihi_unet.networks.topology import ConnectionKind
from loihi_unet.spiking.layer import Geometry, Pair


def trimmed(taps: Taps) -> Taps:
    """Return the map without borders of zeros; not for a map that is all zeros."""
    weight, offset = taps.weight, list(taps.offset)
    for axis in (0, 1):
        other = [n for n in range(4) if n != 2 + axis]
        used = weight.abs().sum(dim=other).nonzero().flatten().tolist()
        low, high = used[0], used[-1]
        weight = weight.narrow(2 + axis, low, high - low + 1)
        offset[axis] += low
    return Taps(
        weight=weight, offset=(offset[0], offset[1]), down=taps.down, up=taps.up
    )


def placed(
    taps: Taps, entering: Pair, leaving: Pair
) -> tuple[ConnectionKind, Tensor, Geometry]:
    """Return a map as a convolution or a transposed one.

    Parameters
    ----------
    taps : Taps
        Not all zeros.
    entering, leaving : tuple of int
        (H, W) of source and destination.

    Returns
    -------
    kind : str
        ``"conv"`` or ``"conv_transpose"``.
    weight : Tensor
        In torch's order.
    geometry : Geometry
        Zeros beside the taps make the windows fit.
    """
    taps = trimmed(taps)
    if taps.up == (1, 1):
        return _as_conv(taps, entering, leaving)
    assert taps.down == (1, 1)  # composable keeps it so
    return _as_transposed(taps, entering, leaving)


def _as_conv(
    taps: Taps, entering: Pair, leaving: Pair
) -> tuple[ConnectionKind, Tensor, Geometry]:
    weight, paddings, dilations = taps.weight.flip(2, 3), [], []
    for axis in (0, 1):
        highest = taps.highest(axis)
        padding, before = max(highest, 0), max(-highest, 0)
        kernel = weight.shape[2 + axis] + before
        stride, target = taps.down[axis], leaving[axis]
        after = 0
        while (size := (entering[axis] + 2 * padding - kernel) // stride + 1) != target:
            kernel += 1
            if size > target:
                after += 1
            else:
                padding, before = padding + 1, before + 1
        weight = _extended(weight, 2 + axis, before, after)
        other = [n for n in range(4) if n != 2 + axis]
        used = weight.abs().sum(dim=other).nonzero().flatten().tolist()
        dilation = max(1, math.gcd(*used, kernel - 1))
        weight = weight[(slice(None),) * (2 + axis) + (slice(None, None, dilation),)]
        paddings.append(padding)
        dilations.append(dilation)
    weight, groups = _grouped(weight)
    geometry = Geometry(
        stride=taps.down,
        padding=(paddings[0], paddings[1]),
        dilation=(dilations[0], dilations[1]),
        groups=groups,
    )
    return "conv", weight, geometry


def _as_transposed(
    taps: Taps, entering: Pair, leaving: Pair
) -> tuple[ConnectionKind, Tensor, Geometry]:
    weight, paddings, more = taps.weight, [], []
    for axis in (0, 1):
        offset, stride = taps.offset[axis], taps.up[axis]
        padding, before, after = max(-offset, 0), max(offset, 0), 0
        kernel = weight.shape[2 + axis] + before
        missing = leaving[axis] - ((entering[axis] - 1) * stride - 2 * padding + kernel)
        while missing < 0:
            padding, before, missing = padding + 1, before + 1, missing + 1
        while missing >= stride:
            after, missing = after + 1, missing - 1
        weight = _extended(weight, 2 + axis, before, after)
        paddings.append(padding)
        more.append(missing)
    geometry = Geometry(
        stride=taps.up,
        padding=(paddings[0], paddings[1]),
        output_padding=(more[0], more[1]),
    )
    return "conv_transpose", weight.transpose(0, 1), geometry


def _extended(weight: Tensor, axis: int, before: int, after: int) -> Tensor:
    if not before and not after:
        return weight
    shape = list(weight.shape)
    shape[axis] += before + after
    full = weight.new_zeros(shape)
    full.narrow(axis, before, weight.shape[axis]).copy_(weight)
    return full


def _grouped(weight: Tensor) -> tuple[Tensor, int]:
    """Return weights without the zeros between channel groups."""
    rows, columns = weight.shape[:2]
    common = math.gcd(rows, columns)
    used = weight.abs().sum(dim=(2, 3)).nonzero()
    for groups in range(common, 1, -1):
        if common % groups:
            continue
        tall, wide = rows // groups, columns // groups
        if bool((used[:, 0] // tall == used[:, 1] // wide).all()):
            parts = [
                weight[n * tall : (n + 1) * tall, n * wide : (n + 1) * wide]
                for n in range(groups)
            ]
            return cat(parts), groups
    return weight, 1
