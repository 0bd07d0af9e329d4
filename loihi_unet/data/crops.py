# SPDX-License-Identifier: BSD-3-Clause
"""Noise, crops and padding; every random number comes from the caller's generator.

Whatever is drawn for item i is a pure function of (seed, i) by `loihi_unet.seeds`, so
that a run resumed at iteration i continues as if it had never stopped.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from loihi_unet.data.pictures import Picture
from loihi_unet.data.sequence import sizes
from loihi_unet.errors import DataError

T = TypeVar("T", bound=np.generic)


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


def add_camera_noise(
    clean: NDArray[np.uint8],
    gain: float,
    read_noise: float,
    generator: np.random.Generator,
) -> NDArray[np.float32]:
    """Add shot noise of photons and read noise, rounded, not clipped.

    Parameters
    ----------
    clean : ndarray, uint8
        Gray levels.
    gain : float
        Gray levels per photon.
    read_noise : float
        Standard deviation in gray levels.
    generator : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    ndarray, float32, the shape of `clean`
        Integers; of mean `clean` and variance ``gain * clean + read_noise**2``, to
        rounding.
    """
    shot = gain * generator.poisson(clean / gain)
    noise = generator.standard_normal(clean.shape, dtype=np.float32)
    levels: NDArray[np.float32] = np.rint(shot + np.float32(read_noise) * noise).astype(
        np.float32
    )
    return levels


class Crop(NamedTuple):
    """Where a square is cut, and how it is turned.

    Attributes
    ----------
    place : int
        Of the picture in its set.
    top, left : int
        In pixels.
    turns : int
        Quarters, counter-clockwise.
    mirrored : bool
        Left and right, after it was turned.
    """

    place: int
    top: int
    left: int
    turns: int
    mirrored: bool

    def of(self, pixels: NDArray[T], size: int, scale: int = 1) -> NDArray[T]:
        """Cut it out of an array (C, H, W) that is `scale` times as large."""
        top, left, side = self.top * scale, self.left * scale, size * scale
        crop = pixels[:, top : top + side, left : left + side]
        crop = np.rot90(crop, self.turns, axes=(1, 2))
        return crop[:, :, ::-1] if self.mirrored else crop


def draw_crops(
    pictures: Sequence[Picture],
    count: int,
    size: int,
    generator: np.random.Generator,
    *,
    turn: bool = True,
) -> list[Crop]:
    """Decide where random squares are cut; parameters as of `random_crops`."""
    crops = []
    known = sizes(pictures)
    for index in generator.integers(len(pictures), size=count).tolist():
        height, width = known[index]
        if min(height, width) < size:
            raise DataError(
                f"{pictures[index].name}: {width}x{height} pixels, a crop needs "
                f"{size}x{size}"
            )
        top = int(generator.integers(height - size + 1))
        left = int(generator.integers(width - size + 1))
        turns = int(generator.integers(4)) if turn else 0
        mirrored = bool(generator.integers(2))
        crops.append(Crop(index, top, left, turns, mirrored))
    return crops


def random_crops(
    pictures: Sequence[Picture],
    count: int,
    size: int,
    generator: np.random.Generator,
    *,
    turn: bool = True,
) -> NDArray[np.uint8]:
    """Cut random squares, each turned and flipped at random (8 ways).

    Parameters
    ----------
    pictures : sequence of Picture
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
    crops = draw_crops(pictures, count, size, generator, turn=turn)
    return np.stack([crop.of(pictures[crop.place].pixels, size) for crop in crops])


def check_sizes(pictures: Sequence[Picture], size: int) -> None:
    """See that squares can be cut from every picture, before any work.

    Parameters
    ----------
    pictures : sequence of Picture
        To be cut.
    size : int
        Side of the squares in pixels.

    Raises
    ------
    DataError
        If one is smaller: names it, and says how many are.
    """
    known = sizes(pictures)
    small = [index for index, one in enumerate(known) if min(one) < size]
    if small:
        height, width = known[small[0]]
        more = f" (and {len(small) - 1} more)" if len(small) > 1 else ""
        raise DataError(
            f"{pictures[small[0]].name}: {width}x{height} pixels, a crop needs "
            f"{size}x{size}{more}"
        )


def pad_to_multiple(image: NDArray[T], multiple: int | tuple[int, int]) -> NDArray[T]:
    """Extend an image by reflection at its lower and right sides.

    The only padding there is: every command pads alike, so that one picture gives the
    same integers from all of them. The edge is repeated, ``a b c | c b a a b c``, so
    an image of any size can be extended by any amount.

    Parameters
    ----------
    image : ndarray, shape (C, H, W)
        Any dtype; H and W from 1.
    multiple : int or tuple of int
        What height and width become multiples of.

    Returns
    -------
    ndarray, shape (C, H', W')
        The image itself at the top left; at most ``multiple - 1`` rows and columns
        larger.
    """
    wanted = (multiple, multiple) if isinstance(multiple, int) else multiple
    below, right = (-n % m for n, m in zip(image.shape[1:], wanted, strict=True))
    return np.pad(image, ((0, 0), (0, below), (0, right)), mode="symmetric")


def centre_crop(image: NDArray[T], height: int, width: int, name: str) -> NDArray[T]:
    """Cut the middle of an image.

    Parameters
    ----------
    image : ndarray, shape (C, H, W)
        Any dtype.
    height, width : int
        Size of the result.
    name : str
        Of the image, for the error.

    Raises
    ------
    DataError
        If the image is smaller.
    """
    check_crop(image.shape[1:], (height, width), name)
    top = (image.shape[1] - height) // 2
    left = (image.shape[2] - width) // 2
    return image[:, top : top + height, left : left + width]


def check_crop(size: Sequence[int], crop: tuple[int, int], name: str) -> None:
    """Raise `DataError` if a crop (height, width) is larger than a picture."""
    if any(wanted > n for wanted, n in zip(crop, size, strict=True)):
        raise DataError(
            f"{name}: {size[0]}x{size[1]} pixels (height x width), smaller than the "
            f"crop of {crop[0]}x{crop[1]}"
        )
    if min(crop) < 1:
        raise DataError(f"crop of {crop[0]}x{crop[1]} pixels: allowed from 1x1")
