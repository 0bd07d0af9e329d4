# SPDX-License-Identifier: BSD-3-Clause
"""Weights of a dense layer that stock netx does not load as they are written."""

from __future__ import annotations

from export.synapse import IntArray


def mangled(weight: IntArray) -> str | None:
    """Say why stock netx would run other weights than these, or None.

    lava-dl 0.6.0's optimize_weight_bits scales weights without a positive one by
    ``256 / -min``, rounded down to a power of two, so that a smallest weight of
    -2**k becomes -256; lava-nc 0.10.0's clip_weights then makes it -255, and
    truncate_weights cuts that to the bits that -256 would have needed. All zeros
    are divided by zero.
    """
    low, high = int(weight.min()), int(weight.max())
    if high > 0 or -low & (-low - 1):
        return None
    if low == 0:
        return "all weights are 0, which stock netx cannot load (it divides by zero)"
    return (
        f"weights {low}..{high} found: none is positive and the smallest is a power of "
        "two, which stock netx loads as other weights"
    )
