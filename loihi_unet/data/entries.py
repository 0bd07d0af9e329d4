# SPDX-License-Identifier: BSD-3-Clause
"""Files of a data set that belong together."""

from dataclasses import dataclass, field

from loihi_unet.data.picture_files import Page


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A picture of a data set and what belongs to it.

    Attributes
    ----------
    name : str
        Of the picture.
    picture : Page
        Where it is.
    label, mask, target : Page or None
        Where the classes of its pixels are, its field of view, and what it should
        become.
    number : int or None
        Class of the whole picture.
    """

    name: str
    picture: Page
    label: Page | None = None
    mask: Page | None = None
    target: Page | None = None
    number: int | None = None


@dataclass(kw_only=True)
class Part:
    """A part of a data set.

    Attributes
    ----------
    entries : list[Entry]
        In order.
    problems : list[str]
        What is missing or does not fit, told by names and headers.
    """

    entries: list[Entry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
