# SPDX-License-Identifier: BSD-3-Clause
"""Segmentation data sets in their official folder layouts.

- ``drive``: DRIVE, doi:10.1109/TMI.2004.825627. ``training`` and ``test`` hold
  ``images``, ``1st_manual`` and ``mask``. Gray pictures, CLAHE, gamma; class 1 is
  vessel, the mask is the field of view.
- ``isbi2012``: ISBI 2012 EM, doi:10.1371/journal.pbio.1000502. ``image`` and ``label``
  hold the 30 labelled sections; class 1 is non-membrane (255). The labels of the
  official test part were never published, so the last five sections are the test
  part: a contiguous block, since neighbours resemble each other.
- ``camseq01``: CamSeq01, doi:10.1109/ICCV.2007.4409081, with SegNet's 11 classes and
  void. ``image`` and ``label`` hold 101 frames of one drive, resized to 256x256; the
  first 80 train, the last 21 test.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.exposure import adjust_gamma, equalize_adapthist

from export.files.kind import expect
from loihi_unet.config import DenoiseConfig, SegmentConfig
from loihi_unet.data.pictures import (
    FORMATS,
    VOID,
    Picture,
    list_pictures,
    load_pictures,
    read_pixels,
)
from loihi_unet.errors import DataError

Split = Literal["train", "test"]

CLAHE_CLIP = 0.01
GAMMA = 1.2
EM_TEST = 5
CAMSEQ_TRAIN = 80
CAMSEQ_TEST = 21
CAMSEQ_SIZE = (256, 256)
CAMSEQ_VOID = 11


def load_data(
    task: DenoiseConfig | SegmentConfig,
    data: Path | None,
    channels: int,
    split: Split = "train",
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
        return load_pictures(data, channels)
    if data is None:
        raise DataError(
            f"segmentation needs the folder of {task.dataset} (--data); there is no "
            "default"
        )
    expect(data, "folder", error=DataError)
    return _LAYOUTS[task.dataset](data, split)


def _drive(data: Path, split: Split) -> list[Picture]:
    folder = data / ("training" if split == "train" else "test")
    pictures = []
    for path in _files(folder / "images"):
        number = path.stem.split("_")[0]
        label = _read_like(folder / "1st_manual" / f"{number}_manual1.gif", path)
        mask = _read_like(folder / "mask" / f"{path.stem}_mask.gif", path)
        pictures.append(
            Picture(
                name=path.relative_to(data).as_posix(),
                pixels=enhance(read_pixels(path, 1)),
                label=_binary(label, folder / "1st_manual" / f"{number}_manual1.gif"),
                mask=mask > 127,
            )
        )
    return pictures


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


def _isbi2012(data: Path, split: Split) -> list[Picture]:
    paths = _files(data / "image")
    if len(paths) <= EM_TEST:
        raise DataError(
            f"{data / 'image'}: {len(paths)} sections, "
            f"the test part alone has {EM_TEST}"
        )
    chosen = paths[:-EM_TEST] if split == "train" else paths[-EM_TEST:]
    return [
        Picture(
            name=path.name,
            pixels=read_pixels(path, 1),
            label=_binary(
                _read_like(data / "label" / path.name, path), data / "label" / path.name
            ),
        )
        for path in chosen
    ]


def _camseq01(data: Path, split: Split) -> list[Picture]:
    paths = _files(data / "image")
    if len(paths) != CAMSEQ_TRAIN + CAMSEQ_TEST:
        raise DataError(
            f"{data / 'image'}: {len(paths)} frames, CamSeq01 has "
            f"{CAMSEQ_TRAIN + CAMSEQ_TEST}"
        )
    chosen = paths[:CAMSEQ_TRAIN] if split == "train" else paths[CAMSEQ_TRAIN:]
    pictures = []
    for path in chosen:
        pixels = read_pixels(path, 3)
        label = _read_like(data / "label" / path.name, path)
        if label.max() > CAMSEQ_VOID:
            raise DataError(
                f"{data / 'label' / path.name}: class {label.max()}; allowed 0..10 and "
                f"{CAMSEQ_VOID} for void"
            )
        small = Image.fromarray(pixels.transpose(1, 2, 0)).resize(
            CAMSEQ_SIZE, Image.Resampling.BILINEAR
        )
        classes = np.array(
            Image.fromarray(label).resize(CAMSEQ_SIZE, Image.Resampling.NEAREST)
        )
        pictures.append(
            Picture(
                name=path.name,
                pixels=np.ascontiguousarray(np.array(small).transpose(2, 0, 1)),
                label=np.where(classes == CAMSEQ_VOID, VOID, classes).astype(np.uint8),
            )
        )
    return pictures


_LAYOUTS: dict[str, Callable[[Path, Split], list[Picture]]] = {
    "drive": _drive,
    "isbi2012": _isbi2012,
    "camseq01": _camseq01,
}


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; the data set's layout has it")
    return list_pictures(folder)[1]


def _read_like(path: Path, picture: Path) -> NDArray[np.uint8]:
    """Read a label or mask, shape (H, W), and see that it fits its picture."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; {picture.name} needs it")
    with Image.open(picture, formats=FORMATS) as image:
        size = image.size
    levels = read_pixels(path, 1)[0]
    if levels.shape[::-1] != size:
        raise DataError(
            f"{path}: {levels.shape[1]}x{levels.shape[0]} pixels, {picture.name} has "
            f"{size[0]}x{size[1]}"
        )
    return levels


def _binary(levels: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
    values = np.unique(levels)
    if not np.isin(values, (0, 255)).all():
        strange = values[~np.isin(values, (0, 255))][0]
        raise DataError(f"{path}: value {strange}; allowed are 0 and 255")
    return (levels > 127).astype(np.uint8)


def check_data(data: Path) -> dict[str, Any]:
    """Recognise a folder's layout and read everything in it.

    Parameters
    ----------
    data : Path
        The folder.

    Returns
    -------
    dict[str, Any]
        ``layout``: a segmentation set's name, or ``"pictures"``; per part, its
        number of pictures, sizes (height x width) and classes with their share of
        the pixels, void included.

    Raises
    ------
    DataError
        What is missing, unreadable or does not fit together: the first thing found.
    """
    layout = _recognise(data)
    if layout is None:
        # Gray, for the count and sizes alone.
        parts = {"all": load_pictures(data, 1)}
    else:
        parts = {split: _LAYOUTS[layout](data, split) for split in get_args(Split)}
    found: dict[str, Any] = {"layout": layout or "pictures"}
    for name, pictures in parts.items():
        sizes = Counter("x".join(map(str, p.pixels.shape[1:])) for p in pictures)
        found[name] = {"pictures": len(pictures), "sizes": dict(sizes)}
        labels = [p.label.ravel() for p in pictures if p.label is not None]
        if labels:
            counts = np.bincount(np.concatenate(labels)).tolist()
            found[name]["classes"] = {
                "void" if value == VOID else str(value): round(count / sum(counts), 4)
                for value, count in enumerate(counts)
                if count
            }
    return found


def _recognise(data: Path) -> str | None:
    if (data / "training").is_dir() or (data / "test").is_dir():
        return "drive"
    if (data / "image").is_dir():
        with Image.open(_files(data / "image")[0], formats=FORMATS) as first:
            return "isbi2012" if first.mode == "L" else "camseq01"
    return None
