# SPDX-License-Identifier: BSD-3-Clause
"""Which files of a data set's folders belong together: by names and headers only.

What is missing or does not fit becomes a line in `Part.problems`.
"""

from collections.abc import Iterator
from pathlib import Path

from loihi_unet.data.entries import Entry, Part
from loihi_unet.data.parts import Split, chosen, folder_name
from loihi_unet.data.picture_files import (
    Page,
    is_picture,
    list_pictures,
    natural,
    pages,
    printable,
)
from loihi_unet.errors import DataError
from loihi_unet.folder_config import (
    ClassFolders,
    LabelFolders,
    PairFolders,
    PictureFolders,
    SplitByFolders,
    SplitLast,
)

#: What the files beside a picture are, for messages.
_WHAT = {"labels": "labels", "masks": "fields of view", "targets": "targets"}


def part_of(settings: PictureFolders, root: Path, split: Split) -> Part:
    """Return a part of a data set.

    Parameters
    ----------
    settings : PictureFolders
        Where its files are.
    root : Path
        The data set's folder.
    split : str
        Which part.

    Returns
    -------
    Part
        Without entries where the set has no such part.

    Raises
    ------
    DataError
        If there is no folder of pictures, or it is empty.
    """
    part = Part()
    images = located(root, settings.images, settings, split)
    if images is None:
        return part
    pages = _pages(images, part)
    if isinstance(settings, ClassFolders):
        part.entries = list(_classified(settings, root, images, pages, part))
    else:
        part.entries = list(_paired(settings, root, images, pages, split, part))
    files = _mates(settings, root, images, split)
    count = len([page for page in pages if page.path not in files])
    where = images if images.is_file() else root / settings.images
    if settings.pictures is not None and count != settings.pictures:
        part.problems.insert(
            0, f"{where}: {count} pictures, {settings.pictures} needed"
        )
    if isinstance(settings.split, SplitLast) and count <= settings.split.test:
        part.problems.insert(
            0,
            f"{where}: {count} pictures, the test part alone has {settings.split.test}",
        )
    part.entries = chosen(part.entries, settings.split, root, split, part.problems)
    # What is wrong with a file is wrong with each of its pages.
    part.problems = list(dict.fromkeys(part.problems))
    return part


def located(
    root: Path, path: str, settings: PictureFolders, split: Split
) -> Path | None:
    """Return the folder or file that a setting names; None for no such part.

    A file is found with another suffix, and in upper or lower case, too.
    """
    if isinstance(settings.split, SplitByFolders):
        name = folder_name(settings.split, split)
        if name is None:
            return None
        path = path.format(part=name)
    place = root / path
    if place.exists() or not place.parent.is_dir():
        return place
    stem = place.stem.lower()
    for other in sorted(place.parent.iterdir()):
        if other.stem.lower() == stem and is_picture(other, place.parent):
            return other
    return place


def name_of(page: Page, settings: PictureFolders, root: Path, images: Path) -> str:
    """Return a picture's name: its path in the folder that all parts share."""
    if images.is_file():
        return page.name(images.parent)
    shared = Path(*_before_part(settings.images))
    return page.name(root / shared)


def _before_part(path: str) -> Iterator[str]:
    for piece in Path(path).parts:
        if "{part}" in piece:
            return
        yield piece


def _pages(place: Path, part: Part) -> list[Page]:
    """Pages of a file or of all pictures of a folder; unreadable ones are problems."""
    if place.is_file():
        return file_pages(place, part)
    if not place.is_dir():
        raise DataError(f"{place}: no such folder; the data set's layout has it")
    return [page for path in list_pictures(place)[1] for page in file_pages(path, part)]


def file_pages(path: Path, part: Part) -> list[Page]:
    """Return the pages of a file; what cannot be read is a problem."""
    try:
        return [page for page, _ in pages(path)]
    except DataError as error:
        part.problems.append(str(error))
        return []


def _mates(
    settings: PictureFolders, root: Path, images: Path, split: Split
) -> set[Path]:
    """Files that lie among the pictures and are labels, masks or targets."""
    mates: set[Path] = set()
    for key, patterns in _companions(settings).items():
        place = located(root, settings.paths[key], settings, split)
        if place is None or not _same(place, images):
            continue
        files = _by_stem(place)
        for stem in list(files):
            for name in _named(patterns, stem):
                if name != stem and name in files:
                    mates.add(files[name])
    return mates


def _same(a: Path, b: Path) -> bool:
    return a.is_dir() and a.resolve() == b.resolve()


def _companions(settings: PictureFolders) -> dict[str, tuple[str, ...]]:
    """Patterns of the names of what belongs to a picture, by its setting."""
    match settings:
        case LabelFolders():
            patterns = {"labels": settings.label_name}
            if settings.masks is not None:
                patterns["masks"] = settings.mask_name
            return patterns
        case PairFolders():
            return {"targets": settings.target_name}
    return {}


def _named(patterns: tuple[str, ...], stem: str) -> list[str]:
    """Names, without suffix, that a picture's companion may have."""
    folder, _, name = stem.rpartition("/")
    first = name.split("_")[0]
    head = f"{folder}/" if folder else ""
    return [head + pattern.format(stem=name, first=first) for pattern in patterns]


def _by_stem(folder: Path) -> dict[str, Path]:
    """Pictures of a folder and below it, by path without suffix."""
    if not folder.is_dir():
        return {}
    files: dict[str, Path] = {}
    paths = [path for path in folder.rglob("*") if is_picture(path, folder)]
    for path in sorted(paths):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        files.setdefault(stem, path)
    return files


class _Companions:
    """Files that belong to pictures; where their folder is missing, one problem."""

    def __init__(self, key: str, place: Path, where: str, part: Part) -> None:
        self.place = place
        self.part = part
        self.missing = not place.exists()
        self.files = _by_stem(place)
        self.used: set[Path] = set()
        self.latest: Path | None = None
        self.found: list[Page] = []
        if self.missing:
            part.problems.append(
                f"{place}: no such folder; it holds {where}{_WHAT[key]}"
            )

    def named(self, picture: Page, stem: str, patterns: tuple[str, ...]) -> Page | None:
        """The page that belongs to a picture's; None, and a problem, without one."""
        if self.missing:
            return None
        if self.place.is_file():
            return self.page(self.place, picture)
        names = _named(patterns, stem)
        names += [name.rpartition("/")[2] for name in names]
        path = next((self.files[n] for n in names if n in self.files), None)
        if path is None:
            suffixes = [file.suffix for file in self.files.values()]
            suffix = suffixes[0] if suffixes else ".*"
            self.part.problems.append(
                f"{self.place / (names[0] + suffix)}: no such file; "
                f"{picture.path.name} needs it"
            )
            return None
        return self.page(path, picture)

    def page(self, path: Path, picture: Page) -> Page | None:
        self.used.add(path)
        if self.latest != path:  # the pages of a stack are asked for one by one
            self.latest, self.found = path, file_pages(path, self.part)
        read = self.found
        if read and len(read) != picture.count:
            self.part.problems.append(
                f"{path}: {len(read)} pages, {picture.path.name} has {picture.count}"
            )
        return read[picture.number - 1] if len(read) == picture.count else None


def _paired(
    settings: PictureFolders,
    root: Path,
    images: Path,
    pages: list[Page],
    split: Split,
    part: Part,
) -> Iterator[Entry]:
    """Pictures with their labels, masks or targets."""
    patterns = _companions(settings)
    where = f"the {images_part(settings, split)}"
    sets = {}
    for key in patterns:
        place = located(root, settings.paths[key], settings, split)
        assert place is not None  # the part has pictures
        sets[key] = _Companions(key, place, where, part)
    mates = _mates(settings, root, images, split)
    ordered = [page for page in pages if page.path not in mates]
    beside = {key for key, one in sets.items() if _same(one.place, images)}
    if beside:
        ordered.sort(key=lambda page: natural(page.path.with_suffix("")))
    for picture in ordered:
        stem = picture.path.with_suffix("").name
        if images.is_dir():
            stem = picture.path.relative_to(images).with_suffix("").as_posix()
        if beside and not _has_mate(sets, beside, patterns, stem):
            names = ", ".join(p for key in sorted(beside) for p in patterns[key])
            part.problems.append(
                f"{picture.path}: neither a picture with a {_one(beside)} "
                f"{names.replace('{stem}', 'NAME')} nor one"
            )
            continue
        pair = {
            key: _stack_or_named(one, picture, stem, patterns[key], pages)
            for key, one in sets.items()
        }
        if all(page is not None for page in pair.values()):
            yield Entry(
                name=name_of(picture, settings, root, images),
                picture=picture,
                label=pair.get("labels"),
                mask=pair.get("masks"),
                target=pair.get("targets"),
            )
    for key, one in sets.items():
        if key not in beside:
            _orphans(settings, key, one, part)


def images_part(settings: PictureFolders, split: Split) -> str:
    """Return the name of a part for messages, or nothing where all share folders."""
    if not isinstance(settings.split, SplitByFolders):
        return ""
    return f"{folder_name(settings.split, split)} part's "


def _one(keys: set[str]) -> str:
    return " and ".join(_WHAT[key].removesuffix("s") for key in sorted(keys))


def _has_mate(
    sets: dict[str, _Companions],
    keys: set[str],
    patterns: dict[str, tuple[str, ...]],
    stem: str,
) -> bool:
    return all(
        any(name in sets[key].files for name in _named(patterns[key], stem))
        for key in keys
    )


def _stack_or_named(
    companions: _Companions,
    picture: Page,
    stem: str,
    patterns: tuple[str, ...],
    pages: list[Page],
) -> Page | None:
    # A stack of pictures and one of labels, whatever they are called.
    files = list(companions.files.values())
    if len(files) == 1 and len({page.path for page in pages}) == 1:
        return companions.page(files[0], picture)
    return companions.named(picture, stem, patterns)


def _orphans(
    settings: PictureFolders, key: str, companions: _Companions, part: Part
) -> None:
    """Files that belong to no picture, where every part has its own."""
    shared = "{part}" in settings.images and "{part}" not in settings.paths[key]
    if shared or companions.missing:
        return
    noun = _WHAT[key].removesuffix("s")
    part.problems += [
        f"{path}: a {noun} without a picture"
        for path in companions.files.values()
        if path not in companions.used
    ]


def _classified(
    settings: ClassFolders, root: Path, images: Path, pages: list[Page], part: Part
) -> Iterator[Entry]:
    """Pictures of the folders of classes."""
    number = {name: index for index, name in enumerate(settings.classes)}
    strange: dict[str, None] = {}
    seen: set[str] = set()
    for picture in pages:
        relative = picture.path.relative_to(images)
        folder = relative.parts[0] if len(relative.parts) > 1 else ""
        seen.add(folder)
        if folder in number:
            yield Entry(
                name=name_of(picture, settings, root, images),
                picture=picture,
                number=number[folder],
            )
        else:
            strange[printable(folder) if folder else str(relative)] = None
    allowed = ", ".join(settings.classes)
    part.problems += [
        f"{images / name}: in no folder of a class; allowed are {allowed}"
        for name in strange
    ]
    part.problems += [
        f"{images / name}: no picture of this class"
        for name in settings.classes
        if name not in seen
    ]
