# SPDX-License-Identifier: BSD-3-Clause
"""One connection without its weights: what reaches what, along each image axis."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from export.errors import NetworkError
from export.synapse import Pair, Shape

Bools = npt.NDArray[np.bool_]


@lru_cache(maxsize=1024)
def _reach(
    source_length: int,
    target_length: int,
    kernel: int,
    stride: int,
    padding: int,
    dilation: int,
    transposed: bool,
) -> Bools:
    source, target = np.arange(source_length), np.arange(target_length)
    taps = np.arange(kernel) * dilation - padding
    if transposed:
        hit = source[:, None, None] * stride + taps == target[None, :, None]
    else:
        hit = target[None, :, None] * stride + taps == source[:, None, None]
    result: Bools = hit.any(axis=2)
    result.flags.writeable = False
    return result


@dataclass(frozen=True, kw_only=True)
class Link:
    """One connection: its geometry along both image axes, and its channels.

    Parameters
    ----------
    source : str
        Name of the node the payload comes from.
    source_shape, shape : tuple of int
        (C, H, W) of source and target.
    kernel, stride, padding, dilation : tuple of int
        Along (H, W).
    transposed : bool
        True for a transposed convolution.
    groups : int
        Channel groups.
    depthwise : bool
        True if each channel is treated by itself, as a pool does; ``groups`` is then
        the number of channels.
    delay : int
        Extra time steps.
    weight_exp : int
        Left shift of the sums.
    """

    source: str
    source_shape: Shape
    shape: Shape
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    transposed: bool = False
    groups: int = 1
    depthwise: bool = False
    delay: int = 0
    weight_exp: int = 0

    def reach(self, axis: int) -> Bools:
        """Which source rows (axis 0) or columns (axis 1) reach which target ones.

        Returns
        -------
        ndarray of bool, shape (source length, target length)
            Read-only.
        """
        return _reach(
            self.source_shape[1 + axis],
            self.shape[1 + axis],
            self.kernel[axis],
            self.stride[axis],
            self.padding[axis],
            self.dilation[axis],
            self.transposed,
        )

    @property
    def dense(self) -> bool:
        """Whether one output position sees the whole source: an all-to-all layer."""
        return (
            self.shape[1:] == (1, 1)
            and self.kernel == self.source_shape[1:]
            and self.padding == (0, 0)
            and self.groups == 1
        )

    @property
    def synapses(self) -> int:
        """Synapses, borders counted exactly."""
        rows, columns = int(self.reach(0).sum()), int(self.reach(1).sum())
        return rows * columns * self.source_shape[0] * self.shape[0] // self.groups

    def fan_out(self) -> npt.NDArray[np.int64]:
        """Synapses of each source position: shape (H, W), the same in each channel."""
        rows = self.reach(0).sum(axis=1, dtype=np.int64)
        columns = self.reach(1).sum(axis=1, dtype=np.int64)
        result: npt.NDArray[np.int64] = np.outer(rows, columns)
        return result * (self.shape[0] // self.groups)

    def fan_in(self) -> int:
        """Largest number of synapses of one target."""
        rows = int(self.reach(0).sum(axis=0).max())
        columns = int(self.reach(1).sum(axis=0).max())
        return rows * columns * self.source_shape[0] // self.groups


def relinked(link: Link, source: Shape, channels: int, layer: str) -> Link:
    """Same connection for another source shape and number of output channels.

    Raises
    ------
    NetworkError
        If ``layer`` cannot take that size.
    """
    sides = [_side(link, axis, source[1 + axis], layer) for axis in (0, 1)]
    if min(sides) < 1:
        raise NetworkError(f"layer '{layer}': no output left for a source of {source}")
    return replace(
        link,
        source_shape=source,
        shape=(channels, sides[0], sides[1]),
        groups=channels if link.depthwise else link.groups,
    )


def _side(link: Link, axis: int, length: int, layer: str) -> int:
    kernel, stride, padding = link.kernel[axis], link.stride[axis], link.padding[axis]
    if link.transposed:
        # What the kernel does not explain is output padding; it stays.
        kernel = link.dilation[axis] * (kernel - 1) + 1
        was = (link.source_shape[1 + axis] - 1) * stride - 2 * padding + kernel
        output_padding = link.shape[1 + axis] - was
        return (length - 1) * stride - 2 * padding + kernel + output_padding
    if link.depthwise and stride == kernel and length % kernel:
        raise NetworkError(
            f"layer '{layer}': a side of {length} found, multiples of {kernel} needed"
        )
    span = link.dilation[axis] * (kernel - 1) + 1
    return (length + 2 * padding - span) // stride + 1
