# SPDX-License-Identifier: BSD-3-Clause
"""A picture and what belongs to it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loihi_unet.data.white_level import Levels

#: Label of a pixel that belongs to no class: left out of loss and scores.
VOID = 255


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """A picture and where it is from.

    Attributes
    ----------
    name : str
        Path relative to the folder it was read from.
    pixels : ndarray, shape (C, H, W), uint8
        Gray levels.
    label : ndarray, shape (H, W), uint8, or None
        Class of every pixel; `VOID` where there is none.
    mask : ndarray, shape (H, W), bool, or None
        Field of view, where the picture has one.
    levels : Levels or None
        How the pixels were made from a file of more than 8 bits a channel.
    target : ndarray, shape (C, H', W'), uint8, or None
        What the picture should become.
    number : int or None
        Class of the whole picture.
    """

    name: str
    pixels: NDArray[np.uint8]
    label: NDArray[np.uint8] | None = None
    mask: NDArray[np.bool_] | None = None
    levels: Levels | None = None
    target: NDArray[np.uint8] | None = None
    number: int | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        _, height, width = self.pixels.shape
        return height, width
