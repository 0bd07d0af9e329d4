# SPDX-License-Identifier: BSD-3-Clause
"""Noise, crops and padding; every random number comes from the caller's generator.

Whatever is drawn for item i is a pure function of (seed, i) by `loihi_unet.seeds`, so
that a run resumed at iteration i continues as if it had never stopped.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from loihi_unet.data.pictures import Picture
from loihi_unet.errors import DataError


def add_noise(
    clean: NDArray[np.uint8],
    sigma: float | NDArray[np.floating[Any]],
    generator: np.random.Generator,
) -> NDArray[np.float32]:
    """Add white Gaussian noise, rounded to integer gray levels, not clipped.

    Rounded, because the network on the chip reads integers; not clipped, as in the
    denoising literature, so values lie outside 0..255 too.

    Parameters
    ----------
    clean : ndarray, uint8
        Gray levels.
    sigma : float or ndarray that broadcasts against `clean`
        Standard deviation in gray levels.
    generator : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    ndarray, float32, the shape of `clean`
        Integers.
    """
    noise = generator.standard_normal(clean.shape, dtype=np.float32)
    scaled = noise * np.asarray(sigma, dtype=np.float32)
    noisy: NDArray[np.float32] = np.rint(clean.astype(np.float32) + scaled)
    return noisy


def random_crops(
    pictures: list[Picture],
    count: int,
    size: int,
    generator: np.random.Generator,
    *,
    turn: bool = True,
) -> NDArray[np.uint8]:
    """Cut random squares, each turned and flipped at random (8 ways).

    Parameters
    ----------
    pictures : list[Picture]
        All at least `size` high and wide, with equal channels.
    count, size : int
        Number of crops and their side in pixels.
    generator : numpy.random.Generator
        Decides picture, place, turn and flip.
    turn : bool
        False: only mirror left and right.

    Returns
    -------
    ndarray, shape (count, C, size, size), uint8
        Every picture is as likely as any other, whatever its size.

    Raises
    ------
    DataError
        If a picture is smaller than a crop.
    """
    crops = []
    for index in generator.integers(len(pictures), size=count):
        picture = pictures[index]
        _, height, width = picture.pixels.shape
        if min(height, width) < size:
            raise DataError(
                f"{picture.name}: {width}x{height} pixels, a crop needs {size}x{size}"
            )
        top = generator.integers(height - size + 1)
        left = generator.integers(width - size + 1)
        crop = picture.pixels[:, top : top + size, left : left + size]
        if turn:
            crop = np.rot90(crop, int(generator.integers(4)), axes=(1, 2))
        crops.append(crop[:, :, ::-1] if generator.integers(2) else crop)
    return np.stack(crops)


def pad_to_multiple(x: torch.Tensor, multiple: int) -> torch.Tensor:
    """Reflect a picture at its right and bottom edge up to a multiple of a number.

    ``padded[..., :H, :W]`` gives the picture back.

    Parameters
    ----------
    x : Tensor, shape (B, C, H, W)
        The pictures.
    multiple : int
        Both sides of the result are multiples of it.

    Returns
    -------
    Tensor, shape (B, C, H', W')
        At most ``multiple - 1`` rows and columns larger.

    Raises
    ------
    DataError
        If a side is not longer than what it lacks, so that there is nothing to reflect.
    """
    height, width = x.shape[-2:]
    below, right = -height % multiple, -width % multiple
    if below >= height or right >= width:
        raise DataError(
            f"a picture of {width}x{height} pixels is too small to be reflected up to "
            f"a multiple of {multiple}"
        )
    return functional.pad(x, (0, right, 0, below), mode="reflect")
