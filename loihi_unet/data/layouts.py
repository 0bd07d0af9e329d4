# SPDX-License-Identifier: BSD-3-Clause
"""Which of the known layouts a folder has, and whether it is one of pictures alone.

Reads names only. `loihi_unet.builtin_sets` has the layouts.
"""

from collections.abc import Iterator
from pathlib import Path

from loihi_unet.builtin_sets import BUILT_IN
from loihi_unet.data.folders import located
from loihi_unet.data.picture_files import SYSTEM, is_picture, list_pictures
from loihi_unet.errors import DataError
from loihi_unet.folder_config import LabelFolders, PictureFolders, SplitByFolders

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


def lacks(root: Path, settings: PictureFolders) -> str | None:
    """Return why a folder has not the outline of a data set; None if it has."""
    split = settings.split
    if isinstance(split, SplitByFolders):
        names = [name for name in (split.train, split.validation, split.test) if name]
        paths = [settings.images.format(part=name) for name in names]
        if any((root / path).exists() for path in paths):
            return None
        return f"no folder {' or '.join(paths)}"
    labels = settings.labels if isinstance(settings, LabelFolders) else None
    if isinstance(settings, LabelFolders) and settings.images == labels:
        if any(_beside(root, settings)):
            return None
        return f"no NAME.png beside {settings.label_name[0].format(stem='NAME')}.png"
    images = located(root, settings.images, settings, "train")
    if Path(settings.images).suffix == "":
        there = images is not None and images.exists()
        return None if there else f"no folder {settings.images}"
    drawn = located(root, labels, settings, "train") if labels else images
    if all(path is not None and path.is_file() for path in (images, drawn)):
        return None
    return (
        f"no {settings.images} beside {labels}" if labels else f"no {settings.images}"
    )


def _beside(root: Path, settings: LabelFolders) -> Iterator[Path]:
    """Labels that lie beside their pictures."""
    if not root.is_dir():
        return
    stems = {path.stem: path for path in root.iterdir() if is_picture(path, root)}
    for stem in stems:
        for pattern in settings.label_name:
            name = pattern.format(stem=stem, first=stem.split("_")[0])
            if name != stem and name in stems:
                yield stems[name]


def fitting(root: Path, layouts: tuple[PictureFolders, ...]) -> PictureFolders | None:
    """Return the first of several layouts whose outline a folder has."""
    return next((one for one in layouts if lacks(root, one) is None), None)


def find_root(data: Path, layouts: tuple[PictureFolders, ...], name: str) -> Path:
    """Return the folder that has a layout: the named one, or one or two below it.

    Parameters
    ----------
    data : Path
        The named folder; returned where none has the layout.
    layouts : tuple of PictureFolders
        Any of them will do.
    name : str
        Of the data set, for errors.

    Raises
    ------
    DataError
        If several have it.
    """
    for level in _levels(data):
        roots = [folder for folder in level if fitting(folder, layouts) is not None]
        if len(roots) > 1:
            names = ", ".join(str(folder) for folder in roots)
            raise DataError(f"{data}: {name} found more than once: name one: {names}")
        if roots:
            return roots[0]
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
    """Return for each built-in set the folder that has its outline, or why none has."""
    by_name: dict[str, Path | str] = {}
    for name, layouts in BUILT_IN.items():
        root = find_root(data, layouts, name)
        if fitting(root, layouts) is not None:
            by_name[name] = root
        else:
            # The folders of files are the plainer layout, so they are said first.
            reasons = [lacks(root, one) or "" for one in layouts]
            by_name[name] = ", ".join(sorted(reasons, key=lambda why: "beside" in why))
    return by_name


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
        by_name = outlines(data)
        fitting = [name for name, root in by_name.items() if isinstance(root, Path)]
        layouts = (
            f"has the layout of {' or '.join(fitting)}"
            if fitting
            else "has no layout that is known: "
            + "; ".join(f"{name}: {why}" for name, why in by_name.items())
        )
        raise DataError(
            f"{data}: holds labels or masks ({label}), which are no pictures: name a "
            f"folder of pictures alone; this one {layouts}"
        )
    return folder, paths
