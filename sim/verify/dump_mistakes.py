# SPDX-License-Identifier: BSD-3-Clause
"""Mistakes of whoever writes a dump: order of axes, channels, images and windows, sign.

A mistake is named only if it turns all the left side's values into the right side's.
Arrays have the axes (images, steps, C, H, W).
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[Any]

AXES = ("C", "H", "W")
MIRRORED = {
    (): "",
    (3,): "rows mirrored: y runs upwards",
    (4,): "columns mirrored: x runs to the left",
    (3, 4): "rows and columns mirrored: turned by 180 degrees",
}
WIDTHS = (32, 24, 16, 8)


def dump_mistakes(left: Values, right: Values) -> Iterator[str]:
    """Sentences about a dump that is not in the order of a recording.

    Parameters
    ----------
    left, right : ndarray of int, shape (images, steps, C, H, W)
        Values of one layer, that differ. The last three axes may have other lengths.

    Yields
    ------
    str
        One for each kind of mistake that explains every value.
    """
    yield from axes(left, right)
    if left.shape != right.shape:
        return
    for axis, noun in ((2, "channel"), (0, "image")):
        yield from _order(left, right, axis, noun)
    yield from _sign(left, right)
    yield from _late(left, right)


def axes(left: Values, right: Values) -> Iterator[str]:
    """The first order and direction of C, H and W that explains the right side."""
    if left.shape[:2] != right.shape[:2] or left.size != right.size:
        return
    candidates = itertools.product(
        (False, True), itertools.permutations(range(3)), sorted(MIRRORED, key=len)
    )
    for reshaped, order, mirrored in candidates:
        # One image tells most candidates apart.
        for count in (1, len(left)):
            seen = np.flip(left[:count], mirrored)
            seen = seen.transpose(0, 1, *(2 + axis for axis in order))
            if reshaped != (seen.shape != right[:count].shape) or not np.array_equal(
                seen.reshape(right[:count].shape), right[:count]
            ):
                break
        else:
            yield _axes_text(order, mirrored, reshaped)
            return


def _axes_text(
    order: tuple[int, ...], mirrored: tuple[int, ...], reshaped: bool
) -> str:
    parts = []
    if order != (0, 1, 2):
        written = f"({', '.join(AXES[axis] for axis in order)})"
        parts.append(
            f"written in the order {written} and read as (C, H, W)"
            if reshaped
            else f"axes in the order {written}, (C, H, W) needed"
        )
    elif reshaped:
        parts.append("the same values in another shape")
    if mirrored:
        parts.append(MIRRORED[mirrored])
    return "; ".join(parts)


def _order(left: Values, right: Values, axis: int, noun: str) -> Iterator[str]:
    """Whether the right side holds the left's channels or images in another order."""
    ours, theirs = (
        [_digest(np.take(side, i, axis)) for i in range(count)]
        for side, count in ((left, left.shape[axis]), (right, right.shape[axis]))
    )
    if sorted(ours) != sorted(theirs):
        return
    free: dict[bytes, list[int]] = {}
    for index, value in enumerate(ours):
        free.setdefault(value, []).append(index)
    order = []
    for index, value in enumerate(theirs):
        # Of equal ones, that at the same place.
        place = index if index in free[value] else free[value][0]
        free[value].remove(place)
        order.append(place)
    if order == list(range(len(order)))[::-1]:
        yield f"{noun}s in reverse order"
        return
    moved = [(i, place) for i, place in enumerate(order) if i != place]
    shown = ", ".join(f"{i} is {place} of the left side" for i, place in moved[:4])
    more = f", and {len(moved) - 4} more" if len(moved) > 4 else ""
    yield f"{noun}s in another order: {noun} {shown}{more}"


def _digest(values: Values) -> bytes:
    """The same for equal integers of any width."""
    return hashlib.sha256(values.astype(np.int64).tobytes()).digest()


def _sign(left: Values, right: Values) -> Iterator[str]:
    """Whether values were cut to so many bits, or those read with another sign."""
    a, b = left.astype(np.int64), right.astype(np.int64)
    for bits in WIDTHS:
        if ((a - b) % (1 << bits)).any():
            continue
        at = tuple(np.argwhere(a != b)[0])
        half, example = 1 << (bits - 1), f"{a[at]} became {b[at]}"
        different = a != b
        if b.min() >= 0 and (a[different] < 0).all() and a.min() >= -half:
            yield f"signed values read as unsigned ones of {bits} bits: {example}"
        elif (b[different] < 0).all() and b.min() >= -half and a.min() >= 0:
            yield f"unsigned values read as signed ones of {bits} bits: {example}"
        elif b.max() < 2 * half and b.min() >= -half:
            yield f"values cut to {bits} bits: {example}"
        return


def _late(left: Values, right: Values) -> Iterator[str]:
    """Whether the right side is late or early by steps that run on over windows."""
    window = left.shape[1]
    a, b = (side.reshape(-1, *side.shape[2:]) for side in (left, right))
    for late, by in itertools.product((True, False), range(1, len(a) // 2 + 1)):
        early, later = (a[:-by], b[by:]) if late else (b[:-by], a[by:])
        # The first step tells most apart; where all are silent, none is late.
        if not np.array_equal(early[0], later[0]) or not early.any():
            continue
        if np.array_equal(early, later):
            word = "late" if late else "early"
            if by % window == 0:
                windows = by // window
                count = "one window" if windows == 1 else f"{windows} windows"
                other = f"the left's i {'-' if late else '+'} {windows}"
                yield f"{count} {word}: image i of the right side is {other}"
            elif by > 1:
                yield (
                    f"{by} steps {word}, over all windows: a dump by chip steps begins "
                    "at its layer's stage"
                )
            return
