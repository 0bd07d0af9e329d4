# SPDX-License-Identifier: BSD-3-Clause
"""Linear maps between planes as taps, and what two of them in a row are.

Along each axis ``y[i] = sum of W[delta] x[m]`` over all m, with
``delta = i * down - m * up``: convolutions (up 1), transposed ones (down 1), pools,
upsampling, pixel shuffles, slices and shifts. Outside its window x is 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from loihi_unet.spiking.layer import Pair

#: Merging may multiply the number of weights by this, and add so many.
GROWTH, FREE = 8, 1 << 18


@dataclass(frozen=True, kw_only=True, eq=False)
class Taps:
    """A linear map.

    Attributes
    ----------
    weight : Tensor, shape (C_out, C_in, D_h, D_w), float64
        Along each axis for delta = offset, offset + 1, ...
    offset, down, up : tuple of int
        Along (H, W).
    """

    weight: Tensor
    offset: Pair = (0, 0)
    down: Pair = (1, 1)
    up: Pair = (1, 1)

    def scaled(self, factors: Tensor | float) -> Taps:
        """Return the map with each output channel, shape (C_out,), multiplied."""
        if isinstance(factors, Tensor):
            factors = factors.reshape(-1, 1, 1, 1)
        return Taps(
            weight=self.weight * factors,
            offset=self.offset,
            down=self.down,
            up=self.up,
        )

    def highest(self, axis: int) -> int:
        """Largest delta along an axis."""
        return self.offset[axis] + self.weight.shape[2 + axis] - 1


def pointwise(weight: Tensor) -> Taps:
    """Return the map of channels, weight of shape (C_out, C_in), at every place."""
    return Taps(weight=weight.double()[:, :, None, None])


def convolution(
    weight: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Taps:
    """Return ``torch.nn.functional.conv2d`` as taps; padding is that of the start."""
    full = _spread(_dense(weight.double(), groups), dilation).flip(2, 3)
    offset = [p - (size - 1) for p, size in zip(padding, full.shape[2:], strict=True)]
    return Taps(weight=full, offset=(offset[0], offset[1]), down=stride)


def transposed(
    weight: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Taps:
    """Return ``torch.nn.functional.conv_transpose2d`` as taps."""
    parts = weight.double().chunk(groups)
    full = _spread(
        torch.cat([_blocks(parts, index) for index in range(groups)]).transpose(0, 1),
        dilation,
    )
    return Taps(weight=full, offset=(-padding[0], -padding[1]), up=stride)


def _blocks(parts: tuple[Tensor, ...], index: int) -> Tensor:
    """Rows of one group of a transposed convolution, zeros for the other groups."""
    return torch.cat(
        [p if n == index else torch.zeros_like(p) for n, p in enumerate(parts)], dim=1
    )


def _dense(weight: Tensor, groups: int) -> Tensor:
    if groups == 1:
        return weight
    rows, columns = weight.shape[0], weight.shape[1]
    full = weight.new_zeros(rows, columns * groups, *weight.shape[2:])
    size = rows // groups
    for group in range(groups):
        part = slice(group * size, (group + 1) * size)
        full[part, group * columns : (group + 1) * columns] = weight[part]
    return full


def _spread(weight: Tensor, dilation: Pair) -> Tensor:
    if dilation == (1, 1):
        return weight
    (h, w), (dh, dw) = weight.shape[2:], dilation
    full = weight.new_zeros(*weight.shape[:2], (h - 1) * dh + 1, (w - 1) * dw + 1)
    full[:, :, ::dh, ::dw] = weight
    return full


def contained(taps: Taps, axis: int, entering: int, leaving: int) -> bool:
    """Whether the map gives 0 everywhere outside its output's window."""
    down, up = taps.down[axis], taps.up[axis]
    low, high = taps.offset[axis], taps.highest(axis) + (entering - 1) * up
    return low > -down and high < leaving * down


def _reads_inside(taps: Taps, axis: int, entering: int, leaving: int) -> bool:
    """Whether the map never looks outside its input's window."""
    down, up = taps.down[axis], taps.up[axis]
    beyond = (leaving - 1) * down - taps.offset[axis]
    return taps.highest(axis) < up and beyond < entering * up


def composable(outer: Taps, inner: Taps, sizes: tuple[Pair, Pair, Pair]) -> bool:
    """Whether `compose` is exact, borders included.

    Parameters
    ----------
    outer, inner : Taps
        The inner one is done first.
    sizes : tuple of three (H, W)
        Before, between and after them.
    """
    for axis in (0, 1):
        before, between, after = (size[axis] for size in sizes)
        if math.gcd(inner.down[axis], outer.up[axis]) != 1:
            return False
        if not (
            contained(inner, axis, before, between)
            or _reads_inside(outer, axis, between, after)
        ):
            return False
    up = tuple(a * b for a, b in zip(outer.up, inner.up, strict=True))
    down = tuple(a * b for a, b in zip(outer.down, inner.down, strict=True))
    common = [math.gcd(a, b) for a, b in zip(up, down, strict=True)]
    grows = any(u > g for u, g in zip(up, common, strict=True))
    shrinks = any(d > g for d, g in zip(down, common, strict=True))
    return not (grows and shrinks)


def compose(outer: Taps, inner: Taps) -> Taps:
    """Return the two maps in a row as one, where `composable` allows it."""
    a1, b2 = inner.down, outer.up
    d1, d2 = inner.weight.shape[2:], outer.weight.shape[2:]
    size = [
        a * (second - 1) + b * (first - 1) + 1
        for a, b, first, second in zip(a1, b2, d1, d2, strict=True)
    ]
    rows, columns = outer.weight.shape[0], inner.weight.shape[1]
    full = outer.weight.new_zeros(rows, columns, *size)
    if d2[0] * d2[1] <= d1[0] * d1[1]:
        for y in range(d2[0]):
            for x in range(d2[1]):
                tap = outer.weight[:, :, y, x]
                if tap.any():
                    part = torch.einsum("om,miyx->oiyx", tap, inner.weight)
                    full[
                        :,
                        :,
                        a1[0] * y : a1[0] * y + b2[0] * (d1[0] - 1) + 1 : b2[0],
                        a1[1] * x : a1[1] * x + b2[1] * (d1[1] - 1) + 1 : b2[1],
                    ] += part
    else:
        for y in range(d1[0]):
            for x in range(d1[1]):
                tap = inner.weight[:, :, y, x]
                if tap.any():
                    part = torch.einsum("omyx,mi->oiyx", outer.weight, tap)
                    full[
                        :,
                        :,
                        b2[0] * y : b2[0] * y + a1[0] * (d2[0] - 1) + 1 : a1[0],
                        b2[1] * x : b2[1] * x + a1[1] * (d2[1] - 1) + 1 : a1[1],
                    ] += part
    offset = [
        a * o2 + b * o1
        for a, b, o1, o2 in zip(a1, b2, inner.offset, outer.offset, strict=True)
    ]
    down = [a * b for a, b in zip(inner.down, outer.down, strict=True)]
    up = [a * b for a, b in zip(inner.up, outer.up, strict=True)]
    for axis in (0, 1):
        common = math.gcd(down[axis], up[axis])
        start = -offset[axis] % common
        full = full[(slice(None),) * (2 + axis) + (slice(start, None, common),)]
        offset[axis] = (offset[axis] + start) // common
        down[axis] //= common
        up[axis] //= common
    return Taps(
        weight=full.contiguous(),
        offset=(offset[0], offset[1]),
        down=(down[0], down[1]),
        up=(up[0], up[1]),
    )


def added(first: Taps, second: Taps) -> Taps:
    """Return the sum of two maps of equal ratios between the same planes."""
    low = [min(a, b) for a, b in zip(first.offset, second.offset, strict=True)]
    high = [max(first.highest(axis), second.highest(axis)) for axis in (0, 1)]
    size = [b - a + 1 for a, b in zip(low, high, strict=True)]
    full = first.weight.new_zeros(*first.weight.shape[:2], *size)
    for taps in (first, second):
        y, x = (a - b for a, b in zip(taps.offset, low, strict=True))
        h, w = taps.weight.shape[2:]
        full[:, :, y : y + h, x : x + w] += taps.weight
    return Taps(weight=full, offset=(low[0], low[1]), down=first.down, up=first.up)


def alike(first: Taps, second: Taps) -> bool:
    """Whether two maps have equal ratios."""
    return first.down == second.down and first.up == second.up


def mirrored(taps: Taps) -> Taps:
    """Return the map, and below it its negative."""
    return Taps(
        weight=torch.cat([taps.weight, -taps.weight]),
        offset=taps.offset,
        down=taps.down,
        up=taps.up,
    )


def affordable(outer: Taps, inner: Taps) -> bool:
    """Whether merging keeps the number of weights within bounds."""
    size = math.prod(
        a * (second - 1) + b * (first - 1) + 1
        for a, b, first, second in zip(
            inner.down,
            outer.up,
            inner.weight.shape[2:],
            outer.weight.shape[2:],
            strict=True,
        )
    )
    merged = outer.weight.shape[0] * inner.weight.shape[1] * size
    alone = outer.weight.numel() + inner.weight.numel()
    return merged <= GROWTH * alone + FREE
