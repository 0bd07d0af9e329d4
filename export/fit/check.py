# SPDX-License-Identifier: BSD-3-Clause
"""One value against what a chip can hold: place, found, allowed."""

from __future__ import annotations

from dataclasses import dataclass

from export.facts import IntRange


@dataclass(frozen=True, kw_only=True)
class Check:
    """One value and its limit.

    Parameters
    ----------
    place : str
        Layer or connection.
    quantity : str
        What was checked.
    found, allowed : str
        Value or range, and what the chip holds.
    ok : bool
        Whether it fits.
    blocking : bool
        False for a worst case that images need not reach: a warning.
    advice : str
        What to change; empty if it fits.
    """

    place: str
    quantity: str
    found: str
    allowed: str
    ok: bool
    blocking: bool = True
    advice: str = ""

    def __str__(self) -> str:
        text = (
            f"{self.place}: {self.quantity} {self.found} found, {self.allowed} allowed"
        )
        return f"{text}; {self.advice}" if self.advice else text


def in_range(
    place: str,
    quantity: str,
    low: int,
    high: int,
    allowed: IntRange,
    *,
    blocking: bool = True,
    advice: str = "",
) -> Check:
    """Check that a value, or a range of values, is allowed.

    Parameters
    ----------
    place, quantity : str
        Layer or connection, and what is checked.
    low, high : int
        Smallest and largest value found.
    allowed : IntRange
        What the chip holds.
    blocking : bool
        False for a warning.
    advice : str
        What to change, where it does not fit.
    """
    ok = allowed.contains(low, high)
    return Check(
        place=place,
        quantity=quantity,
        found=f"{low}..{high}" if low != high else str(low),
        allowed=str(allowed),
        ok=ok,
        blocking=blocking,
        advice="" if ok else advice,
    )
