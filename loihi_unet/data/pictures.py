# SPDX-License-Identifier: BSD-3-Clause
"""Pictures from files, in which order and to what pixels; and back to PNG."""

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import skimage
from numpy.typing import NDArray
from PIL import Image

from export.files.atomic import atomic
from loihi_unet.data.deep import Levels, records, warnings
from loihi_unet.data.layouts import photographs
from loihi_unet.data.read_picture import check_channels, read_pages
from loihi_unet.errors import DataError

#: Photographs that ship inside the scikit-image wheel (0.22 to 0.26).
SKIMAGE_PICTURES = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)

#: Label of a pixel that belongs to no class: left out of loss and scores.
VOID = 255

log = logging.getLogger(__name__)


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
    """

    name: str
    pixels: NDArray[np.uint8]
    label: NDArray[np.uint8] | None = None
    mask: NDArray[np.bool_] | None = None
    levels: Levels | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        _, height, width = self.pixels.shape
        return height, width


def load_pictures(
    data: Path | None, channels: int, white_level: int | None = None
) -> list[Picture]:
    """Read every picture of a folder and its sub-folders, in natural order.

    Parameters
    ----------
    data : Path or None
        A folder, or one file; None for the photographs that ship with
        scikit-image (nothing is downloaded). Every page of a file is a picture.
    channels : int
        1: gray, by Pillow's ``convert("L")``; 3: RGB.
    white_level : int, optional
        As in `loihi_unet.data.read_picture.read_pages`.

    Returns
    -------
    list[Picture]
        At least one.

    Raises
    ------
    DataError
        If the folder is missing, has no picture or holds labels, or a picture cannot
        be read.
    """
    check_channels(channels)
    if data is None:
        folder = Path(skimage.__file__).parent / "data"
        paths = [folder / name for name in SKIMAGE_PICTURES]
    else:
        folder, paths = photographs(data)
    pictures = [
        Picture(name=read.page.name(folder), pixels=read.pixels, levels=read.levels)
        for path in paths
        for read in read_pages(path, channels, white_level)
    ]
    warn([picture.levels for picture in pictures], white_level)
    return pictures


def warn(levels: Iterable[Levels | None], white_level: int | None) -> None:
    """Log a line for each white level that does not fit what was found."""
    for line in warnings(records(levels), white_level):
        log.warning("warning: %s", line)


def fingerprint(pictures: list[Picture]) -> str:
    """Return the SHA-256 (hex) of names, shapes, pixels and labels, in order."""
    digest = hashlib.sha256()
    for picture in pictures:
        digest.update(f"{picture.name}\0{picture.pixels.shape}\0".encode())
        digest.update(picture.pixels.tobytes())
        if picture.label is not None:
            digest.update(picture.label.tobytes())
    return digest.hexdigest()


def hold_out(
    pictures: list[Picture], count: int
) -> tuple[list[Picture], list[Picture]]:
    """Split pictures into those to train on and those to validate on.

    Parameters
    ----------
    pictures : list[Picture]
        All of them.
    count : int
        How many to hold out; taken at even distances through the list.

    Returns
    -------
    train, validation : list[Picture]
        No picture is in both.

    Raises
    ------
    DataError
        If none would be left to train on.
    """
    if count >= len(pictures):
        raise DataError(
            f"{len(pictures)} pictures: cannot hold out {count} and train on the rest; "
            f"add pictures or lower validation_images"
        )
    held = {index * len(pictures) // count for index in range(count)}
    train = [item for index, item in enumerate(pictures) if index not in held]
    return train, [pictures[index] for index in sorted(held)]


def write_picture(path: Path, pixels: NDArray[Any]) -> None:
    """Write gray levels as an 8-bit PNG, clipped to 0..255 and rounded.

    Parameters
    ----------
    path : Path
        File to write.
    pixels : ndarray, shape (1, H, W) or (3, H, W)
        Gray levels.
    """
    levels = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    flat = levels[0] if len(levels) == 1 else levels.transpose(1, 2, 0)
    with atomic(path) as temporary:
        Image.fromarray(flat).save(temporary, format="PNG")
