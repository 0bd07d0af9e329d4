# SPDX-License-Identifier: BSD-3-Clause
"""oneDNN's convolutions, and the plain one that they are compared with.

`sim.torch.int8` decides which of them is used where.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from export.synapse import Conv, Pair

onednn = torch.ops.onednn  # type: ignore[attr-defined]

#: Terms of a sum that int32 holds whatever the values: 2**31 / (255 * 128).
MAX_TERMS = 2**16
CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Everything about a convolution but its values.

    Parameters
    ----------
    weight : tuple of int
        (C_out, C_in // groups, K_h, K_w).
    stride, padding, dilation : tuple of int
        Along (H, W).
    groups : int
        Channel groups.
    """

    weight: tuple[int, int, int, int]
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    @classmethod
    def of(cls, conv: Conv) -> Geometry:
        """Geometry of a synapse."""
        c_out, c_in, height, width = conv.weight.shape
        return cls(
            weight=(c_out, c_in, height, width),
            stride=conv.stride,
            padding=conv.padding,
            dilation=conv.dilation,
            groups=conv.groups,
        )

    @property
    def terms(self) -> int:
        """Products in a sum."""
        return self.weight[1] * self.weight[2] * self.weight[3]


class OneDnnConv:
    """Convolution of uint8 by int8 on the CPU: ``sum * scale + bias``.

    The operators are those that torch's own quantisation lowers to
    (``torch.ops.onednn``; torch 2.3.1 and 2.13 were tried).

    Parameters
    ----------
    levels : Tensor, shape (C_out, C_in // groups, K_h, K_w), int8
        Weight levels.
    scale : int or Tensor, shape (C_out,), float32
        Power of two, or a factor for each channel.
    bias : Tensor or None, shape (C_out,), float32
        What to add.
    geometry : sequence of sequence of int
        Stride, padding and dilation, each along (H, W).
    groups : int
        Channel groups.
    dtype : torch.dtype
        float32, or uint8: rounded to the nearest integer and held within 0..255.
    """

    def __init__(
        self,
        levels: Tensor,
        scale: int | Tensor,
        bias: Tensor | None,
        geometry: tuple[Sequence[int], Sequence[int], Sequence[int]],
        groups: int,
        *,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.geometry = [list(pair) for pair in geometry]
        self.groups = groups
        self.bias = bias
        self.dtype = dtype
        # Whatever the caller's default dtype and device are.
        if not isinstance(scale, Tensor):
            scale = torch.full(
                (len(levels),), float(scale), dtype=torch.float32, device=CPU
            )
        self.scales = scale
        self.zero_points = torch.zeros(len(levels), dtype=torch.int64, device=CPU)
        self.levels = levels
        # oneDNN chooses the layout of the weights by the payload's shape; with
        # another layout it would reorder them at every call.
        self.packed: dict[torch.Size, Tensor] = {}

    def __call__(self, payload: Tensor, bias: Tensor | None = None) -> Tensor:
        """Sums for a payload.

        Parameters
        ----------
        payload : Tensor, shape (N, C_in, H, W), uint8, channels last
            At most 127, or 255 where `payload_limit` says so.
        bias : Tensor or None, shape (C_out,), float32
            Instead of the usual one.

        Returns
        -------
        Tensor, shape (N, C_out, H_out, W_out), ``dtype``, channels last
        """
        payload = channels_last(payload)
        packed = self.packed.get(payload.shape)
        if packed is None:
            packed = onednn.qconv_prepack(
                *(self.levels, self.scales, 1.0, 0, *self.geometry, self.groups),
                list(payload.shape),
            )
            self.packed[payload.shape] = packed
        sums: Tensor = onednn.qconv2d_pointwise(
            *(payload, 1.0, 0, packed, self.scales, self.zero_points),
            *(self.bias if bias is None else bias, *self.geometry, self.groups),
            *(1.0, 0, self.dtype, "none", [], ""),
        )
        return sums


def channels_last(x: Tensor) -> Tensor:
    """Return the same values, with the strides of channels last even where a side is 1.

    There torch takes several strides for contiguous, and oneDNN goes different ways.
    """
    count, channels, height, width = x.shape
    strides = (height * width * channels, 1, width * channels, channels)
    x = x.contiguous(memory_format=torch.channels_last)
    return x.as_strided((count, channels, height, width), strides)


def may_be_tried(geometry: Geometry) -> bool:
    """Whether there is a size at which the int8 convolution may be tried.

    At others it ends the process (`every_output_reads`), or its sums leave int32.
    """
    return geometry.terms <= MAX_TERMS and padding_is_reached(geometry)


def padding_is_reached(geometry: Geometry) -> bool:
    """Whether no padding lies beyond what the kernel reaches."""
    return all(
        padding <= dilation * (kernel - 1)
        for padding, dilation, kernel in zip(
            geometry.padding, geometry.dilation, geometry.weight[2:], strict=True
        )
    )


def every_output_reads(geometry: Geometry, size: Sequence[int]) -> bool:
    """Whether every output has a tap within a picture of that (H, W).

    Where one reads the padding alone, oneDNN's kernels for some processors end the
    process: a kernel dilated so far that a small picture lies between two of its taps.
    """
    return all(
        _reads(*along)
        for along in zip(
            size,
            geometry.weight[2:],
            geometry.stride,
            geometry.padding,
            geometry.dilation,
            strict=True,
        )
    )


@functools.lru_cache(maxsize=4096)
def _reads(size: int, kernel: int, stride: int, padding: int, dilation: int) -> bool:
    first = range(-padding, size + padding - dilation * (kernel - 1), stride)
    return all(
        any(0 <= start + tap * dilation < size for tap in range(kernel))
        for start in first
    )


def conv2d(
    geometry: Geometry, x: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """Return a float convolution, as `every_output_reads` would have it.

    Elsewhere the padding is written beside the values.
    """
    padding = geometry.padding
    if not every_output_reads(geometry, x.shape[2:]):
        x = functional.pad(x, (padding[1], padding[1], padding[0], padding[0]))
        padding = (0, 0)
    x, weight = channels_last(x), channels_last(weight)
    return functional.conv2d(
        *(x, weight, bias, geometry.stride, padding),
        *(geometry.dilation, geometry.groups),
    )


def by_taps(geometry: Geometry, x: Tensor, weight: Tensor) -> Tensor:
    """Return the sums in float64: one matrix product for each place in the kernel."""
    (ph, pw), (sh, sw) = geometry.padding, geometry.stride
    (dh, dw), (kh, kw) = geometry.dilation, geometry.weight[2:]
    padded = functional.pad(x, (pw, pw, ph, ph))
    height = (padded.shape[2] - dh * (kh - 1) - 1) // sh + 1
    width = (padded.shape[3] - dw * (kw - 1) - 1) // sw + 1
    grouped = padded.unflatten(1, (geometry.groups, -1))  # type: ignore[no-untyped-call]
    matrices = weight.reshape(geometry.groups, -1, *weight.shape[1:])
    sums: Tensor | None = None
    for ky in range(kh):
        rows = slice(ky * dh, ky * dh + (height - 1) * sh + 1, sh)
        for kx in range(kw):
            columns = slice(kx * dw, kx * dw + (width - 1) * sw + 1, sw)
            tap = torch.einsum(
                "ngchw,goc->ngohw",
                grouped[..., rows, columns],
                matrices[..., ky, kx],
            )
            sums = tap if sums is None else sums.add_(tap)
    assert sums is not None  # a kernel has a place
    return sums.flatten(1, 2)
