# SPDX-License-Identifier: BSD-3-Clause
"""Folders of a data set, as people call them."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from loihi_unet.data.picture_files import SYSTEM, is_picture, natural

#: Names of folders, in lower case; the most telling first.
IMAGES = ("images", "image", "imgs", "img", "pictures", "frames", "raw", "x")
INPUTS = (
    *("input", "inputs", "blurred", "blur", "noisy", "degraded", "lr", "low", "lq"),
    *("mosaic", "compressed", "source"),
)
TARGETS = ("target", "targets", "sharp", "clean", "gt", "hr", "high", "hq", "original")
MASKS = ("mask", "masks", "fov", "roi")
TRAIN, VALIDATION, TEST = (
    ("train", "training"),
    ("val", "valid", "validation"),
    ("test", "testing"),
)
#: Files that are looked at.
LOOKED_AT = 25


@dataclass(frozen=True)
class Place:
    """Folders that hold one kind of file of all parts: a path with {part}, or one."""

    path: str
    folders: tuple[Path, ...]
    parts: tuple[str, ...] = ()


def _folders(data: Path) -> dict[str, Path]:
    """Folders of pictures below a folder, up to three levels, by relative path."""
    folders = {}
    level = [data]
    for _ in range(3):
        level = [f for parent in level for f in sorted(parent.iterdir()) if is_shown(f)]
        for folder in level:
            folders[folder.relative_to(data).as_posix()] = folder
    return folders


def is_shown(folder: Path) -> bool:
    """Whether a path is a folder, and no system's."""
    name = folder.name.lower()
    return folder.is_dir() and name[0] != "." and name not in SYSTEM


def part_of_name(name: str) -> str | None:
    """Return which part a folder or list has the name of."""
    for part, names in (("train", TRAIN), ("validation", VALIDATION), ("test", TEST)):
        if name.lower() in names:
            return part
    return None


def places_in(data: Path) -> list[Place]:
    """Return folders of pictures, those that differ in the name of a part as one."""
    by_path: dict[str, list[tuple[str, Path]]] = {}
    for relative, folder in _folders(data).items():
        if not any(is_picture(path, folder) for path in folder.iterdir()):
            continue
        pieces = relative.split("/")
        part = next((piece for piece in pieces if part_of_name(piece)), "")
        path = "/".join("{part}" if piece == part else piece for piece in pieces)
        by_path.setdefault(path, []).append((part, folder))
    return [
        Place(
            path,
            tuple(folder for _, folder in found),
            tuple(part for part, _ in found if part),
        )
        for path, found in by_path.items()
    ]


def called(places: list[Place], names: tuple[str, ...]) -> list[Place]:
    """Return places with a folder of one of the names, in the order of the names."""

    def rank(place: Place) -> int | None:
        pieces = [piece.lower() for piece in place.path.split("/")]
        return next((i for i, name in enumerate(names) if name in pieces), None)

    ranked = [(rank(place), place) for place in places]
    known = [(order, place) for order, place in ranked if order is not None]
    return [place for _, place in sorted(known, key=lambda one: one[0])]


def files_of(place: Place) -> list[Path]:
    """Return some of the pictures of a place, in order."""
    files = [
        path
        for folder in place.folders
        for path in sorted(folder.iterdir(), key=lambda p: natural(Path(p.name)))
        if is_picture(path, folder)
    ]
    step = max(1, len(files) // LOOKED_AT)
    return files[::step][:LOOKED_AT]


def naming(key: str, image: Place, other: Place) -> dict[str, list[str]]:
    """Return how a file's name follows from its picture's, where they are not equal."""
    stems = [path.stem for path in files_of(image)]
    names = {p.stem for f in other.folders for p in f.iterdir() if is_picture(p, f)}
    if not stems or stems[0] in names or len(names) == 1:
        return {}
    tried = Counter[str]()
    for stem in stems:
        for name in names:
            if name.startswith(stem):
                tried["{stem}" + name.removeprefix(stem)] += 1
            elif name.startswith(f"{(first := stem.split('_')[0])}_"):
                tried["{first}" + name.removeprefix(first)] += 1
    best = tried.most_common(1)
    return {key: [best[0][0]]} if best else {}
