# SPDX-License-Identifier: BSD-3-Clause
"""One row of a table: what it is, what decides it, how it is measured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class Measured(Protocol):
    """Networks and pictures that a row is measured on."""

    def settings(self) -> dict[str, Any]:
        """Return what decides them, JSON values."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A measurement that was perhaps made before.

    Attributes
    ----------
    row : dict[str, Any]
        What is known before measuring: the first columns.
    settings : dict[str, Any]
        All that decides the result, ``row`` included; JSON values.
    measure : callable
        Returns the other columns, JSON values.
    """

    row: dict[str, Any]
    settings: dict[str, Any]
    measure: Callable[[], dict[str, Any]]


def cell(
    target: str,
    measured: Measured,
    row: dict[str, Any],
    measure: Callable[[], dict[str, Any]],
    **more: Any,
) -> Cell:
    """Make a row of a target.

    Parameters
    ----------
    target : str
        Names the table.
    measured : Measured
        Its networks and pictures decide the result.
    row, measure
        As in `Cell`.
    **more
        Further settings that decide the result.
    """
    settings = {"kind": target, **measured.settings(), "row": row, **more}
    return Cell(row=row, settings=settings, measure=measure)
