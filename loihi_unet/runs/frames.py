# SPDX-License-Identifier: BSD-3-Clause
"""Pictures as frames that enter an integer network: noise, crop, padding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loihi_unet.data.crops import centre_crop, check_crop, pad_to_multiple
from loihi_unet.data.pictures import Picture
from loihi_unet.tasks.denoise import noisy_picture


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What is done to a picture before it enters.

    Attributes
    ----------
    sigma : float
        Noise to add, in gray levels.
    seed : int
        Decides the noise, with the picture's place in the stream.
    crop : tuple of int or None
        (height, width) to cut from the middle; None for the whole picture.
    """

    sigma: float = 0.0
    seed: int = 0
    crop: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """A picture as it enters.

    Attributes
    ----------
    levels : ndarray, shape (C, H', W'), float32
        Integer gray levels, padded by reflection.
    size : tuple of int
        (H, W) before padding; what there is of the output.
    """

    levels: NDArray[np.float32]
    size: tuple[int, int]


def frame(
    picture: Picture, index: int, conditions: Conditions, multiple: tuple[int, int]
) -> Frame:
    """Prepare a picture.

    Parameters
    ----------
    picture : Picture
        Clean.
    index : int
        Its place in the stream, which decides its noise.
    conditions : Conditions
        Noise and crop.
    multiple : tuple of int
        What height and width become multiples of (`export.images.size_multiple`).
    """
    noisy = noisy_picture(picture, index, sigma=conditions.sigma, seed=conditions.seed)
    if conditions.crop is not None:
        noisy = centre_crop(noisy, *conditions.crop, picture.name)
    return Frame(
        levels=pad_to_multiple(noisy, multiple),
        size=(noisy.shape[1], noisy.shape[2]),
    )


def entering_size(
    size: tuple[int, int],
    conditions: Conditions,
    multiple: tuple[int, int],
    name: str,
) -> tuple[int, int]:
    """(H', W') of the `frame` of a picture of that (height, width) and name.

    Raises
    ------
    DataError
        If the picture is smaller than the crop.
    """
    if conditions.crop is not None:
        check_crop(size, conditions.crop, name)
    height, width = (
        s + -s % m for s, m in zip(conditions.crop or size, multiple, strict=True)
    )
    return height, width
