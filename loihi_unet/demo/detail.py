# SPDX-License-Identifier: BSD-3-Clause
"""Where a picture has the most detail."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Side of the crops for Lava with the project's own Conv model.
CROP = 128

Corner = tuple[int, int]


def large_side(pixels: NDArray[Any], multiple: int) -> int:
    """Side of the large crops: of a small picture no more than it has.

    Parameters
    ----------
    pixels : ndarray, shape (C, H, W)
        The picture.
    multiple : int
        What sides the network takes.
    """
    side = int(min(CROP, *pixels.shape[1:]))
    return side - side % multiple


def detailed_corners(
    pixels: NDArray[Any], side: int, count: int, step: int = 16
) -> tuple[Corner, ...]:
    """Top left corners of the parts with the most detail, none over another.

    Parameters
    ----------
    pixels : ndarray, shape (C, H, W)
        The picture, at least ``side`` high and wide.
    side : int
        Of each part.
    count : int
        How many at most; at least one is found.
    step : int
        Corners are multiples of it.

    Returns
    -------
    tuple of (int, int)
        The most detailed first; equal ones in order of row and column.
    """
    detail = _detail(pixels)
    _, height, width = pixels.shape
    places = [
        (y, x)
        for y in range(0, height - side + 1, step)
        for x in range(0, width - side + 1, step)
    ]
    # Sums over squares from a summed area table.
    table = np.pad(detail, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)

    def score(place: Corner) -> float:
        (y, x), (b, r) = place, (place[0] + side, place[1] + side)
        return float(table[b, r] - table[y, r] - table[b, x] + table[y, x])

    chosen: list[Corner] = []
    for y, x in sorted(places, key=lambda place: (-score(place), place)):
        if all(abs(y - a) >= side or abs(x - b) >= side for a, b in chosen):
            chosen.append((y, x))
        if len(chosen) == count:
            break
    return tuple(chosen)


def _detail(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """Step to the next pixel below and at the right, over all channels."""
    values = pixels.astype(np.float64)
    down = np.abs(np.diff(values, axis=1, append=values[:, -1:]))
    right = np.abs(np.diff(values, axis=2, append=values[:, :, -1:]))
    detail: NDArray[np.float64] = (down + right).sum(axis=0)
    return detail
