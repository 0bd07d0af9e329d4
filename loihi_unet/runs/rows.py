# SPDX-License-Identifier: BSD-3-Clause
"""Rows of results in a JSON file, each measurement once."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export.files.atomic import write_text
from export.files.kind import expect
from loihi_unet.errors import DataError

#: What makes two rows the same measurement; the later one replaces the earlier.
_KEY = (
    *("task", "data", "sigma", "noise", "T", "N", "bits", "q", "width", "seed"),
    *("searched", "finetuned", "module"),
)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a JSON list of rows.

    Parameters
    ----------
    path : Path
        File; a missing one has no rows.

    Returns
    -------
    list of dict
        As `add_row` wrote them.

    Raises
    ------
    DataError
        If the file holds something else.
    """
    if not path.exists():
        return []
    expect(path, "json", error=DataError)
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path}: not JSON ({error})") from error
    if not isinstance(rows, list) or not all(isinstance(item, dict) for item in rows):
        raise DataError(f"{path}: a JSON list of rows is needed")
    return rows


def add_row(path: Path, row: Mapping[str, Any]) -> None:
    """Put a row into a JSON list of rows, in place of an earlier one of its kind.

    Parameters
    ----------
    path : Path
        File; made if it is missing.
    row : Mapping[str, Any]
        From `loihi_unet.runs.evaluate_set.report`.

    Raises
    ------
    DataError
        If the file holds something else.
    """
    rows = read_rows(path)

    def key(item: Mapping[str, Any]) -> str:
        return json.dumps([item.get(name) for name in _KEY])

    kept = [item for item in rows if key(item) != key(row)]
    ordered = sorted([*kept, dict(row)], key=key)
    write_text(path, json.dumps(ordered, indent=1, sort_keys=True) + "\n")
