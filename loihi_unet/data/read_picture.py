# SPDX-License-Identifier: BSD-3-Clause
"""The pixels of a page, and the raw values of one: the only place that decodes."""

import contextlib
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import GifImagePlugin, Image, ImageOps

from loihi_unet.data.picture_files import Page, damage_named, opened, orientation, pages
from loihi_unet.data.white_level import (
    Levels,
    Samples,
    pnm_header,
    read_png,
    read_pnm,
    tiff_page,
    to_levels,
)
from loihi_unet.errors import DataError

_PILLOW_MODES = {1: "L", 3: "RGB"}
_EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
#: Formats in which a palette of grays is the only way to store a gray picture.
_WITHOUT_GRAY = ("GIF", "BMP")
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Read(NamedTuple):
    """A page that was read.

    Attributes
    ----------
    page : Page
        Which.
    pixels : ndarray, shape (C, H, W), uint8
        Gray levels.
    levels : Levels or None
        How they were made, where the file has more than 8 bits a sample.
    """

    page: Page
    pixels: NDArray[np.uint8]
    levels: Levels | None


class Raw(NamedTuple):
    """Values of a page as the file has them.

    Attributes
    ----------
    values : ndarray of int
        Shape (H, W): samples, or indices into a palette; shape (H, W, 3): colours.
    bits : int
        Of a sample.
    palette : ndarray, shape (256, 3), uint8, or None
        Colours of the indices.
    """

    values: NDArray[Any]
    bits: int
    palette: NDArray[np.uint8] | None = None


def check_channels(channels: int) -> None:
    """Raise `DataError` unless a network of so many channels takes pictures."""
    if channels not in _PILLOW_MODES:
        raise DataError(f"pictures have 1 or 3 channels, asked for {channels}")


def read_pages(
    path: Path, channels: int, white_level: int | None = None
) -> Iterator[Read]:
    """Read every page of a file, in order, one at a time.

    Parameters
    ----------
    path : Path
        Of one of `loihi_unet.data.picture_files.FORMATS`.
    channels : int
        1: gray; 3: RGB.
    white_level : int, optional
        What becomes 255 in a picture of more than 8 bits a sample; None: the maximum
        that the file states, else the largest value that its bits allow.

    Yields
    ------
    Read
        Turned as the EXIF orientation says.

    Raises
    ------
    DataError
        If a page cannot be read.
    """
    several = [page for page, _ in pages(path)]
    with opened(path) as image:
        for page in several:
            yield _read(image, page, channels, white_level)


def read_page(page: Page, channels: int, white_level: int | None = None) -> Read:
    """Read one page; as `read_pages`."""
    with opened(page.path) as image:
        return _read(image, page, channels, white_level)


class PageReader:
    """Reads pages; the file of the latest stays open, so that a stack is walked once.

    Not of several threads.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._image: Image.Image | None = None
        self._open = contextlib.ExitStack()
        # Before the interpreter takes modules apart.
        weakref.finalize(self, self._open.close)

    def read(self, page: Page, channels: int, white_level: int | None = None) -> Read:
        """Read one page; as `read_pages`."""
        if page.count == 1:
            return read_page(page, channels, white_level)
        if page.path != self._path:
            self._open.close()
            self._path = None
            self._image = self._open.enter_context(opened(page.path))
            self._path = page.path
        return _read(self._image, page, channels, white_level)


def read_pixels(path: Path, channels: int) -> NDArray[np.uint8]:
    """Return the pixels of a file's first page; as `read_pages`."""
    return next(read_pages(path, channels)).pixels


def _read(
    image: Image.Image | None, page: Page, channels: int, white_level: int | None
) -> Read:
    with damage_named(page.path):
        _seek(image, page)
        samples = _deep_samples(image, page)
        if samples is not None:
            values, levels = to_levels(samples, white_level)
            flat = values[..., 0] if samples.mode == "L" else values
            shown = Image.fromarray(np.ascontiguousarray(flat), samples.mode)
            turn = _TURNS.get(1 if image is None else orientation(image))
            shown = shown if turn is None else shown.transpose(turn)
        else:
            assert image is not None  # what Pillow does not know is deep
            if image.mode not in _EIGHT_BIT_MODES:
                raise DataError(
                    f"{page}: Pillow mode {image.mode}; allowed are pictures of "
                    f"integers: {', '.join(_EIGHT_BIT_MODES)}, and deeper ones"
                )
            levels = None
            shown = _upright(image)
        pixels = np.array(shown.convert(_PILLOW_MODES[channels]))
    pixels = pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1)
    return Read(page, np.ascontiguousarray(pixels), levels)


def _upright(image: Image.Image) -> Image.Image:
    turned = ImageOps.exif_transpose(image)
    assert turned is not None  # it is where a new picture is asked for
    return turned


def _seek(image: Image.Image | None, page: Page) -> None:
    if image is not None and page.count > 1:
        image.seek(page.frame)


def sample_bits(image: Image.Image) -> int:
    """Return how many bits a sample of the frame has, told by the header."""
    match image.format:
        case "TIFF":
            tags: Any = image.tag_v2  # type: ignore[attr-defined]
            bits = tags.get(_BITS_PER_SAMPLE, (1,))
            return int(max(bits)) if isinstance(bits, tuple) else int(bits)
        case "PNG":
            header = _first_bytes(image, 25)
            return header[24]
        case "PPM" if image.mode != "F":
            header = _first_bytes(image, 4096)
            if header[:2] in (b"P2", b"P3", b"P5", b"P6"):
                return pnm_header(header)[3].bit_length()
    return 8


def _first_bytes(image: Image.Image, count: int) -> bytes:
    filename: Any = image.filename  # type: ignore[attr-defined]
    with open(filename, "rb") as file:
        return file.read(count)


def _deep_samples(image: Image.Image | None, page: Page) -> Samples | None:
    """Samples of a page of more than 8 bits; None if it has no more."""
    if image is None:
        return tiff_page(page.path, page.frame)
    if sample_bits(image) <= 8:
        return None
    match image.format:
        case "PNG":
            if page.frame:
                raise DataError(f"{page}: animated, of 16 bits; allowed are 8 bits")
            return read_png(page.path)
        case "PPM":
            return read_pnm(page.path)
    try:
        return tiff_page(page.path, page.frame)
    except DataError:
        raise
    except ValueError as error:  # a compression that tifffile knows with imagecodecs
        if image.mode.startswith("I;16"):
            meaning = image.tag_v2.get(_PHOTOMETRIC, 1)  # type: ignore[attr-defined]
            values = np.array(image).astype(np.uint16)[..., None]
            white = 2 ** sample_bits(image) - 1
            return Samples(values, white, "L", inverted=meaning == 0)
        if "imagecodecs" in str(error):
            raise DataError(
                f"{page}: {error}: pip install 'loihi-unet[tiff]', or save it without "
                "compression"
            ) from error
        raise


def read_raw(page: Page) -> Raw:
    """Read a page's own values: palette indices, samples, or colours.

    Parameters
    ----------
    page : Page
        A label or a mask.

    Returns
    -------
    Raw
        Without alpha, turned as the EXIF orientation says.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    strategy = GifImagePlugin.LOADING_STRATEGY
    # Pillow gives the later frames of a GIF as colours, though they have indices.
    GifImagePlugin.LOADING_STRATEGY = (
        GifImagePlugin.LoadingStrategy.RGB_AFTER_DIFFERENT_PALETTE_ONLY
    )
    try:
        with opened(page.path) as image, damage_named(page.path):
            _seek(image, page)
            return _raw(image, page)
    finally:
        GifImagePlugin.LOADING_STRATEGY = strategy


def _raw(image: Image.Image | None, page: Page) -> Raw:
    samples = _deep_samples(image, page)
    if samples is not None:
        mode, values = samples.mode, samples.values
        bits = samples.values.dtype.itemsize * 8
        if mode in ("L", "LA"):
            turned = samples.white - values if samples.inverted else values
            return Raw(turned[..., 0], bits)
        return Raw(values[..., :3], bits)
    assert image is not None
    bits, form = sample_bits(image), image.format
    image = _upright(image)
    if image.mode in ("P", "PA"):
        indices = np.array(image)
        indices = indices[..., 0] if indices.ndim == 3 else indices
        colours = np.zeros((256, 3), np.uint8)
        palette = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
        colours[: len(palette)] = palette
        used = colours[np.unique(indices)]
        if form in _WITHOUT_GRAY and (used == used[:, :1]).all():
            return Raw(colours[indices, 0], 8)
        return Raw(indices, 8, colours)
    if image.mode == "1":
        return Raw(np.array(image).astype(np.uint8), 1)
    if image.mode in ("L", "LA"):
        values = np.array(image)
        values = values[..., 0] if values.ndim == 3 else values
        # Pillow stretches 2 and 4 bits to 0..255.
        return (
            Raw(values // (255 // (2**bits - 1)), bits) if bits < 8 else Raw(values, 8)
        )
    if image.mode not in _EIGHT_BIT_MODES:
        raise DataError(f"{page}: Pillow mode {image.mode}; allowed are labels")
    return Raw(np.array(image.convert("RGB")), 8)
