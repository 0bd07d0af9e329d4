# SPDX-License-Identifier: BSD-3-Clause
"""Which pictures of a data set train, which validate, which test."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from typing_extensions import assert_never

from loihi_unet.data.entries import Entry
from loihi_unet.errors import DataError
from loihi_unet.folder_config import (
    SplitByFolders,
    SplitByLists,
    SplitBySeed,
    SplitConfig,
    SplitLast,
)

Split = Literal["train", "validation", "test"]


def has_validation(split: SplitConfig) -> bool:
    """Whether a data set has pictures of its own to validate on."""
    match split:
        case SplitByFolders() | SplitByLists():
            return split.validation is not None
        case SplitBySeed():
            return split.validation > 0
        case SplitLast():
            return False
    assert_never(split)


def folder_name(split: SplitByFolders, part: Split) -> str | None:
    """Return what ``{part}`` stands for; None where there is no such part."""
    return {"train": split.train, "validation": split.validation, "test": split.test}[
        part
    ]


def chosen(
    entries: list[Entry],
    split: SplitConfig,
    root: Path,
    part: Split,
    problems: list[str],
) -> list[Entry]:
    """Return those entries that are in a part, in order.

    Parameters
    ----------
    entries : list[Entry]
        All, or, where parts have folders, those of the part.
    split : SplitConfig
        How parts are told apart.
    root : Path
        Where lists of names lie.
    part : str
        Which part.
    problems : list[str]
        What does not fit is appended.

    Raises
    ------
    DataError
        If a list cannot be read.
    """
    match split:
        case SplitByFolders():
            return entries
        case SplitLast():
            cut = max(0, len(entries) - split.test)
            return {"train": entries[:cut], "validation": [], "test": entries[cut:]}[
                part
            ]
        case SplitBySeed():
            drawn = _drawn(len(entries), split, root, problems)
            return [entries[index] for index in drawn[part]]
        case SplitByLists():
            return _listed(entries, split, root, part, problems)
    assert_never(split)


def _drawn(
    count: int, split: SplitBySeed, root: Path, problems: list[str]
) -> dict[Split, list[int]]:
    """Places of the pictures of each part, in order."""
    test, validation = (
        max(1, round(share * count)) if 0 < share < 1 else int(share)
        for share in (split.test, split.validation)
    )
    if test + validation >= count:
        problems.append(
            f"{root}: {count} pictures, of which split.test = {split.test:g} takes "
            f"{test} and split.validation = {split.validation:g} takes {validation}; "
            "none is left to train on"
        )
    order = np.random.default_rng(split.seed).permutation(count).tolist()
    return {
        "test": sorted(order[:test]),
        "validation": sorted(order[test : test + validation]),
        "train": sorted(order[test + validation :]),
    }


def _listed(
    entries: list[Entry],
    split: SplitByLists,
    root: Path,
    part: Split,
    problems: list[str],
) -> list[Entry]:
    names: dict[Split, dict[str, None]] = {
        "train": _names(split.train, root),
        "validation": _names(split.validation, root),
        "test": _names(split.test, root),
    }
    by_name: dict[str, list[Entry]] = {}
    for entry in entries:
        for name in _calls(entry):
            by_name.setdefault(name, []).append(entry)
    mine: dict[str, Entry] = {}
    for name in names[part]:
        for entry in by_name.get(name, ()):
            mine[entry.name] = entry
        if name not in by_name:
            problems.append(f"{root}: split.{part}: no picture {name}")
    others = [name for other, some in names.items() if other != part for name in some]
    for name in others:
        for entry in by_name.get(name, ()):
            if entry.name in mine:
                problems.append(f"{entry.picture}: in more than one part")
    return [entry for entry in entries if entry.name in mine]


def _calls(entry: Entry) -> set[str]:
    """What a list may call a picture."""
    path = Path(entry.name.split("#")[0])
    page = entry.picture.suffix
    bare = {path.as_posix(), path.with_suffix("").as_posix(), path.name, path.stem}
    return bare | {f"{name}{page}" for name in bare}


def _names(listed: str | Sequence[str] | None, root: Path) -> dict[str, None]:
    if listed is None:
        return {}
    if not isinstance(listed, str):
        return dict.fromkeys(listed)
    path = root / listed
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: no list of names: {error}") from error
    names = [line.strip() for line in lines]
    # A # in a name stands before a page's number.
    return dict.fromkeys(name for name in names if name and name[0] != "#")
