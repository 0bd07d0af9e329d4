# SPDX-License-Identifier: BSD-3-Clause
"""Say which data set a folder holds, what is in it, and all that is wrong with it."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, get_args

import numpy as np

from export.files.kind import expect
from loihi_unet.builtin_sets import BUILT_IN
from loihi_unet.config import DenoiseConfig, SegmentConfig, TaskConfig
from loihi_unet.data.datasets import AS_STATED, EntryReader, Reading, needs, set_name
from loihi_unet.data.folders import part_of
from loihi_unet.data.layouts import find_root, fitting, outlines, photographs
from loihi_unet.data.parts import Split, has_validation
from loihi_unet.data.picture_files import list_pictures
from loihi_unet.data.pictures import VOID, Picture
from loihi_unet.data.prepare import tiles, windowed
from loihi_unet.data.read_picture import read_pages, read_pixels
from loihi_unet.data.sequence import Facts, facts_of, tracked
from loihi_unet.data.white_level import records, warnings
from loihi_unet.errors import DataError
from loihi_unet.task_config import SetConfig


def check_data(
    data: Path, reading: Reading = AS_STATED, task: TaskConfig | None = None
) -> dict[str, Any]:
    """Recognise a folder's layout and read everything in it.

    Parameters
    ----------
    data : Path
        The folder; a data set may lie one or two folders below it.
    reading : Reading
        How files are understood.
    task : TaskConfig, optional
        Whose data they are; None: a built-in set, or pictures alone.

    Returns
    -------
    dict[str, Any]
        ``layout``: a data set's name, or ``"pictures"``; ``folder``: where it
        is; and for each part its number of ``pictures`` without fault, ``sizes``
        (height x width), ``classes`` with their share of the pixels (or of the
        pictures), void included, ``white_levels`` as
        `loihi_unet.data.white_level.records`, ``warnings`` and ``problems``, a line
        for each.

    Raises
    ------
    DataError
        If there is no picture, or labels in no layout that is known.
    """
    if data.is_file():
        expect(data, "picture", error=DataError)
    if isinstance(task, DenoiseConfig):
        task, root = None, data
    elif task is not None:
        if not data.is_dir():
            raise DataError(f"{data}: no such folder; {needs(task)}")
        root = find_root(data, task.layouts, set_name(task))
    else:
        layout, root = _recognise(data)
        if layout is not None:
            task = SegmentConfig(dataset=layout)  # type: ignore[arg-type]
    report: dict[str, Any] = {"layout": set_name(task) if task else "pictures"}
    report["folder"] = str(root)
    if task is None:
        return report | {"all": _pictures(data, reading)}
    splits: list[Split] = list(get_args(Split))
    if not has_validation(task.settings.split):
        splits.remove("validation")
    return report | {split: _part(task, root, split, reading) for split in splits}


def _recognise(data: Path) -> tuple[str | None, Path]:
    """Name of a layout and its folder; None for a folder of pictures."""
    roots = {name: at for name, at in outlines(data).items() if isinstance(at, Path)}
    if len(set(roots.values())) > 1:
        several = ", ".join(f"{name} in {root}" for name, root in roots.items())
        raise DataError(f"{data}: several data sets: name one: {several}")
    if roots.keys() == {"isbi2012", "camseq01"}:  # both have image and label
        root = roots["isbi2012"]
        _, paths = list_pictures(root / "image")
        name = "camseq01" if _street(paths) else "isbi2012"
        return name, root
    for name, root in roots.items():
        return name, root
    photographs(data)
    return None, data


def _street(paths: list[Path]) -> bool:
    """Whether pictures of an ``image`` folder are street scenes and no sections."""
    try:
        red, green, blue = read_pixels(paths[0], 3)
    except DataError:  # said later, as one of all that is wrong
        return len(paths) == BUILT_IN["camseq01"][0].pictures
    # Sections may be stored as RGB, but they have no colour.
    return not ((red == green).all() and (green == blue).all())


def _pictures(data: Path, reading: Reading) -> dict[str, Any]:
    folder, paths = photographs(data)
    facts, problems = [], []
    for path in tracked(paths):
        try:
            # Gray, for the count and sizes alone.
            facts += [
                facts_of(
                    Picture(
                        name=read.page.name(folder),
                        pixels=read.pixels,
                        levels=read.levels,
                    )
                )
                for read in read_pages(path, 1, reading.white_level)
            ]
        except DataError as error:
            problems.append(str(error))
    return _summary(facts, problems, reading, str)


def _part(
    task: SetConfig, root: Path, split: Split, reading: Reading
) -> dict[str, Any]:
    settings = fitting(root, task.layouts) or task.layouts[-1]
    name = _namer(task)
    try:
        part = part_of(settings, root, split)
    except DataError as error:
        return _summary([], [str(error)], reading, name)
    problems = list(part.problems)
    if not (part.entries or problems):
        problems.append(f"{root}: no picture in the {split} part")
    reader = EntryReader(task, settings, reading)
    facts = []
    for entry in tracked(part.entries):
        picture = reader.read(entry, problems)
        if picture is None:
            continue
        for window in tiles(picture.size, settings.sizes):
            piece = picture
            if window is not None:
                piece = windowed(picture, window, reader.scale)
            facts.append(facts_of(piece))
    return _summary(facts, problems, reading, name)


def _namer(task: SetConfig) -> Callable[[int], str]:
    """Return what a class is called: its number, of one's own set its name."""
    names = getattr(task.settings, "names", [])

    def name(value: int) -> str:
        return names[value] if task.dataset == "folders" else str(value)

    return name


def _summary(
    facts: list[Facts],
    problems: Iterable[str],
    reading: Reading,
    name: Callable[[int], str],
) -> dict[str, Any]:
    sizes = Counter("x".join(map(str, fact.size)) for fact in facts)
    summary: dict[str, Any] = {"pictures": len(facts), "sizes": dict(sizes)}
    counts = np.zeros(VOID + 1, np.int64)
    for fact in facts:
        if fact.counts is not None:
            counts += fact.counts
        elif fact.number is not None:
            counts[fact.number] += 1
    if counts.any():
        summary["classes"] = {
            "void" if value == VOID else name(value): round(count / counts.sum(), 4)
            for value, count in enumerate(counts.tolist())
            if count
        }
    levels = records(fact.levels for fact in facts)
    asked = reading.white_level
    return summary | {
        "white_levels": levels,
        "warnings": warnings(levels, asked),
        "problems": list(dict.fromkeys(problems)),
    }
