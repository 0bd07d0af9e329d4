# SPDX-License-Identifier: BSD-3-Clause
"""How many synapses each source neuron has, borders counted exactly."""

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
    Shape,
    StockSynapse,
    Synapse,
)

Int64 = npt.NDArray[np.int64]


def fan_out(
    synapse: Synapse | StockSynapse, source: Shape, *, nonzero_only: bool = False
) -> Int64:
    """Synapses that a spike of each source neuron triggers.

    Parameters
    ----------
    synapse : Synapse
        The connection's synapse.
    source : tuple of int
        Shape (C, H, W) of the source.
    nonzero_only : bool
        True to leave out synapses of weight zero, as NeuroBench's effective
        operations do; a chip stores and executes them.

    Returns
    -------
    ndarray, shape (C, H, W), int64
    """
    channels, height, width = source
    target = synapse.output_shape(source)
    match synapse:
        case Conv():
            weight = synapse.weight
            per_group = weight.shape[0] // synapse.groups
            # (groups, C_out / groups, C_in / groups, K, K) -> (C_in, K, K)
            counted = (weight != 0) if nonzero_only else np.ones_like(weight, bool)
            taps = counted.reshape(synapse.groups, per_group, *weight.shape[1:])
            per_tap = taps.sum(axis=1, dtype=np.int64)
            per_tap = per_tap.reshape(channels, *weight.shape[2:])
            hits = [
                _conv_hits(n, m, k, s, p, d)
                for n, m, k, s, p, d in zip(
                    (height, width),
                    target[1:],
                    weight.shape[2:],
                    synapse.stride,
                    synapse.padding,
                    synapse.dilation,
                    strict=True,
                )
            ]
        case ConvTranspose():
            weight = synapse.weight
            counted = (weight != 0) if nonzero_only else np.ones_like(weight, bool)
            per_tap = counted.sum(axis=1, dtype=np.int64)
            hits = [
                _transposed_hits(n, m, k, s, p, d)
                for n, m, k, s, p, d in zip(
                    (height, width),
                    target[1:],
                    weight.shape[2:],
                    synapse.stride,
                    synapse.padding,
                    synapse.dilation,
                    strict=True,
                )
            ]
        case AveragePool():
            return np.ones(source, dtype=np.int64)
        case Dense():
            counted = (synapse.weight != 0) | (not nonzero_only)
            targets: Int64 = counted.sum(axis=0, dtype=np.int64)
            return targets.reshape(source)
        case Injection():
            raise AssertionError("an injection has no synapses")
        case _:
            assert_never(synapse)
    rows, columns = hits
    result: Int64 = np.einsum("cyx,yh,xw->chw", per_tap, rows, columns, optimize=True)
    return result


def _conv_hits(
    source: int, target: int, kernel: int, stride: int, padding: int, dilation: int
) -> Int64:
    """1 where a source index meets some target through a tap: (kernel, source)."""
    shifted = np.arange(source) + padding - dilation * np.arange(kernel)[:, None]
    hit = (shifted % stride == 0) & (shifted >= 0) & (shifted < target * stride)
    return np.asarray(hit, dtype=np.int64)


def _transposed_hits(
    source: int, target: int, kernel: int, stride: int, padding: int, dilation: int
) -> Int64:
    """1 where a source index meets a target through a tap: (kernel, source)."""
    taps = dilation * np.arange(kernel)[:, None]
    index = np.arange(source) * stride - padding + taps
    return np.asarray((index >= 0) & (index < target), dtype=np.int64)
