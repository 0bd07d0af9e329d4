# SPDX-License-Identifier: BSD-3-Clause
"""Pictures from files, in which order and to what pixels; and back to PNG."""

import contextlib
import hashlib
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import skimage
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from export.files.atomic import atomic
from export.files.kind import expect
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
# What Pillow's plugins raise on damaged pictures has no one type.
_DAMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

#: What Pillow may open a file as. It knows many more, which run programs (EPS starts
#: Ghostscript) or write out of bounds in old versions (PSD, CVE-2026-25990).
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_PILLOW_MODES = {1: "L", 3: "RGB"}
_EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


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
    """

    name: str
    pixels: NDArray[np.uint8]
    label: NDArray[np.uint8] | None = None
    mask: NDArray[np.bool_] | None = None


def load_pictures(data: Path | None, channels: int) -> list[Picture]:
    """Read every picture of a folder and its sub-folders, in natural order.

    Parameters
    ----------
    data : Path or None
        A folder, or one picture; None for the photographs that ship with
        scikit-image (nothing is downloaded).
    channels : int
        1: gray, by Pillow's ``convert("L")``; 3: RGB.

    Returns
    -------
    list[Picture]
        At least one.

    Raises
    ------
    DataError
        If the folder is missing or has no picture, or a picture cannot be read.
    """
    if channels not in _PILLOW_MODES:
        raise DataError(f"pictures have 1 or 3 channels, asked for {channels}")
    if data is None:
        folder = Path(skimage.__file__).parent / "data"
        paths = [folder / name for name in SKIMAGE_PICTURES]
    else:
        folder, paths = list_pictures(data)
    return [
        Picture(
            name=path.relative_to(folder).as_posix(), pixels=read_pixels(path, channels)
        )
        for path in paths
    ]


def list_pictures(data: Path) -> tuple[Path, list[Path]]:
    """Return a folder and the pictures in it and below it, in natural order.

    Parameters
    ----------
    data : Path
        A folder, or one picture.

    Returns
    -------
    folder : Path
        What names are relative to.
    paths : list[Path]
        At least one.

    Raises
    ------
    DataError
        If there is none.
    """
    if data.is_file():
        return data.parent, [data]
    if not data.is_dir():
        raise DataError(f"{data}: no such file or folder")
    extensions = Image.registered_extensions()
    suffixes = {suffix for suffix, form in extensions.items() if form in FORMATS}
    paths = [
        path
        for path in data.rglob("*")
        if path.suffix.lower() in suffixes and path.is_file()
    ]
    if not paths:
        expect(data, "folder", "report-folder", error=DataError)
        raise DataError(f"{data}: no picture in this folder or below it")
    return data, sorted(paths, key=lambda path: natural(path.relative_to(data)))


def natural(path: Path) -> list[int | str]:
    """Return a sort key under which 2.png comes before 10.png."""
    # Text and digits alternate, so equal places hold equal types.
    parts = re.split(r"(\d+)", path.as_posix().lower())
    return [int(part) if part.isdecimal() else part for part in parts]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open a file of one of `FORMATS`; whatever Pillow then cannot read is one line."""
    expect(path, "picture", error=DataError)
    try:
        with Image.open(path, formats=FORMATS) as image:
            yield image
    except UnidentifiedImageError as error:
        allowed = ", ".join(FORMATS)
        text = f"{path}: not a readable picture; allowed are {allowed}"
        raise DataError(text) from error
    except _DAMAGE as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{path}: not a readable picture: {reason}") from error


def read_pixels(path: Path, channels: int) -> NDArray[np.uint8]:
    """Read one picture.

    Parameters
    ----------
    path : Path
        8 bits, of one of `FORMATS`; the first frame of several.
    channels : int
        1: gray; 3: RGB.

    Returns
    -------
    ndarray, shape (channels, H, W), uint8
        Turned as its EXIF orientation says.

    Raises
    ------
    DataError
        If Pillow cannot read it or it is not an 8-bit picture.
    """
    with _opened(path) as image:
        mode = image.mode
        ImageOps.exif_transpose(image, in_place=True)
        if mode in _EIGHT_BIT_MODES:
            pixels = np.array(image.convert(_PILLOW_MODES[channels]))
    if mode not in _EIGHT_BIT_MODES:
        raise DataError(
            f"{path}: Pillow mode {mode}; allowed are 8-bit pictures: "
            f"{', '.join(_EIGHT_BIT_MODES)}"
        )
    return np.ascontiguousarray(
        pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1)
    )


def picture_size(path: Path) -> tuple[int, int]:
    """Return what `read_pixels` will give, (height, width), without reading them.

    Raises
    ------
    DataError
        If Pillow cannot read the file's header.
    """
    with _opened(path) as image:
        width, height = image.size
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) in range(5, 9)
    return (width, height) if turned else (height, width)


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
