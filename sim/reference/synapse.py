# SPDX-License-Identifier: BSD-3-Clause
"""Synapses in int64 NumPy, tap by tap: slow, obvious, never rounds.

A tap is one kernel position. Every output is the sum over taps of
``weight[..., ky, kx] @ (payload at the shifted positions)``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from typing_extensions import assert_never

from export.synapse import (
    AveragePool,
    Conv,
    ConvTranspose,
    Dense,
    Injection,
    StockSynapse,
    Synapse,
)

Int64 = npt.NDArray[np.int64]


def apply(synapse: Synapse | StockSynapse, payload: Int64) -> Int64:
    """Sums that a synapse gives for one payload.

    Parameters
    ----------
    synapse : Synapse or StockSynapse
        What to apply; delays of a `Dense` are the caller's.
    payload : ndarray, shape (C_in, H, W), int64
        Graded spikes of the source.

    Returns
    -------
    ndarray, shape (C_out, H_out, W_out), int64
        Sums before the weight exponent's shift.
    """
    match synapse:
        case Conv():
            return _conv(synapse, payload)
        case ConvTranspose():
            return _conv_transpose(synapse, payload)
        case AveragePool():
            return _average_pool(synapse, payload)
        case Dense():
            return _dense(synapse, payload)
        case Injection():
            return payload
        case _:
            assert_never(synapse)


def _conv(conv: Conv, payload: Int64) -> Int64:
    channels, height, width = conv.output_shape(_shape(payload))
    (ph, pw), (sh, sw), (dh, dw) = conv.padding, conv.stride, conv.dilation
    padded = np.pad(payload, ((0, 0), (ph, ph), (pw, pw)))
    out = np.zeros((channels, height, width), dtype=np.int64)
    c_out, c_in, kh, kw = conv.weight.shape
    per_group = c_out // conv.groups
    weight = conv.weight.astype(np.int64)
    for group in range(conv.groups):
        rows = slice(group * per_group, (group + 1) * per_group)
        source = padded[group * c_in : (group + 1) * c_in]
        for ky in range(kh):
            for kx in range(kw):
                top, left = ky * dh, kx * dw
                tap = source[
                    :,
                    top : top + (height - 1) * sh + 1 : sh,
                    left : left + (width - 1) * sw + 1 : sw,
                ]
                out[rows] += np.tensordot(weight[rows, :, ky, kx], tap, axes=1)
    return out


def _conv_transpose(conv: ConvTranspose, payload: Int64) -> Int64:
    channels, height, width = conv.output_shape(_shape(payload))
    (ph, pw), (sh, sw), (dh, dw) = conv.padding, conv.stride, conv.dilation
    kh, kw = conv.weight.shape[2:]
    span_h, span_w = conv.spans
    per_group = len(payload) // conv.groups
    _, source_height, source_width = payload.shape
    # Scatter on a canvas without padding, then cut the padding away.
    canvas = np.zeros(
        (
            channels,
            max((source_height - 1) * sh + span_h, ph + height),
            max((source_width - 1) * sw + span_w, pw + width),
        ),
        dtype=np.int64,
    )
    weight = conv.weight.astype(np.int64)
    for group in range(conv.groups):
        into = slice(group * weight.shape[1], (group + 1) * weight.shape[1])
        source = slice(group * per_group, (group + 1) * per_group)
        for ky in range(kh):
            for kx in range(kw):
                top, left = ky * dh, kx * dw
                canvas[
                    into,
                    top : top + (source_height - 1) * sh + 1 : sh,
                    left : left + (source_width - 1) * sw + 1 : sw,
                ] += np.tensordot(weight[source, :, ky, kx].T, payload[source], axes=1)
    return canvas[:, ph : ph + height, pw : pw + width]


def _average_pool(pool: AveragePool, payload: Int64) -> Int64:
    channels, height, width = pool.output_shape(_shape(payload))
    kh, kw = pool.kernel_size
    windows = payload.reshape(channels, height, kh, width, kw)
    total: Int64 = windows.sum(axis=(2, 4)) * pool.weight_mant
    return total


def _dense(dense: Dense, payload: Int64) -> Int64:
    total: Int64 = dense.weight.astype(np.int64) @ payload.reshape(-1)
    return total.reshape(dense.output_shape(_shape(payload)))


def _shape(payload: Int64) -> tuple[int, int, int]:
    return (payload.shape[0], payload.shape[1], payload.shape[2])
