# SPDX-License-Identifier: BSD-3-Clause
"""Look at a folder and propose the configuration that fits it, to be checked."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from loihi_unet.config import parse_config
from loihi_unet.data.folder_names import (
    IMAGES,
    INPUTS,
    LOOKED_AT,
    MASKS,
    TARGETS,
    Place,
    called,
    files_of,
    is_shown,
    naming,
    part_of_name,
    places_in,
)
from loihi_unet.data.layouts import LABEL_FOLDERS
from loihi_unet.data.picture_files import (
    Page,
    is_picture,
    list_pictures,
    pages,
    printable,
)
from loihi_unet.data.read_picture import Raw, read_page, read_raw
from loihi_unet.errors import DataError

#: Labels have no more values than this; pictures have more.
MOST_VALUES = 40


@dataclass
class Proposal:
    """A configuration, and what was seen.

    Attributes
    ----------
    table : dict[str, Any]
        Settings.
    notes : list[str]
        Sentences for the file's head.
    """

    table: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def propose(data: Path) -> Proposal:
    """Return the configuration that fits a folder.

    Parameters
    ----------
    data : Path
        Folder of a data set.

    Returns
    -------
    Proposal
        That `loihi_unet.config.load_config` accepts.

    Raises
    ------
    DataError
        If the folder is missing, holds no picture, or its first pictures cannot be
        read.
    """
    if not data.is_dir():
        raise DataError(f"{data}: no such folder")
    list_pictures(data)
    for kind in (_labelled, _paired, _classified, _alone):
        proposal = kind(data)
        if proposal is not None:
            parse_config(proposal.table, where=str(data))
            return proposal
    raise DataError(f"{data}: no folder of pictures whose use can be told by its name")


def proposal_toml(data: Path, proposal: Proposal) -> str:
    """Return the text of a configuration file."""
    name = printable(data.name or str(data))
    head = [f"Proposed from what lies in {name}; check it, then: data check --config."]
    lines = [f"# {line}" for line in (*head, *proposal.notes)]
    return "\n".join(lines) + "\n\n" + tomli_w.dumps(proposal.table)


def _labelled(data: Path) -> Proposal | None:
    """Pictures and labels."""
    places = places_in(data)
    images = called(places, (*IMAGES, *INPUTS))
    labels = [
        place
        for place in called(places, (*sorted(LABEL_FOLDERS - set(MASKS)), *MASKS))
        if place not in images[:1] and _few_values(place)
    ]
    if not images or not labels:
        return None
    image, label = images[0], labels[0]
    folders: dict[str, Any] = {
        "images": image.path,
        "labels": label.path,
        **naming("label_name", image, label),
    }
    notes = [f"Pictures in {image.path}, labels in {label.path}."]
    mask = next((p for p in called(places, MASKS) if p not in (image, label)), None)
    if mask is not None and _few_values(mask):
        folders |= {"masks": mask.path, **naming("mask_name", image, mask)}
        notes.append(f"Fields of view in {mask.path}.")
    folders |= _classes(label, notes)
    return _finished("segment", data, image, folders, notes, len(folders["classes"]))


def _few_values(place: Place) -> bool:
    """Whether files hold few values or colours, as labels do."""
    files = files_of(place)[:3]
    try:
        return all(len(_values(read_raw(Page(path)))) <= MOST_VALUES for path in files)
    except DataError:
        return False


def _values(raw: Raw) -> list[Any]:
    if raw.values.ndim == 2:
        return list(np.unique(raw.values).tolist())
    return [tuple(c) for c in np.unique(raw.values.reshape(-1, 3), axis=0).tolist()]


def _classes(label: Place, notes: list[str]) -> dict[str, Any]:
    """Classes by the values or colours of the labels."""
    values: Counter[Any] = Counter()
    kinds = set()
    for path in files_of(label):
        for page, _ in pages(path)[:LOOKED_AT]:
            raw = read_raw(page)
            values.update(_values(raw))
            kinds.add("palette indices" if raw.palette is not None else "gray levels")
            if raw.values.ndim == 3:
                kinds = {"colours"}
    distinct = sorted(values)
    coloured = [value for value in distinct if isinstance(value, tuple)]
    if coloured:
        gray = all(red == green == blue for red, green, blue in coloured)
        if gray:  # gray levels that were saved as RGB
            distinct, coloured = [value[0] for value in coloured], []
    notes.append(f"Labels are {', '.join(sorted(kinds))}: {_short(distinct)}.")
    if len(distinct) > MOST_VALUES:
        raise DataError(
            f"{label.folders[0]}: {len(distinct)} values in labels; at most "
            f"{MOST_VALUES} are taken for classes"
        )
    if coloured:
        return {
            "classes": [
                {"name": f"colour {r},{g},{b}", "colours": [[r, g, b]]}
                for r, g, b in coloured
            ]
        }
    if len(distinct) < 2:
        distinct = sorted({0, 1, *distinct})[:2]
    ignore = [255] if len(distinct) > 2 and distinct[-1] == 255 else []
    named = [value for value in distinct if value not in ignore]
    if ignore:
        notes.append("255 is taken for no class.")
    table = {"classes": [{"name": f"class {v}", "values": [v]} for v in named]}
    return table | ({"ignore": ignore} if ignore else {})


def _short(values: list[Any]) -> str:
    text = [str(value) for value in values[:8]]
    return ", ".join(text) + (", ..." if len(values) > 8 else "")


def _paired(data: Path) -> Proposal | None:
    """Pictures and what they should become."""
    places = places_in(data)
    targets = called(places, TARGETS)
    inputs = [p for p in called(places, (*INPUTS, *IMAGES)) if p not in targets[:1]]
    if not inputs or not targets:
        return None
    image, target = inputs[0], targets[0]
    notes = [f"Inputs in {image.path}, targets in {target.path}."]
    sizes = [pages(files_of(place)[0])[0][1] for place in (image, target)]
    (low, width), (high, wide) = sizes
    scale = max(1, high // low)
    if (low * scale, width * scale) != (high, wide):
        raise DataError(
            f"{files_of(target)[0]}: {wide}x{high} pixels, its input has "
            f"{width}x{low}; the same or a multiple of both is needed"
        )
    folders = {
        "images": image.path,
        "targets": target.path,
        **naming("target_name", image, target),
    }
    return _finished("restore", data, image, folders, notes, 0, scale)


def _classified(data: Path) -> Proposal | None:
    """A folder for each class."""
    for outer in _outer(data):
        names = sorted(
            folder.name
            for folder in outer.iterdir()
            if is_shown(folder) and any(is_picture(p, folder) for p in folder.iterdir())
        )
        known = {*IMAGES, *INPUTS, *TARGETS, *LABEL_FOLDERS}
        if len(names) < 2 or known & {name.lower() for name in names}:
            continue
        if any(part_of_name(name) for name in names):
            continue
        part = outer.name if outer != data else ""
        parts = [f.name for f in data.iterdir() if is_shown(f) and part_of_name(f.name)]
        place = Place(
            "{part}" if part else ".",
            tuple(outer / name for name in names),
            tuple(parts) if part else (),
        )
        notes = [f"A folder for each of {len(names)} classes."]
        folders = {"images": place.path, "classes": names}
        return _finished("classify", data, place, folders, notes, len(names))
    return None


def _outer(data: Path) -> Iterator[Path]:
    """Where folders of classes may lie: in the training part, or in the folder."""
    for folder in sorted(data.iterdir()):
        if is_shown(folder) and part_of_name(folder.name) == "train":
            yield folder
    yield data


def _alone(data: Path) -> Proposal | None:
    """Pictures and nothing else: they may be denoised."""
    places = places_in(data)
    folder, _ = list_pictures(data)
    place = places[0] if places else Place(".", (folder,))
    if called(places, tuple(LABEL_FOLDERS)):
        return None
    return _finished("denoise", data, place, None, ["Pictures alone."], 0)


def _finished(
    kind: str,
    data: Path,
    place: Place,
    folders: dict[str, Any] | None,
    notes: list[str],
    classes: int,
    scale: int = 1,
) -> Proposal:
    """Add channels, split, sizes and a network."""
    files = files_of(place)
    sizes = [size for path in files for _, size in pages(path)]
    channels = 3 if any(map(_coloured, files[:5])) else 1
    sides = sorted({*(s[0] for s in sizes), *(s[1] for s in sizes)})
    alike = len(set(sizes)) == 1
    notes.append(
        f"{'RGB' if channels == 3 else 'Gray'}; "
        + (
            f"all {sizes[0][0]}x{sizes[0][1]} (height x width)."
            if alike
            else f"sides from {sides[0]} to {sides[-1]} pixels."
        )
    )
    levels = max(n for n in range(1, 5) if n == 1 or sides[0] >= 8 << n)
    multiple = 1 << levels
    patch = max(multiple, min(128, sides[0]) // multiple * multiple)
    if folders is not None:
        folders["channels"] = channels
        folders["split"] = _split(place, data, notes, sum(1 for _ in sizes))
        if (kind == "classify" and not alike) or sides[0] < patch:
            side = max(patch, sides[0] // multiple * multiple)
            folders["sizes"] = {"how": "resize", "height": side, "width": side}
            patch = side if kind == "classify" else patch
        if kind == "classify":
            folders["crops"] = "mirrored"
    out = {
        "denoise": channels,
        "restore": channels * scale**2,
        "segment": 1 if classes == 2 else classes,
        "classify": classes,
    }[kind]
    task: dict[str, Any] = {"kind": kind}
    if folders is not None:
        task |= {"dataset": "folders", "folders": folders}
    if scale > 1:
        task["scale"] = scale
    table = {
        "patch_size": patch,
        "batch_size": 8,
        "iterations": 5000,
        "warmup_iterations": 500,
        "loss": "cross_entropy" if classes else "l1",
        "validation_images": max(1, min(4, len(sizes) // 4)),
        "validation_interval": 500,
        "model": {
            "in_channels": channels,
            "out_channels": out,
            "base_channels": 16,
            "levels": levels,
            "residual": not classes and scale == 1,
        },
        "task": task,
    }
    return Proposal(table, notes)


def _coloured(path: Path) -> bool:
    red, green, blue = read_page(pages(path)[0][0], 3).pixels
    return not (np.array_equal(red, green) and np.array_equal(green, blue))


def _split(place: Place, data: Path, notes: list[str], count: int) -> dict[str, Any]:
    """Parts by folders, by lists, or drawn."""
    by_part = {part_of_name(name): name for name in place.parts}
    if "train" in by_part and ("test" in by_part or "validation" in by_part):
        test = by_part.get("test", by_part.get("validation"))
        split = {"by": "folders", "train": by_part["train"], "test": test}
        if "validation" in by_part and "test" in by_part:
            split["validation"] = by_part["validation"]
        return split
    lists = {
        part: path.name
        for path in sorted(data.glob("*.txt"))
        if (part := part_of_name(path.stem)) is not None
    }
    if {"train", "test"} <= lists.keys():
        return {"by": "lists", **lists}
    if len(files_of(place)) == 1:
        notes.append("The last pages of the stack test.")
        return {"by": "last", "test": max(1, count // 5)}
    notes.append("A fifth, drawn at random, tests.")
    return {"by": "seed", "test": 0.2, "seed": 0}
