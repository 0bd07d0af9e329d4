# SPDX-License-Identifier: BSD-3-Clause
"""Synapses as stock Lava convolutions.

Axes: a Network has torch's (C, H, W) and cross-correlates; Lava has (W, H, C),
weights (C_out, K_w, K_h, C_in) and truly convolves, so kernels are flipped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from lava.magma.core.process.ports.ports import InPort
from lava.proc.conv.process import Conv as LavaConv
from typing_extensions import assert_never

from export.errors import UnsupportedLayerError
from export.network import Connection
from export.synapse import (
    AveragePool,
    Conv,
    ConvTranspose,
    IntArray,
    Pair,
    Shape,
)

# lava.proc.conv.models.AbstractPyConvModel (lava-nc 0.10.0) keeps groups, stride,
# padding and dilation in int8; larger values wrap silently.
INT8_MAX = 127


@dataclass(frozen=True, kw_only=True)
class LoweredConv:
    """One stock convolution, axes along (W, H), and the phases of its output.

    Parameters
    ----------
    weight : ndarray, shape (C_out * phases, K_w, K_h, C_in // groups), int32
        Flipped kernels, the weight exponent applied.
    stride, padding, dilation : tuple of int
        Along (W, H).
    groups : int
        Channel groups, at most 127.
    phases : tuple of int
        (s_w, s_h): output channels are ordered (s_w, s_h, C) and interleaved
        into an image s_w and s_h times as large; (1, 1) for a plain convolution.
    phase_groups : int
        Blocks of output channels that are each ordered so.
    """

    weight: IntArray
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    phases: Pair
    phase_groups: int = 1

    def process(self, *, shape: Shape, num_message_bits: int, name: str) -> LavaConv:
        """Stock Conv process for a source of shape (W, H, C)."""
        return LavaConv(
            weight=self.weight,
            input_shape=shape,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            num_message_bits=num_message_bits,
            name=name,
        )

    def connect(self, conv: LavaConv, a_in: InPort) -> None:
        """Connect the convolution's output, phases interleaved, to ``a_in``."""
        if self.phases == (1, 1):
            conv.a_out.connect(a_in)
            return
        width, height, channels = (int(n) for n in conv.a_out.shape)
        (sw, sh), groups = self.phases, self.phase_groups
        channels //= sw * sh
        blocks = (width, height, groups, sw, sh, channels // groups)
        port = conv.a_out.reshape(blocks).transpose((0, 3, 1, 4, 2, 5))
        port.reshape((width * sw, height * sh, channels)).connect(a_in)


def lower(connection: Connection, source: Shape, where: str) -> LoweredConv:
    """Express a connection as one stock convolution.

    Parameters
    ----------
    connection : Connection
        Synapse and exponent.
    source : tuple of int
        Shape (C, H, W) of the source.
    where : str
        Place named in an error.

    Returns
    -------
    LoweredConv
        Gives the same shifted sums.

    Raises
    ------
    UnsupportedLayerError
        If stock Conv cannot express it.
    """
    synapse = connection.synapse
    phase_groups = 1
    match synapse:
        case Conv():
            kernel, parameters = synapse.weight, synapse
            phases = (1, 1)
        case AveragePool():
            kh, kw = synapse.kernel_size
            kernel = np.full(
                (synapse.channels, 1, kh, kw), synapse.weight_mant, dtype=np.int32
            )
            parameters = Conv(weight=kernel, stride=(kh, kw), groups=synapse.channels)
            phases = (1, 1)
        case ConvTranspose():
            kernel, padding = _phase_kernel(synapse, source, where)
            parameters = Conv(weight=kernel, padding=padding, groups=synapse.groups)
            phases = (synapse.stride[1], synapse.stride[0])
            phase_groups = synapse.groups
        case _:
            assert_never(synapse)
    for name in ("stride", "padding", "dilation"):
        value = getattr(parameters, name)
        if max(value) > INT8_MAX:
            raise UnsupportedLayerError(
                f"{where}: {name} {value} found, Lava's Conv holds up to {INT8_MAX}"
            )
    kernel, groups = _merge_groups(kernel, parameters.groups)
    flipped = kernel[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)
    return LoweredConv(
        weight=np.ascontiguousarray(flipped) << connection.weight_exp,
        stride=parameters.stride[::-1],
        padding=parameters.padding[::-1],
        dilation=parameters.dilation[::-1],
        groups=groups,
        phases=phases,
        phase_groups=phase_groups,
    )


def _merge_groups(kernel: IntArray, groups: int) -> tuple[IntArray, int]:
    """Merge m adjacent groups into one, zeros between them, so that int8 holds it.

    The zeros add nothing: the sums are the same integers.
    """
    merge = next(
        m for m in range(1, groups + 1) if groups % m == 0 and groups // m <= INT8_MAX
    )
    if merge == 1:
        return kernel, groups
    c_out, c_in, kh, kw = kernel.shape
    per_group = c_out // groups
    dense = np.zeros((c_out, merge * c_in, kh, kw), dtype=kernel.dtype)
    for row in range(c_out):
        first = (row // per_group) % merge * c_in
        dense[row, first : first + c_in] = kernel[row]
    return dense, groups // merge


def _phase_kernel(
    synapse: ConvTranspose, source: Shape, where: str
) -> tuple[IntArray, Pair]:
    """Kernels of a plain convolution with as many groups, and its padding.

    Their shape is (groups * s_w * s_h * C_out, C_in, D_h, D_w), where C_in and C_out
    are those of one group. Gaps of a dilation are taps of weight zero.

    With stride s, output o = s u + b receives, from input u + c - j, the tap
    a + s j, where (c, a) = divmod(b + padding, s). So each phase b is a plain
    correlation over the offsets c - j, and all phases share one window.
    """
    taps, paddings = [], []
    out = synapse.output_shape(source)
    for axis in range(2):
        stride = synapse.stride[axis]
        if out[1 + axis] % stride:
            raise UnsupportedLayerError(
                f"{where}: transposed convolution to {out} found; Lava interleaves "
                f"phases, so a multiple of the stride {synapse.stride} is needed"
            )
        offsets, padding = _phase_taps(
            synapse.spans[axis],
            stride,
            synapse.padding[axis],
            source[1 + axis],
            out[1 + axis] // stride,
        )
        taps.append(offsets)
        paddings.append(padding)
    groups, c_out = synapse.groups, synapse.weight.shape[1]
    c_in = len(synapse.weight) // groups
    (sh, dh, _), (sw, dw, _) = taps[0].shape, taps[1].shape
    # A tap matrix is one-hot over the kernel axis, or empty where no tap falls.
    kernel = np.einsum(
        "giohw,adh,bew->gbaoide",
        synapse.weight.astype(np.int64).reshape(
            groups, c_in, *synapse.weight.shape[1:]
        ),
        taps[0][:, :, :: synapse.dilation[0]],
        taps[1][:, :, :: synapse.dilation[1]],
    ).reshape(groups * sw * sh * c_out, c_in, dh, dw)
    return kernel.astype(np.int32), (paddings[0], paddings[1])


def _phase_taps(
    kernel: int, stride: int, padding: int, size: int, out: int
) -> tuple[IntArray, int]:
    """One axis: which tap a phase has at each offset, and the padding.

    Returns
    -------
    taps : ndarray, shape (stride, D, kernel), int64
        1 where phase b reads, at window position d, the kernel's tap.
    padding : int
        Symmetric padding P; window position d is offset d - P.
    """
    offsets = []
    for b in range(stride):
        c, a = divmod(b + padding, stride)
        offsets += [(b, c - j, tap) for j, tap in enumerate(range(a, kernel, stride))]
    lowest = min(offset for _, offset, _ in offsets)
    highest = max(offset for _, offset, _ in offsets)
    # Stock padding is symmetric: window positions without a tap fill up, so that
    # size + 2 P - D + 1 outputs are as many as needed and every offset fits.
    pad = max(0, -lowest, highest + out - size)
    taps = np.zeros((stride, size + 2 * pad + 1 - out, kernel), dtype=np.int64)
    for b, offset, tap in offsets:
        taps[b, offset + pad, tap] = 1
    return taps, pad
