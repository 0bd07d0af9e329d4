# SPDX-License-Identifier: BSD-3-Clause
"""Which parts of a picture the slow backends run, and the picture that shows them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loihi_unet.demo.detail import Corner, detailed_corners, large_side
from loihi_unet.demo.subject import Pixels, Subject
from loihi_unet.report.overlay import rgb

#: Sides of the crops for the reference, and for Lava with its stock Conv model, which
#: takes minutes for 32 x 32.
REFERENCE_CROP, STOCK_CROP = 32, 16

#: Frames of the crops, in the order of the comparisons.
FRAMES = ("#d55e00", "#0072b2", "#009e73")


def crop_side(subject: Subject) -> int:
    """Side of the large crops: of a small picture no more than it has."""
    return large_side(subject.pixels, int(subject.multiple))


def small_corner(subject: Subject, side: int) -> Corner:
    """Corner of the most detailed small part of the first large crop."""
    y, x = subject.corners[0]
    large = crop_side(subject)
    part = subject.pixels[:, y : y + large, x : x + large]
    ((below, right),) = detailed_corners(part, side, 1, step=8)
    return y + below, x + right


def crops_picture(
    pixels: Pixels, frames: Sequence[tuple[str, Sequence[Corner], int]]
) -> Pixels:
    """Draw frames of a colour, by their corners and side, around parts of a picture."""
    three = np.repeat(pixels, 3, axis=0) if len(pixels) == 1 else pixels
    drawn: Pixels = np.clip(three, 0, 255).copy()
    thick = max(1, round(min(pixels.shape[1:]) / 200))
    for colour, corners, side in frames:
        paint = np.array(rgb(colour), np.float32)[:, None, None]
        for y, x in corners:
            square = drawn[:, y : y + side, x : x + side]
            inner = square[:, thick:-thick, thick:-thick].copy()
            square[:] = paint
            square[:, thick:-thick, thick:-thick] = inner
    return drawn
