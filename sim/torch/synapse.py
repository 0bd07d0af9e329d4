# SPDX-License-Identifier: BSD-3-Clause
"""Synapses in torch: every kind becomes one plain convolution of a whole batch.

`sim.torch.exact` says why the results are exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import assert_never

from export.network import Connection
from export.synapse import AveragePool, Conv, ConvTranspose, Pair, Shape, Synapse
from sim.torch import int8 as torch_int8
from sim.torch.exact import conv_dtype
from sim.torch.int8 import INT8_PAYLOAD, UINT8_PAYLOAD, convolve
from sim.torch.onednn import Geometry, OneDnnConv, may_be_tried

#: Payload (N, C_in, H, W) to sums (N, C_out, H_out, W_out), both channels last.
Sums = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Phases:
    """How a transposed convolution's output interleaves a convolution's channels.

    Parameters
    ----------
    stride : tuple of int
        (s_h, s_w); the channels are ordered (s_h, s_w, C).
    first : tuple of int
        Row and column at which the wanted part of the convolution's output begins.
    shape : tuple of int
        (C, H, W) of the result.
    """

    stride: Pair
    first: Pair
    shape: Shape

    def __call__(self, sums: Tensor) -> Tensor:
        """Interleave (N, s_h * s_w * C, H', W') to (N, C, H, W), channels last."""
        (sh, sw), (top, left), (channels, height, width) = (
            self.stride,
            self.first,
            self.shape,
        )
        rows, columns = -(-height // sh), -(-width // sw)
        part = sums.permute(0, 2, 3, 1)[:, top : top + rows, left : left + columns]
        if channels * part.itemsize % 16 == 0:
            # 16 bytes at a time, whatever they mean.
            part = part.view(torch.complex128)
        part = part.reshape(len(sums), rows, columns, sh, sw, -1)
        part = part.permute(0, 1, 3, 2, 4, 5)
        pixels = part.reshape(len(sums), rows * sh, columns * sw, -1)
        pixels = pixels.view(sums.dtype)
        return pixels[:, :height, :width].permute(0, 3, 1, 2)


def as_convolution(synapse: Synapse, shape: Shape) -> tuple[Conv, Phases | None]:
    """Express a synapse as a convolution.

    Parameters
    ----------
    synapse : Synapse
        Any kind.
    shape : tuple of int
        (C, H, W) of the source.

    Returns
    -------
    conv : Conv
        Gives the same sums.
    phases : Phases or None
        What is left to do to its output.
    """
    match synapse:
        case Conv():
            return synapse, None
        case AveragePool():
            size = (synapse.channels, 1, *synapse.kernel_size)
            weight = np.full(size, synapse.weight_mant, dtype=np.int32)
            groups, stride = synapse.channels, synapse.kernel_size
            return Conv(weight=weight, stride=stride, groups=groups), None
        case ConvTranspose():
            return _transpose_as_convolution(synapse, shape)
        case _:
            assert_never(synapse)


def _transpose_as_convolution(
    synapse: ConvTranspose, shape: Shape
) -> tuple[Conv, Phases]:
    """One channel block per phase of the output.

    Output ``y = q * s + a`` gets source row ``q + d`` through tap
    ``a + p - d * s``, so all phases are convolutions over the source's rows. They
    share one kernel of the offsets d that any phase has.
    """
    result = synapse.output_shape(shape)
    c_in, c_out = synapse.weight.shape[:2]
    axes = [
        _offsets(k, s, p, -(-out // s) - n)
        for k, s, p, out, n in zip(
            synapse.weight.shape[2:],
            synapse.stride,
            synapse.padding,
            result[1:],
            shape[1:],
            strict=True,
        )
    ]
    (low_y, size_y, pad_y), (low_x, size_x, pad_x) = axes
    sh, sw = synapse.stride
    weight = np.zeros((sh, sw, c_out, c_in, size_y, size_x), dtype=np.int32)
    for ky in range(synapse.weight.shape[2]):
        dy, a = _source(ky, sh, synapse.padding[0])
        for kx in range(synapse.weight.shape[3]):
            dx, b = _source(kx, sw, synapse.padding[1])
            weight[a, b, :, :, dy - low_y, dx - low_x] = synapse.weight[:, :, ky, kx].T
    conv = Conv(
        weight=weight.reshape(sh * sw * c_out, c_in, size_y, size_x),
        padding=(pad_y, pad_x),
    )
    first = (low_y + pad_y, low_x + pad_x)
    return conv, Phases(stride=synapse.stride, first=first, shape=result)


def _source(tap: int, stride: int, padding: int) -> tuple[int, int]:
    """Offset d and phase a of a tap: ``tap = a + padding - d * stride``."""
    a = (tap - padding) % stride
    return (a + padding - tap) // stride, a


def _offsets(kernel: int, stride: int, padding: int, more: int) -> tuple[int, int, int]:
    """Smallest offset, number of offsets, and padding along one axis.

    ``more`` is how many rows of the output's grid the source does not have.
    """
    offsets = [_source(tap, stride, padding)[0] for tap in range(kernel)]
    low, high = min(offsets), max(offsets)
    return low, high - low + 1, max(0, -low, high + more)


def int8_fits(connection: Connection, magnitude: int, signed: bool) -> bool:
    """Whether payloads and sums of a connection suit an int8 convolution.

    Payloads beyond 127 suit one where the processor does not saturate; `prepare` knows.
    """
    if signed or magnitude > UINT8_PAYLOAD:
        return False
    return conv_dtype(connection, magnitude) == torch.float32


def prepare(
    connection: Connection,
    shape: Shape,
    *,
    bias: Tensor | None,
    dtype: torch.dtype,
    magnitude: int | None,
    device: torch.device,
) -> Sums:
    """Make the function that gives a connection's shifted sums, plus a bias.

    Parameters
    ----------
    connection : Connection
        Synapse and exponent.
    shape : tuple of int
        (C, H, W) of the source.
    bias : Tensor or None, shape (C_out,)
        Of ``dtype``, added to every sum.
    dtype : torch.dtype
        float32 or float64, in which the results are exact.
    magnitude : int or None
        Largest payload if `int8_fits`; None: floating point does it.
    device : torch.device
        Where the payloads are.

    Returns
    -------
    callable
        Payload of any integer dtype, or float, to sums of ``dtype``.
    """
    conv, phases = as_convolution(connection.synapse, shape)
    if bias is not None and phases is not None:
        bias = bias.repeat(math.prod(phases.stride))
    sums: Sums | None = None
    if magnitude is not None and dtype == torch.float32:
        sums = _int8_conv(conv, connection.weight_exp, bias, magnitude, device)
    if sums is None:
        sums = FloatConv(conv, 1 << connection.weight_exp, bias, dtype, device)
    if phases is None:
        return sums
    return lambda payload: phases(sums(payload))


def _int8_conv(
    conv: Conv,
    weight_exp: int,
    bias: Tensor | None,
    magnitude: int,
    device: torch.device,
) -> Sums | None:
    """Make an int8 convolution; None where there is none."""
    limit = INT8_PAYLOAD if magnitude <= INT8_PAYLOAD else UINT8_PAYLOAD
    kernel = int8_kernel(device)
    if kernel == "onednn" and limit <= torch_int8.payload_limit():
        geometry = Geometry.of(conv)
        if not may_be_tried(geometry):
            return None
        fast = OneDnnConv(
            torch.from_numpy((conv.weight // 2).astype(np.int8)),
            2 << weight_exp,
            bias,
            (conv.stride, conv.padding, conv.dilation),
            conv.groups,
        )
        plain = partial(FloatConv, conv, 1 << weight_exp, bias, torch.float32, device)
        return ProvenConv(geometry, limit, fast, plain)
    if kernel == "matmul" and limit == INT8_PAYLOAD and conv.groups == 1:
        return MatmulConv(conv, 2 << weight_exp, bias, device)
    return None


def int8_kernel(device: torch.device) -> Literal["onednn", "matmul"] | None:
    """Name what convolves int8 on a device; None: nothing, floating point must."""
    if device.type == "cuda":
        return "matmul"
    return "onednn" if torch_int8.has_onednn_int8() else None


class ProvenConv:
    """The int8 convolution in shapes in which it is exact, floating point in others.

    Parameters
    ----------
    geometry : Geometry
        One that `sim.torch.onednn.may_be_tried`.
    limit : int
        Largest payload, 127 or 255.
    fast : OneDnnConv
        The sums in int8.
    make_plain : callable
        Makes what gives them in floating point, once it is needed.
    """

    def __init__(
        self,
        geometry: Geometry,
        limit: int,
        fast: OneDnnConv,
        make_plain: Callable[[], FloatConv],
    ) -> None:
        self.geometry = geometry
        self.limit = limit
        self.fast = fast
        self.plain = cache(make_plain)

    def __call__(self, payload: Tensor) -> Tensor:
        """Sums for a uint8 payload (N, C_in, H, W)."""
        shape = tuple(payload.shape)
        exact = torch_int8.is_exact(self.geometry, shape, self.limit)
        return self.fast(payload) if exact else self.plain()(payload)


class FloatConv:
    """Convolution in float32 or float64 on any device.

    Parameters
    ----------
    conv : Conv
        Mantissas and geometry.
    scale : int
        Power of two on the mantissas.
    bias : Tensor or None, shape (C_out,)
        Of ``dtype``.
    dtype : torch.dtype
        In which the sums are exact.
    device : torch.device
        Where the payloads are.
    """

    def __init__(
        self,
        conv: Conv,
        scale: int,
        bias: Tensor | None,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        weight = torch.from_numpy(conv.weight.astype(np.float64) * scale)
        self.weight = weight.to(device, dtype, memory_format=torch.channels_last)
        self.bias = bias
        self.geometry = (conv.stride, conv.padding, conv.dilation, conv.groups)

    def __call__(self, payload: Tensor) -> Tensor:
        """Sums for a payload (N, C_in, H, W)."""
        x = payload.to(self.weight.dtype)
        sums = convolve(x, self.weight, self.bias, *self.geometry)
        return sums.contiguous(memory_format=torch.channels_last)


class MatmulConv:
    """Convolution of int8 as a matrix product in int32 (``torch._int_mm``).

    Integer tensor cores on CUDA; also runs on CPU from torch 2.4 on. Exact because
    no number is ever rounded:

    - The windows are copies of payloads (`as_strided`), not transforms of them: no
      Winograd, no FFT. Factors are int8 integers, so TF32, which shortens float32
      mantissas, has nothing to act on.
    - Each product has magnitude at most 127 * 128 < 2**14, and a sum has K_h * K_w *
      C_in of them; `int8_fits` asks that ``sum|level| * max payload < 2**24``, so
      every partial sum, in whatever order, lies far inside int32. Padding adds zeros.
    - ``bias + scale * sum`` in float32: the sum converts exactly (< 2**24), a power
      of two moves its exponent only, and `sim.torch.plan` chose float32 because the
      result stays below 2**24 too (with or without a fused multiply-add).

    Parameters
    ----------
    conv : Conv
        Mantissas and geometry, one group.
    scale : int
        Power of two on the levels.
    bias : Tensor or None, shape (C_out,), float32
        Integers to add.
    device : torch.device
        Where the payloads are.
    """

    def __init__(
        self, conv: Conv, scale: int, bias: Tensor | None, device: torch.device
    ) -> None:
        self.conv = conv
        self.scale = scale
        if bias is None:
            bias = torch.zeros(len(conv.weight), dtype=torch.float32, device=device)
        self.bias = bias.to(device)
        levels = torch.from_numpy((conv.weight // 2).astype(np.int8))
        # Rows in the order of `_windows`: (K_h, K_w, C_in); both sides in eights,
        # which cuBLASLt asks for.
        matrix = levels.permute(2, 3, 1, 0).flatten(0, 2)
        rows, columns = matrix.shape
        padded = functional.pad(matrix, (0, -columns % 8, 0, -rows % 8))
        self.matrix = padded.to(device).contiguous()

    def __call__(self, payload: Tensor) -> Tensor:
        """Sums for a uint8 payload (N, C_in, H, W), at most 127."""
        windows, height, width = self._windows(payload.view(torch.int8))
        count, taps = windows.shape
        # cuBLASLt wants more than 16 rows. Padding by nothing would copy it all.
        short = (len(self.matrix) - taps, max(0, 17 - count))
        if any(short):
            windows = functional.pad(windows, (0, short[0], 0, short[1]))
        sums = torch._int_mm(windows, self.matrix)[:count, : len(self.bias)]
        # One pass over memory: the integers become float32 on the way.
        result = torch.add(self.bias, sums, alpha=self.scale)
        return result.view(len(payload), height, width, -1).permute(0, 3, 1, 2)

    def _windows(self, payload: Tensor) -> tuple[Tensor, int, int]:
        """Matrix of (N * H_out * W_out, K_h * K_w * C_in), and H_out, W_out."""
        (ph, pw), (sh, sw) = self.conv.padding, self.conv.stride
        (dh, dw), (kh, kw) = self.conv.dilation, self.conv.weight.shape[2:]
        pixels = functional.pad(payload.permute(0, 2, 3, 1), (0, 0, pw, pw, ph, ph))
        count, rows, columns, channels = pixels.shape
        height = (rows - dh * (kh - 1) - 1) // sh + 1
        width = (columns - dw * (kw - 1) - 1) // sw + 1
        n, y, x, c = pixels.stride()
        windows = pixels.as_strided(
            (count, height, width, kh, kw, channels),
            (n, y * sh, x * sw, y * dh, x * dw, c),
        )
        matrix = windows.reshape(count * height * width, kh * kw * channels)
        return matrix, height, width
