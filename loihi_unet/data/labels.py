# SPDX-License-Identifier: BSD-3-Clause
"""Classes and masks from files: indices of palettes, gray values, or colours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loihi_unet.builtin_sets import BUILT_IN
from loihi_unet.data.picture_files import Page
from loihi_unet.data.pictures import VOID
from loihi_unet.data.read_picture import Raw, read_raw
from loihi_unet.errors import DataError
from loihi_unet.folder_config import LabelFolders

#: Class of a colour.
Colours = Mapping[tuple[int, int, int], int]

#: CamVid's label colours, as SegNet's 11 classes group them.
CAMVID: Colours = {
    colour: VOID if index is None else index
    for colour, index in BUILT_IN["camseq01"][0].colours.items()
}


def read_colours(path: str | Path) -> Colours:
    """Read a table of label colours.

    Parameters
    ----------
    path : str or Path
        CSV, ``red,green,blue,class`` a line, e.g. ``128,64,128,3`` or
        ``0,0,0,void``. What follows a fifth comma or a ``#`` is a comment.

    Returns
    -------
    Colours
        At least one.

    Raises
    ------
    DataError
        If the file cannot be read or a line is something else.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: no table of label colours: {error}") from error
    colours: dict[tuple[int, int, int], int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        fields = [field.strip() for field in line.split("#")[0].split(",")]
        if fields == [""]:
            continue
        try:
            *levels, index = (
                VOID if field.lower() == "void" else int(field) for field in fields[:4]
            )
            red, green, blue = levels
        except ValueError:
            levels, index = [-1], -1
        if not all(0 <= value <= VOID for value in (*levels, index)):
            raise DataError(
                f"{path}: line {number}: {line.strip()!r}; allowed is "
                "red,green,blue,class, three of 0..255 and a class or void"
            )
        if colours.setdefault((red, green, blue), index) != index:
            raise DataError(
                f"{path}: line {number}: colour {red},{green},{blue} has class "
                f"{colours[red, green, blue]} already"
            )
    if not colours:
        raise DataError(f"{path}: no line red,green,blue,class")
    return colours


def read_binary(page: Page, colours: Colours | None = None) -> NDArray[np.uint8]:
    """Read a label or mask of two classes.

    Parameters
    ----------
    page : Page
        A palette picture, whose indices count, or a gray one.
    colours : Colours, optional
        Classes of a colour picture.

    Returns
    -------
    ndarray, shape (H, W), uint8
        0 and 1.

    Raises
    ------
    DataError
        If there are other values than 0 and 1, or 0 and 255.
    """
    raw = read_raw(page)
    values, _ = _values(raw, page, colours)
    top = min(255, 2**raw.bits - 1)
    present = np.unique(values)
    for high in (1, top):
        if np.isin(present, (0, high)).all():
            return np.asarray(values == high, np.uint8)
    others = present[~np.isin(present, (0, 1, top))]
    strange = ", ".join(map(str, others[:1] if others.size else (1, top)))
    raise DataError(
        f"{page}: value {strange}{_of(raw)}; allowed are 0 and 1, or 0 and 255"
    )


def read_label(
    page: Page, settings: LabelFolders, colours: Colours | None = None
) -> NDArray[np.uint8]:
    """Read the class of every pixel.

    Parameters
    ----------
    page : Page
        A palette picture, a gray one, or one in colour.
    settings : LabelFolders
        Which values and colours have which class.
    colours : Colours, optional
        Classes of colours, instead of those of the settings.

    Returns
    -------
    ndarray, shape (H, W), uint8
        Classes, and `VOID`.

    Raises
    ------
    DataError
        If there are other values or colours.
    """
    table = colours or {
        colour: VOID if index is None else index
        for colour, index in settings.colours.items()
    }
    if settings.binary:
        return read_binary(page, table)
    values = {
        value: VOID if index is None else index
        for value, index in settings.values.items()
    }
    drawn = settings.palette == "colours" or not settings.values
    return read_classes(page, values, table, drawn=drawn)


def read_classes(
    page: Page,
    classes: Mapping[int, int],
    colours: Colours | None = None,
    *,
    drawn: bool = False,
) -> NDArray[np.uint8]:
    """Read a label of several classes.

    Parameters
    ----------
    page : Page
        A palette picture, whose indices count, a gray one, or one in colour.
    classes : mapping of int to int
        Class of each value that is allowed, or `VOID`.
    colours : Colours, optional
        Classes of a colour picture.
    drawn : bool
        Whether the colours of a palette picture count, and not its indices.

    Returns
    -------
    ndarray, shape (H, W), uint8
        Classes, and `VOID`.

    Raises
    ------
    DataError
        If there are other values or colours.
    """
    raw = read_raw(page)
    if drawn and raw.palette is not None:
        raw = Raw(raw.palette[raw.values], raw.bits)
    values, mapped = _values(raw, page, colours)
    if mapped:
        return np.asarray(values, np.uint8)
    present, inverse = np.unique(values, return_inverse=True)
    strange = [value for value in present.tolist() if value not in classes]
    if strange:
        raise DataError(
            f"{page}: class {strange[-1]}{_of(raw)}; allowed {_listed(classes)}"
        )
    indices = np.array([classes[value] for value in present.tolist()], np.uint8)
    classified: NDArray[np.uint8] = indices[inverse.reshape(values.shape)]
    return classified


def _listed(classes: Mapping[int, int]) -> str:
    """Values in words: 0..10 and 11 for void."""
    named = sorted(value for value, index in classes.items() if index != VOID)
    void = sorted(value for value, index in classes.items() if index == VOID)
    text = ", ".join(map(str, named)) if named else "colours alone"
    if len(named) > 2 and named == list(range(named[0], named[-1] + 1)):
        text = f"{named[0]}..{named[-1]}"
    return f"{text} and {', '.join(map(str, void))} for void" if void else text


def _of(raw: Raw) -> str:
    """Where a value is from, if it is no gray level."""
    return "" if raw.palette is None else " (index of a palette picture)"


def _values(raw: Raw, page: Page, colours: Colours | None) -> tuple[NDArray[Any], bool]:
    """Values of shape (H, W), and whether a table of colours gave them."""
    if raw.values.ndim == 2:
        return raw.values, False
    # A colour as one number, so that colours can be looked up at once.
    red, green, blue = np.moveaxis(raw.values.astype(np.int64), -1, 0)
    packed = (red << 32) + (green << 16) + blue
    present, inverse = np.unique(packed, return_inverse=True)
    table = {(r << 32) + (g << 16) + b: v for (r, g, b), v in (colours or {}).items()}
    if all(int(colour) in table for colour in present):
        indices = np.array([table[int(colour)] for colour in present], np.uint8)
        return indices[inverse.reshape(packed.shape)], True
    if (red == green).all() and (green == blue).all():
        return red, False  # gray levels that were saved as RGB
    unknown = next(int(colour) for colour in present if int(colour) not in table)
    y, x = np.argwhere(packed == unknown)[0]
    text = f"{unknown >> 32},{unknown >> 16 & 65535},{unknown & 65535}"
    reason = (
        f"{text} at row {y}, column {x} is in no table"
        if colours
        else "allowed are palette and gray pictures of classes"
    )
    raise DataError(
        f"{page}: a colour picture: {reason}; --label-colours names a file of lines "
        "red,green,blue,class, or the classes of the configuration have colours"
    )
