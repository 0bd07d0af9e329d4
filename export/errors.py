# SPDX-License-Identifier: BSD-3-Clause
"""What is said about bad input: one line, always a `UserError`.

It names the place, what was found there and what is allowed. This module imports
nothing of the project: `export`, `sim` and `loihi_unet` all raise its errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

LONGEST = 1000


def one_line(text: str) -> str:
    r"""Text as one printable line of bounded length.

    Parameters
    ----------
    text : str
        May quote names and values of a damaged file.

    Returns
    -------
    str
        Unprintable characters escaped, the middle of a very long text left out.

    Examples
    --------
    >>> one_line("layer 'a\nb'")
    "layer 'a\\nb'"
    """
    shown = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )
    if len(shown) <= LONGEST:
        return shown
    return f"{shown[: LONGEST * 2 // 3]} ... {shown[-LONGEST // 4 :]}"


def first_problem(error: ValidationError) -> str:
    """Return the first thing that pydantic found wrong: its key and why.

    Parameters
    ----------
    error : ValidationError
        Of a record from a file.

    Returns
    -------
    str
        ``<dotted key>: <reason>``; the key is ``content`` for the whole.
    """
    item = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in item["loc"])
    return f"{key or 'content'}: {item['msg']}"


class UserError(ValueError):
    """Something the user gave cannot be used; the command line exits with 2.

    Parameters
    ----------
    text : str
        Where, what was found, what is allowed; made into one line.
    """

    def __init__(self, text: str) -> None:
        super().__init__(one_line(text))


class NetworkError(UserError):
    """A Network, or a file that should hold one, is not well formed."""


class RangeError(NetworkError):
    """A value lies outside what the chip can hold."""


class UnsupportedLayerError(NetworkError):
    """A layer, neuron or synapse kind that this project does not handle."""
