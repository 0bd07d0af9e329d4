# SPDX-License-Identifier: BSD-3-Clause
"""Classes of pixels as pictures, and what of them is right."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loihi_unet.data.pictures import VOID, Picture

# Okabe and Ito's colours, which all eyes tell apart (jfly.uni-koeln.de/color).
RIGHT, EXTRA, MISSED = "#009e73", "#e69f00", "#56b4e9"

PALETTE = (
    *("#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2"),
    *("#d55e00", "#cc79a7", "#999999", "#8c564b", "#ffffff"),
)
UNKNOWN = "#404040"


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of ``#rrggbb``, 0..255."""
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


def legend(num_classes: int) -> dict[str, str]:
    """Colour to meaning of an `overlay`."""
    if num_classes > 2:
        return {EXTRA: "wrong class"}
    return {RIGHT: "found", EXTRA: "false positive", MISSED: "false negative"}


def _palette(count: int) -> tuple[str, ...]:
    """Colours of so many classes; the golden ratio keeps neighbours' hues apart."""
    more = []
    for index in range(len(PALETTE), count):
        light = (0.55, 0.75, 0.95)[index % 3]
        levels = colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.8, light)
        more.append("#" + "".join(f"{round(255 * level):02x}" for level in levels))
    return (*PALETTE, *more)


def class_map(classes: NDArray[Any], num_classes: int) -> NDArray[np.uint8]:
    """Draw classes: two as black and white, several in the colours of `PALETTE`.

    Parameters
    ----------
    classes : ndarray, shape (H, W), integers
        0 .. num_classes - 1, or `VOID`.
    num_classes : int
        2 .. 255; beyond the palette's, in colours of their own.

    Returns
    -------
    ndarray, shape (1, H, W) or (3, H, W), uint8
        Gray levels or colours.
    """
    if num_classes == 2:
        return np.where(classes[None] == 1, 255, 0).astype(np.uint8)
    known = classes != VOID
    colours = np.array([rgb(c) for c in (*_palette(num_classes), UNKNOWN)], np.uint8)
    drawn: NDArray[np.uint8] = colours[np.where(known, classes, len(colours) - 1)]
    return np.ascontiguousarray(drawn.transpose(2, 0, 1))


def overlay(
    picture: Picture, classes: NDArray[Any], num_classes: int
) -> NDArray[np.uint8]:
    """Colour a labelled picture by what was found in it.

    Parameters
    ----------
    picture : Picture
        With a label.
    classes : ndarray, shape (H, W), integers
        What was found.
    num_classes : int
        Of how many.

    Returns
    -------
    ndarray, shape (3, H, W), uint8
        The picture in gray, dark outside its field of view; over it class 1 as it was
        found, missed, or found where there is none. Of several classes, which
        pixels are wrong.
    """
    assert picture.label is not None
    gray = picture.pixels.mean(axis=0)
    drawn: NDArray[np.float32] = np.repeat(gray[None], 3, axis=0)
    label = picture.label
    if num_classes == 2:
        parts = {
            RIGHT: (classes == 1) & (label == 1),
            EXTRA: (classes == 1) & (label == 0),
            MISSED: (classes == 0) & (label == 1),
        }
    else:
        parts = {EXTRA: (classes != label) & (label != VOID)}
    for colour, where in parts.items():
        drawn[:, where] = np.array(rgb(colour))[:, None]
    if picture.mask is not None:
        drawn[:, ~picture.mask] *= 0.4
    return np.rint(drawn).astype(np.uint8)
