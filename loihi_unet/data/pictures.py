# SPDX-License-Identifier: BSD-3-Clause
"""Pictures from files, in which order and to what pixels; and back to PNG."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import skimage
from numpy.typing import NDArray
from PIL import Image

from export.files.atomic import atomic
from loihi_unet.data.layouts import photographs
from loihi_unet.data.picture import VOID as VOID
from loihi_unet.data.picture import Picture as Picture
from loihi_unet.data.picture_files import pages
from loihi_unet.data.read_picture import PageReader, check_channels
from loihi_unet.data.sequence import Pictures
from loihi_unet.data.sequence import fingerprint as fingerprint
from loihi_unet.data.sequence import hold_out as hold_out
from loihi_unet.data.white_level import Levels, records, warnings

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

log = logging.getLogger(__name__)


def load_pictures(
    data: Path | None, channels: int, white_level: int | None = None
) -> Pictures:
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
    Pictures
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
    all_pages = [page for path in paths for page, _ in pages(path)]
    reader = PageReader()

    def read(index: int) -> Picture:
        page, pixels, levels = reader.read(all_pages[index], channels, white_level)
        return Picture(name=page.name(folder), pixels=pixels, levels=levels)

    pictures = Pictures.read(read, len(all_pages))
    warn(pictures.levels, white_level)
    return pictures


def warn(levels: Iterable[Levels | None], white_level: int | None) -> None:
    """Log a line for each white level that does not fit what was found."""
    for line in warnings(records(levels), white_level):
        log.warning("warning: %s", line)


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
