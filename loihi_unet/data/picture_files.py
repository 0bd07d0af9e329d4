# SPDX-License-Identifier: BSD-3-Clause
"""Which files of a folder are pictures, and how many: every page of a file is one."""

import contextlib
import os
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import png
from PIL import ExifTags, Image, UnidentifiedImageError

from export.files.kind import expect
from loihi_unet.errors import DataError

#: What Pillow may open a file as. It knows many more, which run programs (EPS starts
#: Ghostscript) or write out of bounds in old versions (PSD, CVE-2026-25990).
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
#: Those whose files hold pages; a camera's JPEG may hold a preview behind the picture.
PAGED = ("GIF", "PNG", "TIFF", "WEBP")
#: Folders that systems make beside the pictures; what begins with a dot is theirs, too.
SYSTEM = ("__macosx", "@eadir", "$recycle.bin", "system volume information")

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_NEW_SUBFILE_TYPE, _WIDTH, _LENGTH = 254, 256, 257
# A smaller version of another page, or a transparency mask.
_NO_PAGE = 1 | 4


@dataclass(frozen=True)
class Page:
    """One picture of a file.

    Attributes
    ----------
    path : Path
        The file.
    frame : int
        Which of the file's frames, from 0.
    number, count : int
        Which of its pictures, from 1, and how many it has.
    """

    path: Path
    frame: int = 0
    number: int = 1
    count: int = 1

    def __str__(self) -> str:
        return f"{self.path}{self.suffix}"

    @property
    def suffix(self) -> str:
        """Return ``#3`` for the third of several pages."""
        return f"#{self.number}" if self.count > 1 else ""

    def name(self, folder: Path) -> str:
        """Return the path relative to a folder, and the page, in printable text."""
        name = f"{self.path.relative_to(folder).as_posix()}{self.suffix}"
        return printable(name)


def printable(name: str) -> str:
    r"""Return a file's name as text; bytes that are no UTF-8 as ``\xe9``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def is_picture(path: Path, folder: Path) -> bool:
    """Whether a file of a folder has a picture's name."""
    parts = [part.lower() for part in path.relative_to(folder).parts]
    if any(part.startswith(".") or part in SYSTEM for part in parts):
        return False
    return path.suffix.lower() in _suffixes() and path.is_file()


def _suffixes() -> set[str]:
    extensions = Image.registered_extensions()
    return {suffix for suffix, form in extensions.items() if form in FORMATS}


def list_pictures(data: Path) -> tuple[Path, list[Path]]:
    """Return a folder and the picture files in it and below it, in natural order.

    Parameters
    ----------
    data : Path
        A folder, or one picture.

    Returns
    -------
    folder : Path
        What names are relative to.
    paths : list[Path]
        At least one. What macOS, Windows and network stores put beside pictures
        (``._a.png``, ``__MACOSX``) is left out.

    Raises
    ------
    DataError
        If there is none.
    """
    if data.is_file():
        return data.parent, [data]
    if not data.is_dir():
        raise DataError(f"{data}: no such file or folder")
    paths = [path for path in data.rglob("*") if is_picture(path, data)]
    if not paths:
        expect(data, "folder", "report-folder", error=DataError)
        raise DataError(f"{data}: no picture in this folder or below it")
    return data, sorted(paths, key=lambda path: natural(path.relative_to(data)))


def natural(path: Path) -> list[int | str]:
    """Return a sort key under which 2.png comes before 10.png."""
    # Text and digits alternate, so equal places hold equal types.
    parts = re.split(r"(\d+)", path.as_posix().lower())
    return [int(part) if part.isdecimal() else part for part in parts]


def _damage() -> tuple[type[Exception], ...]:
    """What Pillow, pypng and tifffile raise on damaged pictures has no one type."""
    import tifffile  # only where there is a TIFF, or damage: it takes long

    return (
        OSError,
        ValueError,
        SyntaxError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
        EOFError,
        MemoryError,
        RuntimeError,
        struct.error,
        zlib.error,
        png.Error,
        tifffile.TiffFileError,
        Image.DecompressionBombError,
    )


@contextlib.contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Make one line of whatever a library cannot read in a file."""
    try:
        yield
    except DataError:
        raise
    except UnidentifiedImageError as error:
        allowed = ", ".join(FORMATS)
        text = f"{path}: not a readable picture; allowed are {allowed}"
        raise DataError(text) from error
    except _damage() as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{path}: not a readable picture: {reason}") from error


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Image.Image | None]:
    """Open a file of one of `FORMATS`; whatever cannot be read is one line.

    Yields
    ------
    PIL.Image.Image or None
        None for a TIFF that Pillow does not know: tifffile may.
    """
    expect(path, "picture", error=DataError)
    with damage_named(path):
        try:
            image = Image.open(path, formats=FORMATS)
        except UnidentifiedImageError:
            with path.open("rb") as file:
                if file.read(4) not in _TIFF_MAGIC:
                    raise
            yield None
        else:
            with image:
                yield image


def pages(path: Path) -> list[tuple[Page, tuple[int, int]]]:
    """Return the pages of a file in order, each with its (height, width).

    Those are the sizes that reading gives, told by headers.

    Raises
    ------
    DataError
        If the headers cannot be read, or there is no page.
    """
    with opened(path) as image:
        frames = _tiff_frames(path) if image is None else _frames(image)
        if not frames:
            raise DataError(f"{path}: no page that is a picture")
    return [
        (Page(path, frame, number, len(frames)), size)
        for number, (frame, size) in enumerate(frames, 1)
    ]


def _frames(image: Image.Image) -> list[tuple[int, tuple[int, int]]]:
    """Frames that are pictures, and their (height, width), by Pillow."""
    count = getattr(image, "n_frames", 1) if image.format in PAGED else 1
    frames = []
    for frame in range(count):
        if count > 1:
            image.seek(frame)
        tags: Any = getattr(image, "tag_v2", {})
        if count > 1 and tags.get(_NEW_SUBFILE_TYPE, 0) & _NO_PAGE:
            continue
        # Of a TIFF Pillow's size may be turned already.
        width = tags.get(_WIDTH, image.size[0])
        height = tags.get(_LENGTH, image.size[1])
        turned = orientation(image) in range(5, 9)
        frames.append((frame, (width, height) if turned else (height, width)))
    return frames


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation of a picture that is not yet loaded, 1 to 8."""
    tags: Any = getattr(image, "tag_v2", None) or image.getexif()
    return int(tags.get(ExifTags.Base.Orientation, 1))


def _tiff_frames(path: Path) -> list[tuple[int, tuple[int, int]]]:
    """The same by tifffile."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        several = len(file.pages) > 1
        frames = []
        for frame, page in enumerate(file.pages):
            tags: Any = page
            if several and int(tags.subfiletype) & _NO_PAGE:
                continue
            frames.append((frame, (int(tags.imagelength), int(tags.imagewidth))))
    return frames
