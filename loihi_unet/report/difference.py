# SPDX-License-Identifier: BSD-3-Clause
"""A signed difference of two pictures, in colour, with its scale in gray levels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Less than the other side; equal; more. Blue and orange, which all eyes tell apart.
LESS, EQUAL, MORE = "#1f78d1", "#f7f7f7", "#d55e00"


class Difference(NamedTuple):
    """Pixels and what their colours mean.

    Attributes
    ----------
    pixels : ndarray, shape (3, H, W), uint8
        `EQUAL` where nothing differs, towards `MORE` above and `LESS` below.
    scale : float
        Gray levels at which the colour is full; a power of two.
    """

    pixels: NDArray[np.uint8]
    scale: float


def signed_difference(
    minuend: NDArray[Any], other: NDArray[Any], percentile: float = 100.0
) -> Difference:
    """Draw ``minuend - other``.

    Parameters
    ----------
    minuend, other : ndarray, shape (C, H, W)
        Gray levels; of several channels, each pixel shows the one that differs most.
    percentile : float
        Which difference, of all by size, has the full colour at the latest: 100, the
        largest one.

    Returns
    -------
    Difference
        Any value but 0 has a colour that differs from `EQUAL`.
    """
    signed = np.asarray(minuend, np.float64) - np.asarray(other, np.float64)
    most = np.abs(signed).argmax(axis=0)[None]
    values = np.take_along_axis(signed, most, axis=0)[0]
    largest = float(np.percentile(np.abs(values), percentile)) if values.size else 0.0
    scale = 2.0 ** np.ceil(np.log2(largest)) if largest > 0 else 1.0
    share = np.clip(values / scale, -1, 1)
    equal = _rgb(EQUAL)
    full = np.where(share[..., None] < 0, _rgb(LESS), _rgb(MORE))
    drawn = equal + np.abs(share)[..., None] * (full - equal)
    levels = np.rint(drawn).astype(np.uint8)
    faint = (values != 0) & (levels == np.rint(equal).astype(np.uint8)).all(axis=-1)
    # The smallest difference is seen as well.
    levels[faint] = np.rint(equal + 0.1 * (full - equal)).astype(np.uint8)[faint]
    return Difference(np.ascontiguousarray(levels.transpose(2, 0, 1)), float(scale))


def _rgb(colour: str) -> NDArray[np.float64]:
    return np.frombuffer(bytes.fromhex(colour[1:]), np.uint8).astype(np.float64)
