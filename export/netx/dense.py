# SPDX-License-Identifier: BSD-3-Clause
"""Weights of a dense layer that stock netx does not load as they are written."""

from __future__ import annotations

import numpy as np

from export.synapse import IntArray


def mangled(weight: IntArray, recurrent: IntArray | None = None) -> str | None:
    """Say why stock netx would run other weights than these, or None.

    lava-dl 0.6.0's optimize_weight_bits scales weights without a positive one by
    ``256 / -min``, rounded down to a power of two, so that a smallest weight of
    -2**k becomes -256; lava-nc 0.10.0's clip_weights then makes it -255, and
    truncate_weights cuts that to the bits that -256 would have needed. All zeros
    are divided by zero.

    Parameters
    ----------
    weight : ndarray, shape (N_out, N_in)
        Weights from the layer's source.
    recurrent : ndarray, shape (N_out, N_out), optional
        Weights from the layer itself, which netx scales together with the others.
    """
    if recurrent is not None:
        return _mangled_pair(weight, recurrent)
    low, high = int(weight.min()), int(weight.max())
    if high > 0 or -low & (-low - 1):
        return None
    if low == 0:
        return "all weights are 0, which stock netx cannot load (it divides by zero)"
    return (
        f"weights {low}..{high} found: none is positive and the smallest is a power of "
        "two, which stock netx loads as other weights"
    )


def _mangled_pair(weight: IntArray, recurrent: IntArray) -> str | None:
    both = np.hstack((weight, recurrent))
    if why := mangled(both):
        return why
    shift, bits = _scaling(both)
    for part in (weight, recurrent):
        if (_as_loaded(part, shift, bits) != part).any():
            return (
                "weights found that stock netx loads as other weights, since it "
                "scales weight and weight_rec together"
            )
    return None


def _scaling(weight: IntArray) -> tuple[int, int]:
    """Left shift and number of bits, as netx.utils.optimize_weight_bits finds them."""
    low, high = int(weight.min()), int(weight.max())
    mixed = low < 0 <= high
    if mixed:
        scale = min(127 / high if high else np.inf, -128 / low)
    else:
        scale = 255 / high if low >= 0 else -256 / low
    shift = int(np.floor(np.log2(scale))) + mixed
    even = [n for n in range(9) if not (weight % (1 << n)).any()]
    return shift, 8 - shift - (max(even) - mixed)


def _as_loaded(part: IntArray, shift: int, bits: int) -> IntArray:
    """What lava-nc's Dense holds of weights shifted so, in the units of ``part``."""
    values = part.astype(np.int64) << shift
    low, high = int(values.min()), int(values.max())
    sign = -1 if low < 0 and high <= 0 else 1
    mixed = low < 0 < high
    # clip_weights, then truncate_weights, of determine_sign_mode's sign mode.
    values = np.clip(sign * values, -256 if mixed else 0, 255)
    cut = 8 - bits + mixed
    loaded: IntArray = sign * (values >> cut << cut) >> shift
    return loaded
