# SPDX-License-Identifier: BSD-3-Clause
"""Say which data set a folder holds, what is in it, and all that is wrong with it."""

from collections import Counter
from pathlib import Path
from typing import Any, get_args

import numpy as np

from loihi_unet.data.datasets import AS_STATED, Reading, reader
from loihi_unet.data.deep import records, warnings
from loihi_unet.data.layouts import (
    CAMSEQ_TEST,
    CAMSEQ_TRAIN,
    LAYOUTS,
    Split,
    outlines,
    photographs,
)
from loihi_unet.data.picture_files import list_pictures
from loihi_unet.data.pictures import VOID, Picture
from loihi_unet.data.read_picture import read_pages, read_pixels
from loihi_unet.errors import DataError


def check_data(data: Path, reading: Reading = AS_STATED) -> dict[str, Any]:
    """Recognise a folder's layout and read everything in it.

    Parameters
    ----------
    data : Path
        The folder; a data set may lie one or two folders below it.
    reading : Reading
        How files are understood.

    Returns
    -------
    dict[str, Any]
        ``layout``: a segmentation set's name, or ``"pictures"``; ``folder``: where it
        is; and for each part its number of ``pictures`` without fault, ``sizes``
        (height x width), ``classes`` with their share of the pixels, void included,
        ``white_levels`` as `loihi_unet.data.deep.records`, ``warnings`` and
        ``problems``, a line for each.

    Raises
    ------
    DataError
        If there is no picture, or labels in no layout that is known.
    """
    layout, root = _recognise(data)
    found: dict[str, Any] = {"layout": layout or "pictures", "folder": str(root)}
    if layout is None:
        return found | {"all": _pictures(data, reading)}
    parts = {s: _part(layout, root, s, reading) for s in get_args(Split)}
    return found | parts


def _recognise(data: Path) -> tuple[str | None, Path]:
    """Name of a layout and its folder; None for a folder of pictures."""
    found = {name: at for name, at in outlines(data).items() if isinstance(at, Path)}
    if len(set(found.values())) > 1:
        several = ", ".join(f"{name} in {root}" for name, root in found.items())
        raise DataError(f"{data}: several data sets: name one: {several}")
    if found.keys() == {"isbi2012", "camseq01"}:  # both have image and label
        root = found["isbi2012"]
        _, paths = list_pictures(root / "image")
        name = "camseq01" if _street(paths) else "isbi2012"
        return name, root
    for name, root in found.items():
        return name, root
    photographs(data)
    return None, data


def _street(paths: list[Path]) -> bool:
    """Whether pictures of an ``image`` folder are street scenes and no sections."""
    try:
        red, green, blue = read_pixels(paths[0], 3)
    except DataError:  # said later, as one of all that is wrong
        return len(paths) == CAMSEQ_TRAIN + CAMSEQ_TEST
    # Sections may be stored as RGB, but they have no colour.
    return not ((red == green).all() and (green == blue).all())


def _pictures(data: Path, reading: Reading) -> dict[str, Any]:
    folder, paths = photographs(data)
    pictures, problems = [], []
    for path in paths:
        try:
            # Gray, for the count and sizes alone.
            pictures += [
                Picture(
                    name=read.page.name(folder), pixels=read.pixels, levels=read.levels
                )
                for read in read_pages(path, 1, reading.white_level)
            ]
        except DataError as error:
            problems.append(str(error))
    return _summary(pictures, problems, reading)


def _part(layout: str, root: Path, split: Split, reading: Reading) -> dict[str, Any]:
    try:
        part = LAYOUTS[layout](root, split)
    except DataError as error:
        return _summary([], [str(error)], reading)
    problems = list(part.problems)
    read = reader(layout, part, reading)
    pictures = [read(entry, problems) for entry in part.entries]
    return _summary([p for p in pictures if p is not None], problems, reading)


def _summary(
    pictures: list[Picture], problems: list[str], reading: Reading
) -> dict[str, Any]:
    sizes = Counter("x".join(map(str, p.pixels.shape[1:])) for p in pictures)
    found: dict[str, Any] = {"pictures": len(pictures), "sizes": dict(sizes)}
    labels = [p.label for p in pictures if p.label is not None]
    if labels:
        counts = np.sum([np.bincount(x.ravel(), minlength=256) for x in labels], axis=0)
        found["classes"] = {
            "void" if value == VOID else str(value): round(count / counts.sum(), 4)
            for value, count in enumerate(counts.tolist())
            if count
        }
    levels = records(picture.levels for picture in pictures)
    asked = reading.white_level
    return found | {
        "white_levels": levels,
        "warnings": warnings(levels, asked),
        "problems": list(dict.fromkeys(problems)),
    }
