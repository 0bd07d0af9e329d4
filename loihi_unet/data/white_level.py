# SPDX-License-Identifier: BSD-3-Clause
"""Samples of more than 8 bits, and which of them the network calls white.

Pillow reads the colour pictures among them as if they had 8 bits, without a word, so
these files are read by other libraries: pypng and tifffile.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import png
from numpy.typing import NDArray
from PIL import Image

from loihi_unet.errors import DataError

#: What the gray levels of a network end at.
FULL = 255
# SMaxSampleValue and MaxSampleValue, which of a TIFF's tags state a white level.
_TIFF_MAXIMA = (341, 281)
_UNSIGNED, _SIGNED = 1, 2
# tifffile logs what it thinks of a file; we say it in our own line.
logging.getLogger("tifffile").addHandler(logging.NullHandler())
logging.getLogger("tifffile").propagate = False


class Samples(NamedTuple):
    """A picture as its file has it.

    Attributes
    ----------
    values : ndarray of int, shape (H, W, S)
        One to four samples a pixel.
    white : int
        The largest value: what the file states, else what its bits allow.
    mode : str
        What the samples mean, as Pillow calls it: L, LA, RGB, RGBA or CMYK.
    inverted : bool
        Whether 0 is white.
    """

    values: NDArray[Any]
    white: int
    mode: str
    inverted: bool = False


@dataclass(frozen=True, kw_only=True)
class Levels:
    """How a picture of more than 8 bits became gray levels.

    Attributes
    ----------
    white : int
        The value that became 255.
    lowest, highest : int
        Values that were found in the file.
    clipped : int
        How many of them are above white.
    """

    white: int
    lowest: int
    highest: int
    clipped: int


def to_levels(
    samples: Samples, white: int | None = None
) -> tuple[NDArray[np.uint8], Levels]:
    """Return ``round(255 * v / white)`` of every sample; values above white are white.

    Parameters
    ----------
    samples : Samples
        At least one pixel.
    white : int, optional
        What becomes 255; None for the samples' own.

    Returns
    -------
    levels : ndarray, shape (H, W, S), uint8
        Of a file in which 0 is white: turned round.
    facts : Levels
        Of all samples but those of an alpha channel.
    """
    values = samples.values
    shown = values[..., :-1] if samples.mode in ("LA", "RGBA") else values
    level = samples.white if white is None else white
    facts = Levels(
        white=level,
        lowest=int(shown.min()),
        highest=int(shown.max()),
        clipped=int(np.count_nonzero(shown > level)),
    )
    levels = np.rint(np.minimum(values, level) * float(FULL) / level)
    turned = FULL - levels if samples.inverted else levels
    return turned.astype(np.uint8), facts


def read_png(path: Path) -> Samples:
    """Read a PNG of 16 bits a sample."""
    with path.open("rb") as file:
        width, height, rows, info = png.Reader(file=file).read()
        values = np.vstack([np.asarray(row, np.uint16) for row in rows])
    planes = info["planes"]
    mode = ("L", "LA", "RGB", "RGBA")[planes - 1]
    return Samples(values.reshape(height, width, planes), 2**16 - 1, mode)


def read_pnm(path: Path) -> Samples:
    """Read a PGM or PPM whose header states a maximum above 255."""
    data = path.read_bytes()
    magic, width, height, white, start = pnm_header(data)
    planes = 3 if magic in (b"P3", b"P6") else 1
    count = width * height * planes
    if magic in (b"P5", b"P6"):
        values = np.frombuffer(data, ">u2", count, start)
    else:
        values = np.array(data[start:].split()[:count], np.int64)
        if values.size < count or values.min() < 0:
            raise DataError(f"{path}: {values.size} samples found, {count} needed")
    return Samples(
        values.reshape(height, width, planes), white, "RGB" if planes == 3 else "L"
    )


def pnm_header(data: bytes) -> tuple[bytes, int, int, int, int]:
    """Return magic, width, height, largest value, and where the samples begin."""
    fields: list[bytes] = []
    place = 0
    while len(fields) < 4:
        line_end = len(data) if (end := data.find(b"\n", place)) < 0 else end
        if data[place : place + 1] == b"#":
            place = line_end
        elif data[place : place + 1].isspace():
            place += 1
        else:
            length = len(data[place : place + 20].split(None, 1)[0].split(b"#")[0])
            fields.append(data[place : place + length])
            place += length
    magic, *numbers = fields
    width, height, white = map(int, numbers)
    return magic, width, height, white, place + 1


def tiff_page(path: Path, frame: int) -> Samples:
    """Read a page of a TIFF by tifffile.

    Raises
    ------
    DataError
        If its samples are no integers, or mean nothing that is known here.
    """
    import tifffile

    with tifffile.TiffFile(path) as file:
        page: Any = file.pages[frame]
        where = f"{path}: page {frame + 1}"
        return _tiff_samples(page, where)


def _tiff_samples(page: Any, where: str) -> Samples:
    """The samples of a tifffile page."""
    kind = int(page.sampleformat)
    bits = page.bitspersample
    if kind not in (_UNSIGNED, _SIGNED):
        raise DataError(
            f"{where}: {bits}-bit samples that are no integers (TIFF sample format "
            f"{kind}); allowed are integers"
        )
    if page.imagewidth * page.imagelength > 2 * (Image.MAX_IMAGE_PIXELS or 0):
        raise DataError(
            f"{where}: {page.imagewidth}x{page.imagelength} pixels, more than "
            f"{2 * (Image.MAX_IMAGE_PIXELS or 0)}"
        )
    planes = page.samplesperpixel
    photometric = int(page.photometric)
    modes = {
        **{(meaning, 1): "L" for meaning in (0, 1)},
        **{(meaning, 2): "LA" for meaning in (0, 1)},
        **{(2, 3): "RGB", (2, 4): "RGBA", (5, 4): "CMYK"},
    }
    if (photometric, planes) not in modes or page.imagedepth > 1:
        raise DataError(
            f"{where}: {planes} samples of {bits} bits a pixel, photometric "
            f"interpretation {photometric}; allowed are gray, RGB and CMYK"
        )
    values = np.asarray(page.asarray())
    if page.planarconfig == 2 and planes > 1:
        values = np.moveaxis(values, 0, -1)
    values = values.reshape(page.imagelength, page.imagewidth, planes)
    if kind == _SIGNED and values.min() < 0:
        raise DataError(f"{where}: value {values.min()}; allowed are 0 and above")
    white = 2 ** (bits - (kind == _SIGNED)) - 1
    for tag in _TIFF_MAXIMA:
        if tag in page.tags:
            stated = page.tags[tag].value
            largest = max(stated) if isinstance(stated, tuple) else stated
            if 0 < largest < white:
                white = int(largest)
                break
    mode = modes[photometric, planes]
    return Samples(values, white, mode, inverted=photometric == 0)


def records(levels: Iterable[Levels | None]) -> list[dict[str, int]]:
    """Summarise what pictures of more than 8 bits held, by white level.

    Parameters
    ----------
    levels : iterable of Levels or None
        One for each picture; None for those of 8 bits.

    Returns
    -------
    list[dict[str, int]]
        ``white_level, pictures, lowest, highest, clipped``; empty where all pictures
        have 8 bits.
    """
    by_white: dict[int, list[Levels]] = {}
    for one in levels:
        if one is not None:
            by_white.setdefault(one.white, []).append(one)
    return [
        {
            "white_level": white,
            "pictures": len(several),
            "lowest": min(one.lowest for one in several),
            "highest": max(one.highest for one in several),
            "clipped": sum(one.clipped for one in several),
        }
        for white, several in sorted(by_white.items())
    ]


def warnings(recorded: list[dict[str, int]], asked: int | None) -> list[str]:
    """Return lines about white levels that do not fit what was found.

    Parameters
    ----------
    recorded : list[dict[str, int]]
        From `records`.
    asked : int or None
        ``--white-level``.
    """
    if asked is not None and not recorded:
        return [f"--white-level {asked}: no picture has more than 8 bits a channel"]
    lines = []
    for record in recorded:
        white, highest = record["white_level"], record["highest"]
        if 4 * highest < 3 * (white + 1):
            fitting = 2 ** highest.bit_length() - 1
            advice = fitting if fitting < white else highest
            hint = f": --white-level {advice}?" if highest else ""
            lines.append(f"values {record['lowest']}..{highest} of {white}{hint}")
    return lines
