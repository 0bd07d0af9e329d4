# SPDX-License-Identifier: BSD-3-Clause
"""Markdown of a record."""

import io
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.figure import Figure

#: Measures that tables show, as their heads have them.
NAMES = {"psnr": "PSNR (dB)", "f1": "F1"}


def opening(record: dict[str, Any], title: str, text: str) -> list[str]:
    """Return a page's first lines: title, what it shows, how it was measured.

    Parameters
    ----------
    record : dict[str, Any]
        As `loihi_unet.reproduce.run.reproduce` returns.
    title, text : str
        Of this target; the text is wrapped.

    Returns
    -------
    list[str]
        Markdown, ending with an empty line.
    """
    machines = "; ".join(record["machines"])
    how = (
        f"Scale {record['scale']}; {record['seconds']:.0f} s of measuring: {machines}. "
        "What differs from arXiv 2307.10974 is in [reproduce.md](../reproduce.md)."
    )
    lines = [f"# {title}", ""]
    for paragraph in (text, how):
        lines += [*wrapped(paragraph), ""]
    return [*lines, f"    {record['command']}", ""]


def wrapped(text: str) -> list[str]:
    """Return a paragraph's lines."""
    return textwrap.wrap(text, 88, break_long_words=False, break_on_hyphens=False)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Return a Markdown table's lines."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(map(str, cells))} |" for cells in lines]


def shown(value: float | None, measure: str) -> str:
    """Return a score in the digits of its measure; nothing for None."""
    if value is None:
        return ""
    return f"{value:.{2 if measure == 'psnr' else 3}f}"


def by_subject(record: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return a record's rows by their subject, in their order."""
    rows_of: dict[str, list[dict[str, Any]]] = {}
    for row in record["rows"]:
        rows_of.setdefault(row["subject"], []).append(row)
    return rows_of


def png(figure: Figure) -> bytes:
    """Return a figure as PNG; equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, metadata={"Software": None})
    return buffer.getvalue()
