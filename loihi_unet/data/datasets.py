# SPDX-License-Identifier: BSD-3-Clause
"""Segmentation data sets in their official folder layouts.

- ``drive``: DRIVE, doi:10.1109/TMI.2004.825627. ``training`` and ``test`` hold
  ``images``, ``1st_manual`` and ``mask``. Gray pictures, CLAHE, gamma; class 1 is
  vessel, the mask is the field of view.
- ``isbi2012``: ISBI 2012 EM, doi:10.1371/journal.pbio.1000502. ``image`` and ``label``
  hold the 30 labelled sections, or the stacks ``train-volume.tif`` and
  ``train-labels.tif`` do, as released; class 1 is non-membrane (255). The labels of the
  official test part were never published, so the last five sections are the test
  part: a contiguous block, since neighbours resemble each other.
- ``camseq01``: CamSeq01, doi:10.1109/ICCV.2007.4409081, with SegNet's 11 classes and
  void. ``image`` and ``label`` hold 101 frames of one drive, or drawings ``NAME_L.png``
  lie beside ``NAME.png``, as released; resized to 256x256. The first 80 train, the last
  21 test.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.exposure import adjust_gamma, equalize_adapthist

from export.files.kind import expect
from loihi_unet.config import DenoiseConfig, SegmentConfig
from loihi_unet.data.labels import CAMVID, read_binary, read_classes, read_colours
from loihi_unet.data.layouts import LAYOUTS, Entry, Part, Split, find_root
from loihi_unet.data.pictures import Picture, load_pictures, warn
from loihi_unet.data.read_picture import read_page
from loihi_unet.errors import DataError

CLAHE_CLIP = 0.01
GAMMA = 1.2
CAMSEQ_SIZE = (256, 256)
CAMSEQ_CLASSES = 11
CAMSEQ_VOID = 11

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How files become gray levels and classes.

    Attributes
    ----------
    white_level : int or None
        As in `loihi_unet.data.read_picture.read_pages`.
    label_colours : Path or None
        Table of the colours of label pictures, as
        `loihi_unet.data.labels.read_colours`; None for CamVid's, of CamSeq01, and none
        elsewhere.
    """

    white_level: int | None = None
    label_colours: Path | None = None


AS_STATED = Reading()


def load_data(
    task: DenoiseConfig | SegmentConfig,
    data: Path | None,
    channels: int,
    split: Split = "train",
    reading: Reading = AS_STATED,
) -> list[Picture]:
    """Read the pictures of a task.

    Parameters
    ----------
    task : DenoiseConfig or SegmentConfig
        Names the data set, where a layout is expected.
    data : Path or None
        Its folder; None, for denoising only, for scikit-image's photographs.
    channels : int
        1 or 3.
    split : str
        Which part of a segmentation set; for denoising a folder is all one part.
    reading : Reading
        How files are understood.

    Returns
    -------
    list[Picture]
        With labels for segmentation.

    Raises
    ------
    DataError
        If something is missing, unreadable or does not fit together.
    """
    if isinstance(task, DenoiseConfig):
        return load_pictures(data, channels, reading.white_level)
    if data is None:
        raise DataError(
            f"segmentation needs the folder of {task.dataset} (--data); there is no "
            "default"
        )
    expect(data, "folder", error=DataError)
    part = LAYOUTS[task.dataset](find_root(data, task.dataset), split)
    if part.problems:
        more = len(part.problems) - 1
        hint = f" (and {more} more: see data check)" if more else ""
        raise DataError(part.problems[0] + hint)
    read = reader(task.dataset, part, reading)
    pictures = []
    for entry in part.entries:
        problems: list[str] = []
        picture = read(entry, problems)
        if picture is None:
            raise DataError(problems[0])
        pictures.append(picture)
    warn([picture.levels for picture in pictures], reading.white_level)
    return pictures


def reader(
    dataset: str, part: Part, reading: Reading
) -> Callable[[Entry, list[str]], Picture | None]:
    """Return what reads and prepares an entry of a part of a data set.

    Parameters
    ----------
    dataset : str
        A key of `loihi_unet.data.layouts.LAYOUTS`.
    part : Part
        Where the entry is from.
    reading : Reading
        How files are understood.

    Returns
    -------
    callable
        Maps an entry to its picture, or to None where something is wrong with it,
        which it appends to the list it is given.
    """
    colours = read_colours(reading.label_colours) if reading.label_colours else None
    channels = SegmentConfig(dataset=dataset).channels  # type: ignore[arg-type]

    def label_of(entry: Entry) -> NDArray[np.uint8]:
        if dataset == "camseq01":
            return read_classes(
                entry.label,
                CAMSEQ_CLASSES,
                CAMSEQ_VOID,
                colours or CAMVID,
                drawn=part.drawn,
            )
        return read_binary(entry.label, colours)

    def read(entry: Entry, problems: list[str]) -> Picture | None:
        before = len(problems)
        found = _tried(
            problems, lambda: read_page(entry.picture, channels, reading.white_level)
        )
        label = _tried(problems, lambda: label_of(entry))
        mask = None
        if (page := entry.mask) is not None:
            mask = _tried(problems, functools.partial(read_binary, page))
        for page, values in ((entry.label, label), (entry.mask, mask)):
            if found is None or values is None:
                continue
            height, width = found.pixels.shape[1:]
            if values.shape != (height, width):
                problems.append(
                    f"{page}: {values.shape[1]}x{values.shape[0]} pixels, "
                    f"{entry.picture.path.name} has {width}x{height}"
                )
        if mask is not None and not mask.any():
            problems.append(f"{entry.mask}: no pixel is inside the field of view")
        if len(problems) > before or found is None or label is None:
            return None
        return Picture(
            name=entry.name,
            **_prepared(dataset, found.pixels, label),
            mask=None if mask is None else mask.astype(bool),
            levels=found.levels,
        )

    return read


def _tried(problems: list[str], function: Callable[[], T]) -> T | None:
    """Call a function; what is wrong with the data becomes a problem."""
    try:
        return function()
    except DataError as error:
        problems.append(str(error))
        return None


def _prepared(
    dataset: str, pixels: NDArray[np.uint8], label: NDArray[np.uint8]
) -> dict[str, Any]:
    """Pixels and label as the network of a data set gets them."""
    if dataset == "drive":
        return {"pixels": enhance(pixels), "label": label}
    if dataset == "isbi2012":
        return {"pixels": pixels, "label": label}
    small = Image.fromarray(pixels.transpose(1, 2, 0)).resize(
        CAMSEQ_SIZE, Image.Resampling.BILINEAR
    )
    classes = Image.fromarray(label).resize(CAMSEQ_SIZE, Image.Resampling.NEAREST)
    return {
        "pixels": np.ascontiguousarray(np.array(small).transpose(2, 0, 1)),
        "label": np.array(classes),
    }


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
