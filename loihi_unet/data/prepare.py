# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of any size and contrast as a network gets them."""

from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.exposure import adjust_gamma, equalize_adapthist

from loihi_unet.data.crops import centre_crop
from loihi_unet.data.pictures import Picture
from loihi_unet.folder_config import PictureFolders, SizesConfig

CLAHE_CLIP = 0.01
GAMMA = 1.2

#: Rows and columns of a tile.
Window = tuple[slice, slice]

T = TypeVar("T", bound=np.generic)


def prepared(picture: Picture, settings: PictureFolders, scale: int = 1) -> Picture:
    """Return a whole picture with its contrast, and its size unless it is tiled.

    Parameters
    ----------
    picture : Picture
        As its files have it.
    settings : PictureFolders
        What is done.
    scale : int
        How many times as large as the picture its target is.

    Raises
    ------
    DataError
        If the picture is smaller than what is cut out of it.
    """
    if settings.contrast == "clahe":
        picture = replace(picture, pixels=enhance(picture.pixels))
    size = (settings.sizes.height, settings.sizes.width)
    match settings.sizes.how:
        case "crop":
            return _cropped(picture, size, scale)
        case "resize":
            return _resized(picture, size, scale)
    return picture


def _cropped(picture: Picture, size: tuple[int, int], scale: int) -> Picture:
    name, (height, width) = picture.name, picture.pixels.shape[1:]
    # Of a target the same pixels, so not its own middle.
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    pixels = centre_crop(picture.pixels, *size, name)
    window = (slice(top, top + size[0]), slice(left, left + size[1]))
    return replace(windowed(picture, window, scale), name=name, pixels=pixels)


def _resized(picture: Picture, size: tuple[int, int], scale: int) -> Picture:
    large = (size[0] * scale, size[1] * scale)
    label, mask, target = picture.label, picture.mask, picture.target
    return replace(
        picture,
        pixels=_smooth(picture.pixels, size),
        label=None if label is None else _nearest(label, size),
        mask=None if mask is None else _nearest(mask.astype(np.uint8), size) > 0,
        target=None if target is None else _smooth(target, large),
    )


def _smooth(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    flat = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    image = Image.fromarray(np.ascontiguousarray(flat))
    resized = np.array(image.resize(size[::-1], Image.Resampling.BILINEAR))
    return np.ascontiguousarray(resized.reshape(*size, -1).transpose(2, 0, 1))


def _nearest(values: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    image = Image.fromarray(np.ascontiguousarray(values))
    return np.array(image.resize(size[::-1], Image.Resampling.NEAREST))


def tiles(size: tuple[int, int], sizes: SizesConfig) -> list[Window | None]:
    """Return what a picture is cut into; None for the whole of it."""
    if sizes.how != "tile":
        return [None]
    rows = _pieces(size[0], sizes.height)
    columns = _pieces(size[1], sizes.width)
    if len(rows) == len(columns) == 1:
        return [None]
    return [(row, column) for row in rows for column in columns]


def _pieces(length: int, most: int) -> list[slice]:
    """Pieces of about equal length, none longer."""
    count = -(-length // most)
    edges = [round(index * length / count) for index in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


def windowed(picture: Picture, window: Window, scale: int = 1) -> Picture:
    """Return a part of a picture, named after its place."""
    large = tuple(slice(scale * s.start, scale * s.stop) for s in window)
    label, mask, target = picture.label, picture.mask, picture.target
    return replace(
        picture,
        name=f"{picture.name}@{window[0].start},{window[1].start}",
        pixels=_cut(picture.pixels[:, window[0], window[1]]),
        label=None if label is None else _cut(label[window]),
        mask=None if mask is None else _cut(mask[window]),
        target=None if target is None else _cut(target[:, large[0], large[1]]),
    )


def _cut(values: NDArray[T]) -> NDArray[T]:
    # A copy: a view would keep the whole picture in memory.
    return np.array(values)


def enhance(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Even out contrast: CLAHE on 8x8 tiles, then gamma 1.2.

    Parameters
    ----------
    pixels : ndarray, shape (1, H, W), uint8
        Gray levels.

    Returns
    -------
    ndarray, shape (1, H, W), uint8
        Gray levels.
    """
    height, width = pixels.shape[1:]
    flat = equalize_adapthist(
        pixels[0],
        kernel_size=(max(1, height // 8), max(1, width // 8)),
        clip_limit=CLAHE_CLIP,
    )
    levels: NDArray[np.uint8] = np.rint(255 * adjust_gamma(flat, GAMMA)).astype(
        np.uint8
    )
    return levels[None]
