# SPDX-License-Identifier: BSD-3-Clause
"""Integer convolution by matrix products: the sums of lava.proc.conv.utils.conv.

Why floating point is exact here
--------------------------------
Let B be the largest sum of |weight| of an output channel times the largest
|payload| of this message. Whatever the order, every product and every partial
sum of a direct evaluation is an integer of magnitude at most B, and so is what
a fused multiply-add rounds. float32 holds all integers up to 2**24 and float64
up to 2**53, hence nothing rounds while B stays below that, and a BLAS matrix
product adds plain products only. Stock Conv adds the same integers in float64
(scipy.signal.convolve2d) and casts the result to int32; so does this.
From B = 2**53 on, stock's own sums depend on their order; there stock's function
itself is called.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from lava.proc.conv import utils
from numpy.lib.stride_tricks import as_strided

from export.synapse import IntArray, Pair, Shape

FLOAT32_EXACT = 2**24
FLOAT64_EXACT = 2**53
# Gathered windows are multiplied in blocks of about this many elements, so that
# they stay in a core's cache and a large image needs no large buffer.
BLOCK_ELEMENTS = 2**18

Float = npt.NDArray[np.floating[Any]]
FloatType = type[np.float32] | type[np.float64]


class ExactConv:
    """Convolution with fixed weights, Lava's axes and Lava's integers.

    Parameters
    ----------
    weight : ndarray, shape (C_out, K_w, K_h, C_in // groups), int32
        Kernels of a true convolution.
    stride, padding, dilation : tuple of int
        Along (W, H).
    groups : int
        Channel groups.
    """

    def __init__(
        self,
        weight: IntArray,
        *,
        stride: Pair,
        padding: Pair,
        dilation: Pair,
        groups: int,
    ) -> None:
        self.weight = weight
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.groups = groups
        wide = np.abs(weight.astype(np.int64))
        self.absolute_sum = int(wide.sum(axis=(1, 2, 3)).max())
        self._prepared: dict[tuple[Shape, FloatType], _Prepared] = {}

    def bound(self, payload: IntArray) -> int:
        """Largest magnitude that a sum over this payload may have."""
        peak = max(int(payload.max()), -int(payload.min()))
        return self.absolute_sum * peak

    def __call__(self, payload: IntArray) -> npt.NDArray[np.int32]:
        """Sums of one message.

        Parameters
        ----------
        payload : ndarray, shape (W, H, C_in), any integer dtype or bool
            Graded or binary spikes.

        Returns
        -------
        ndarray, shape (W_out, H_out, C_out), int32
            As lava.proc.conv.utils.conv, before its wrap to 24 bits.
        """
        with np.errstate(invalid="ignore"):  # beyond int32 as stock's cast
            return self.sums(payload).astype(np.int32)

    def sums(self, payload: IntArray) -> Float:
        """As `__call__`, in floating point, where large sums stay what they are.

        The array belongs to this object and holds until the next call.
        """
        if payload.dtype == np.bool_:
            payload = payload.view(np.int8)
        bound = self.bound(payload)
        if bound >= FLOAT64_EXACT:
            result: Float = utils.conv_scipy(
                payload,
                self.weight,
                self.weight.shape[1:3],
                self.stride,
                self.padding,
                self.dilation,
                self.groups,
            )
            return result
        dtype: FloatType = np.float32 if bound < FLOAT32_EXACT else np.float64
        width, height, channels = payload.shape
        key = ((width, height, channels), dtype)
        if key not in self._prepared:
            self._prepared[key] = _Prepared(self, *key)
        return self._prepared[key].sums(payload)


class _Prepared:
    """Kernel matrices and buffers for messages of one shape, in one dtype."""

    def __init__(self, conv: ExactConv, shape: Shape, dtype: FloatType) -> None:
        width, height, channels = shape
        c_out, _, _, c_in = conv.weight.shape
        (pw, ph), self.groups = conv.padding, conv.groups
        image: Float = np.zeros((width + 2 * pw, height + 2 * ph, channels), dtype)
        self.inside = image[pw : pw + width, ph : ph + height]
        # The window positions that any kernel uses: the phases of a transposed
        # convolution leave some empty.
        flipped = conv.weight[:, ::-1, ::-1]
        used = (flipped != 0).any(axis=(0, 3))
        box = tuple(_extent(used.any(axis=1 - axis)) for axis in range(2))
        self.windows = _windows(image, conv, box)
        kernel: Float = flipped[:, box[0], box[1]].astype(dtype)
        self.total: Float = np.zeros((*self.windows.shape[:2], c_out), dtype)
        if c_out == self.groups and c_in == 1:
            self.taps = [
                (x, y, _scalar_if_uniform(kernel[:, x, y, 0]))
                for x, y in np.ndindex(*kernel.shape[1:3])
            ]
            self.sums = self._depthwise
            return
        # Per group: (taps * C_in/G, C_out/G).
        per_group = kernel.reshape(self.groups, c_out // self.groups, -1)
        self.matrices: Float = np.ascontiguousarray(per_group.transpose(0, 2, 1))
        row = self.windows[0, ..., :c_in]
        self.rows = max(1, BLOCK_ELEMENTS // max(1, row.size))
        self.gathered: Float = np.empty((self.rows, *row.shape), dtype)
        self.sums = self._products

    def _products(self, payload: IntArray) -> Float:
        """Gather a block of windows, one matrix product per group."""
        self.inside[...] = payload
        _, inputs, outputs = self.matrices.shape
        c_in = self.gathered.shape[-1]
        for first in range(0, len(self.windows), self.rows):
            windows = self.windows[first : first + self.rows]
            block = self.gathered[: len(windows)]
            total = self.total[first : first + self.rows].reshape(
                -1, self.total.shape[2]
            )
            for g, matrix in enumerate(self.matrices):
                block[...] = windows[..., g * c_in : (g + 1) * c_in]
                columns = slice(g * outputs, (g + 1) * outputs)
                np.matmul(block.reshape(-1, inputs), matrix, out=total[:, columns])
        return self.total

    def _depthwise(self, payload: IntArray) -> Float:
        """One channel in, one out: scale and add per window position."""
        self.inside[...] = payload
        self.total[...] = 0
        for x, y, weight in self.taps:
            self.total += self.windows[:, :, x, y] * weight
        return self.total


def _extent(used: npt.NDArray[np.bool_]) -> slice:
    """From the first to the last true entry; one entry if there is none."""
    places = np.flatnonzero(used)
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 1)


def _windows(image: Float, conv: ExactConv, box: tuple[slice, ...]) -> Float:
    """View (W_out, H_out, taps along W, along H, C) of a padded image."""
    shape, taps, steps, positions = [], [], [], []
    for axis, part in enumerate(box):
        dilation, stride = conv.dilation[axis], conv.stride[axis]
        span = dilation * (conv.weight.shape[1 + axis] - 1)
        shape.append((image.shape[axis] - span - 1) // stride + 1)
        taps.append(part.stop - part.start)
        steps.append(image.strides[axis] * stride)
        positions.append(image.strides[axis] * dilation)
    first = [part.start * d for part, d in zip(box, conv.dilation, strict=True)]
    return as_strided(
        image[first[0] :, first[1] :],
        (*shape, *taps, image.shape[2]),
        (*steps, *positions, image.strides[2]),
        writeable=False,
    )


def _scalar_if_uniform(weight: Float) -> Float:
    """One value for all channels where there is one: NumPy is faster with it."""
    return weight[:1] if (weight == weight[0]).all() else weight
