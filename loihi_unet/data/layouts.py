# SPDX-License-Identifier: BSD-3-Clause
"""Folders of data sets: which files are pictures, labels and masks, and which fit.

Reads names and headers only. See `loihi_unet.data.datasets` for the sets themselves.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from loihi_unet.data.picture_files import (
    SYSTEM,
    Page,
    is_picture,
    list_pictures,
    natural,
    pages,
)
from loihi_unet.errors import DataError

Split = Literal["train", "test"]

EM_TEST = 5
CAMSEQ_TRAIN = 80
CAMSEQ_TEST = 21

#: Folders that hold labels or masks, as data sets call them.
LABEL_FOLDERS = frozenset(
    (
        *("label", "labels", "labelled", "mask", "masks", "gt", "groundtruth"),
        *("1st_manual", "2nd_manual", "manual", "annotation", "annotations", "annot"),
        *("trainannot", "valannot", "testannot", "ground_truth", "segmentation"),
        *("segmentations", "segmentationclass", "segmentationobject"),
    )
)
#: Ends of the name of a label that lies beside its picture.
_LABEL_ENDS = (
    *("_label", "_labels", "_mask", "_gt", "_manual1", "_seg"),
    *("-labels", "-label", "-mask", "_segmentation"),
)
#: Ends that need no picture beside them.
_CERTAIN_ENDS = ("-labels", "_labels", "_manual1", "_manual2")
#: How far below the named folder a data set is looked for.
_DEPTH = 2


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A labelled picture of a data set.

    Attributes
    ----------
    name : str
        Of the picture.
    picture, label : Page
        Where they are.
    mask : Page or None
        Where its field of view is, if it has one.
    """

    name: str
    picture: Page
    label: Page
    mask: Page | None = None


@dataclass(kw_only=True)
class Part:
    """The training or test part of a data set.

    Attributes
    ----------
    entries : list[Entry]
        In order.
    problems : list[str]
        What is missing or does not fit, told by names and headers.
    drawn : bool
        Whether labels are drawings in colour.
    """

    entries: list[Entry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    drawn: bool = False


def drive(root: Path, split: Split) -> Part:
    """Return a part of DRIVE: ``training`` or ``test``."""
    folder = root / ("training" if split == "train" else "test")
    part = Part()
    labels = _Siblings(folder / "1st_manual", part, f"the {folder.name} part's labels")
    masks = _Siblings(folder / "mask", part, f"the {folder.name} part's fields of view")
    for picture in _pages_in(folder / "images", part):
        stem = picture.path.stem
        number = stem.split("_")[0]
        label = labels.partner(picture, f"{number}_manual1", ".gif")
        mask = masks.partner(picture, f"{stem}_mask", ".gif")
        if label and mask:
            name = picture.name(root)
            part.entries.append(
                Entry(name=name, picture=picture, label=label, mask=mask)
            )
    return part


def isbi2012(root: Path, split: Split) -> Part:
    """Return a part of the ISBI 2012 sections; the last ones are the test part."""
    part = Part()
    if stacks := _stacks(root):
        where, drawn = stacks
        pictures = _file_pages(where, part)
        entries = _pair_pages(pictures, drawn, part)
    else:
        where = root / "image"
        pictures = _pages_in(where, part)
        entries = _labelled(pictures, root, part)
    if len(pictures) <= EM_TEST:
        part.problems.insert(
            0,
            f"{where}: {len(pictures)} sections, the test part alone has {EM_TEST}",
        )
    part.entries = entries[:-EM_TEST] if split == "train" else entries[-EM_TEST:]
    return part


def camseq01(root: Path, split: Split) -> Part:
    """Return a part of CamSeq01: SegNet's folders, or the files as released."""
    part = Part(drawn=not (root / "image").is_dir())
    if part.drawn:
        where, entries = root, list(_released(root, part))
        found = len(list(_drawings(root)))
    else:
        where = root / "image"
        pictures = _pages_in(where, part)
        entries = _labelled(pictures, root, part)
        found = len(pictures)
    count = CAMSEQ_TRAIN + CAMSEQ_TEST
    if found != count:
        part.problems.insert(0, f"{where}: {found} frames, CamSeq01 has {count}")
    part.entries = (
        entries[:CAMSEQ_TRAIN] if split == "train" else entries[CAMSEQ_TRAIN:]
    )
    return part


LAYOUTS: dict[str, Callable[[Path, Split], Part]] = {
    "drive": drive,
    "isbi2012": isbi2012,
    "camseq01": camseq01,
}


def _lacks(root: Path, layout: str) -> str | None:
    """Why a folder has not the outline of a layout; None if it has."""
    if layout == "drive":
        if any((root / part / "images").is_dir() for part in ("training", "test")):
            return None
        return "no folder training/images or test/images"
    if (root / "image").is_dir():
        return None
    if layout == "isbi2012":
        if _stacks(root):
            return None
        return "no folder image, no train-volume.tif beside train-labels.tif"
    if any(_drawings(root)):
        return None
    return "no folder image, no NAME.png beside NAME_L.png"


def find_root(data: Path, layout: str) -> Path:
    """Return the folder that has a layout: the named one, or one or two below it.

    Raises
    ------
    DataError
        If several have it.
    """
    for level in _levels(data):
        fitting = [folder for folder in level if _lacks(folder, layout) is None]
        if len(fitting) > 1:
            names = ", ".join(str(folder) for folder in fitting)
            raise DataError(f"{data}: {layout} found more than once: name one: {names}")
        if fitting:
            return fitting[0]
    return data


def _levels(data: Path) -> Iterator[list[Path]]:
    level = [data]
    for _ in range(_DEPTH + 1):
        yield level
        level = [
            folder
            for parent in level
            if parent.is_dir()
            for folder in sorted(parent.iterdir())
            if folder.is_dir()
            and not folder.name.startswith(".")
            and folder.name.lower() not in SYSTEM
        ]


def outlines(data: Path) -> dict[str, Path | str]:
    """Return for each layout the folder that has its outline, or why none has."""
    found: dict[str, Path | str] = {}
    for layout in LAYOUTS:
        root = find_root(data, layout)
        found[layout] = _lacks(root, layout) or root
    return found


def labels_in(data: Path, paths: list[Path]) -> str | None:
    """Return the first file of a folder that its name calls a label, or None."""
    exact = {path.with_suffix("").as_posix() for path in paths}
    stems = {stem.lower() for stem in exact}
    if data.resolve().name.lower() in LABEL_FOLDERS:
        return data.name
    for path in paths:
        folders = {part.lower() for part in path.relative_to(data).parts[:-1]}
        stem = path.with_suffix("").as_posix()
        # CamSeq01's drawings are called NAME_L; img_l.png is a left picture.
        beside = stem.endswith("_L") and stem.removesuffix("_L") in exact
        stem = stem.lower()
        beside |= any(
            stem.endswith(end) and stem.removesuffix(end) in stems
            for end in _LABEL_ENDS
        )
        if beside or LABEL_FOLDERS & folders or stem.endswith(_CERTAIN_ENDS):
            return str(path.relative_to(data))
    return None


def photographs(data: Path) -> tuple[Path, list[Path]]:
    """Return pictures as `list_pictures`, of a folder that holds nothing else.

    Raises
    ------
    DataError
        If there is none, or labels or masks lie among them.
    """
    folder, paths = list_pictures(data)
    label = labels_in(folder, paths) if data.is_dir() else None
    if label is not None:
        found = outlines(data)
        fitting = [name for name, root in found.items() if isinstance(root, Path)]
        layouts = (
            f"has the layout of {' or '.join(fitting)}"
            if fitting
            else "has no layout that is known: "
            + "; ".join(f"{name}: {why}" for name, why in found.items())
        )
        raise DataError(
            f"{data}: holds labels or masks ({label}), which are no pictures: name a "
            f"folder of pictures alone; this one {layouts}"
        )
    return folder, paths


def _pages_in(folder: Path, part: Part) -> list[Page]:
    """Pages of all pictures of a folder; what cannot be read is a problem."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; the data set's layout has it")
    return [
        page for path in list_pictures(folder)[1] for page in _file_pages(path, part)
    ]


def _file_pages(path: Path, part: Part) -> list[Page]:
    try:
        return [page for page, _ in pages(path)]
    except DataError as error:
        part.problems.append(str(error))
        return []


class _Siblings:
    """Files of a folder by stem; where it is missing, that is the one problem."""

    def __init__(self, folder: Path, part: Part, what: str) -> None:
        self.folder = folder
        self.part = part
        self.missing = not folder.is_dir()
        self.files: dict[str, Path] = {}
        if self.missing:
            part.problems.append(f"{folder}: no such folder; it holds {what}")
            return
        for path in sorted(folder.iterdir()):
            if is_picture(path, folder):
                self.files.setdefault(path.stem, path)

    def partner(self, picture: Page, stem: str, suffix: str) -> Page | None:
        """The page that belongs to a picture's; None, and a problem, without one."""
        if self.missing:
            return None
        path = self.files.get(stem)
        if path is None:
            self.part.problems.append(
                f"{self.folder / (stem + suffix)}: no such file; {picture.path.name} "
                "needs it"
            )
            return None
        found = _file_pages(path, self.part)
        if found and len(found) != picture.count:
            self.part.problems.append(
                f"{path}: {len(found)} pages, {picture.path.name} has {picture.count}"
            )
        return found[picture.number - 1] if len(found) == picture.count else None


def _labelled(pictures: list[Page], root: Path, part: Part) -> list[Entry]:
    """Pictures of ``image`` with those of equal name in ``label``."""
    labels = _Siblings(root / "label", part, "the labels")
    files = labels.files
    paths = {page.path for page in pictures}
    if len(files) == len(paths) == 1:
        # A stack of pictures and one of labels, whatever they are called.
        return _pair_pages(pictures, next(iter(files.values())), part)
    entries = []
    for picture in pictures:
        stem = picture.path.stem
        if stem not in files and f"{stem}_L" in files:
            stem = f"{stem}_L"
        label = labels.partner(picture, stem, picture.path.suffix)
        if label:
            name = picture.name(root / "image")
            entries.append(Entry(name=name, picture=picture, label=label))
    stems = {path.stem for path in paths}
    part.problems += [
        f"{path}: a label without a picture"
        for stem, path in files.items()
        if stem not in stems and stem.removesuffix("_L") not in stems
    ]
    return entries


def _stacks(root: Path) -> tuple[Path, Path] | None:
    """``train-volume`` and ``train-labels``, as ISBI 2012 was released."""
    if not root.is_dir():
        return None
    found = {p.stem.lower(): p for p in sorted(root.iterdir()) if is_picture(p, root)}
    volume, labels = found.get("train-volume"), found.get("train-labels")
    return (volume, labels) if volume and labels else None


def _pair_pages(pictures: list[Page], labels: Path, part: Part) -> list[Entry]:
    """Pages of a stack with those of another."""
    drawn = _file_pages(labels, part)
    if len(drawn) != len(pictures):
        if drawn and pictures:
            part.problems.append(
                f"{labels}: {len(drawn)} pages, {pictures[0].path.name} has "
                f"{len(pictures)}"
            )
        return []
    return [
        Entry(name=page.name(page.path.parent), picture=page, label=label)
        for page, label in zip(pictures, drawn, strict=True)
    ]


def _drawings(root: Path) -> Iterator[tuple[Path, Path]]:
    """Files NAME and NAME_L of a folder, in natural order."""
    if not root.is_dir():
        return
    paths = [path for path in root.iterdir() if is_picture(path, root)]
    stems = {path.stem: path for path in paths}
    for stem in sorted(stems, key=lambda stem: natural(Path(stem))):
        label = stems.get(f"{stem}_L")
        if label is not None:
            yield stems[stem], label


def _released(root: Path, part: Part) -> Iterator[Entry]:
    """Pictures beside their drawings."""
    known: set[Path] = set()
    for path, drawing in _drawings(root):
        known |= {path, drawing}
        for picture in _file_pages(path, part):
            found = _file_pages(drawing, part)
            if len(found) == picture.count:
                label = found[picture.number - 1]
                yield Entry(name=picture.name(root), picture=picture, label=label)
            elif found:
                part.problems.append(
                    f"{drawing}: {len(found)} pages, {path.name} has {picture.count}"
                )
    if known:
        part.problems += [
            f"{path}: neither a picture with a drawing NAME_L nor one"
            for path in sorted(root.iterdir())
            if is_picture(path, root) and path not in known
        ]
