# SPDX-License-Identifier: BSD-3-Clause
"""Measure what a table lacks, and write it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from export.files.atomic import atomic, write_text
from loihi_unet.reproduce import (
    figure3,
    figure3_drawing,
    spiden,
    spiden_drawing,
    table1,
    table2,
    table3,
    table4,
    table5,
)
from loihi_unet.reproduce.cell import Cell
from loihi_unet.reproduce.contest import Contestants
from loihi_unet.reproduce.networks import Networks
from loihi_unet.reproduce.scales import Scale
from loihi_unet.reproduce.store import Store


class Target(NamedTuple):
    """A table or figure.

    Attributes
    ----------
    make : callable
        What makes its networks, `Networks` or `Contestants`, from the scale, the name
        of a subject or contest, the store and the folder of the data sets.
    names : tuple[str, ...]
        Of those it needs, in a `Scale`'s subjects or contests.
    cells : callable
        Rows, from a scale and what `make` made, by name.
    page : callable
        Markdown lines, from a record.
    draw : callable or None
        PNG bytes, from a record.
    """

    make: Callable[[Scale, str, Store, Path], Networks | Contestants]
    names: tuple[str, ...]
    cells: Callable[[Scale, dict[str, Any]], list[Cell]]
    page: Callable[[dict[str, Any]], list[str]]
    draw: Callable[[dict[str, Any]], bytes] | None = None


def _networks(scale: Scale, name: str, store: Store, data_root: Path) -> Networks:
    return Networks(scale.subjects[name], store, data_root)


def _contestants(scale: Scale, name: str, store: Store, data_root: Path) -> Contestants:
    return Contestants(scale.contests[name], store, data_root)


TARGETS = {
    "figure3": Target(
        _networks, figure3.SUBJECTS, figure3.cells, figure3.page, figure3_drawing.draw
    ),
    "table1": Target(_contestants, table1.CONTESTS, table1.cells, table1.page),
    "table2": Target(_contestants, table2.CONTESTS, table2.cells, table2.page),
    "table3": Target(_networks, table3.SUBJECTS, table3.cells, table3.page),
    "table4": Target(_networks, table4.SUBJECTS, table4.cells, table4.page),
    "table5": Target(_networks, table5.SUBJECTS, table5.cells, table5.page),
    "spiden": Target(
        _contestants, spiden.CONTESTS, spiden.cells, spiden.page, spiden_drawing.draw
    ),
}


def reproduce(
    target: str,
    scale: Scale,
    data_root: Path,
    out: Path,
    *,
    command: str,
    progress: Callable[[float, int], None] | None = None,
) -> dict[str, Any]:
    """Measure a table or figure and write ``<target>.json``, ``.md`` and ``.png``.

    What was measured before, with the same settings, networks and pictures, lies in
    ``<out>/cache`` and is taken from there, so a run that was stopped goes on. At
    another scale than ``"laptop"`` the files are called ``<target>-<scale>``.

    Parameters
    ----------
    target : str
        One of `TARGETS`.
    scale : Scale
        Networks, pictures and lengths.
    data_root : Path
        Folder that holds the data sets' folders.
    out : Path
        Where results go.
    command : str
        Goes into the record.
    progress : callable, optional
        Called with (rows done, rows).

    Returns
    -------
    dict[str, Any]
        ``target, scale, command, machines, seconds, rows``.

    Raises
    ------
    UserError
        If pictures or networks are missing or cannot be used.
    """
    chosen = TARGETS[target]
    store = Store(out / "cache")
    made = {name: chosen.make(scale, name, store, data_root) for name in chosen.names}
    cells = chosen.cells(scale, made)
    rows = []
    for done, cell in enumerate(cells):
        if progress is not None:
            progress(done, len(cells))
        rows.append({**cell.row, **store.get(cell.settings, cell.measure)})
    if progress is not None:
        progress(len(cells), len(cells))
    record = {
        "target": target,
        "scale": scale.name,
        "command": command,
        "machines": sorted({row.pop("machine") for row in rows}),
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "rows": rows,
    }
    stem = target if scale.name == "laptop" else f"{target}-{scale.name}"
    write_text(
        out / f"{stem}.json", json.dumps(record, indent=1, sort_keys=True) + "\n"
    )
    write_page(record, out / f"{stem}.md")
    return record


def write_page(record: dict[str, Any], path: Path) -> None:
    """Write a record's page, and the picture that belongs to it.

    Parameters
    ----------
    record : dict[str, Any]
        As `reproduce` returns.
    path : Path
        The ``.md``; the picture lies beside it.
    """
    target = TARGETS[record["target"]]
    if target.draw is not None:
        with atomic(path.with_suffix(".png")) as temporary:
            temporary.write_bytes(target.draw(record))
    write_text(path, "\n".join(target.page(record)).rstrip() + "\n")
