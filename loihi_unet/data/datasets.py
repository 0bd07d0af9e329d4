# SPDX-License-Identifier: BSD-3-Clause
"""The pictures of a task: those of a folder, or a data set that settings describe."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from export.files.kind import expect
from loihi_unet.config import DenoiseConfig, TaskConfig, TrainConfig
from loihi_unet.data.entries import Entry
from loihi_unet.data.folders import part_of
from loihi_unet.data.labels import read_binary, read_colours, read_label
from loihi_unet.data.layouts import find_root, fitting
from loihi_unet.data.parts import Split, has_validation
from loihi_unet.data.picture_files import Page, pages
from loihi_unet.data.pictures import Picture, load_pictures, warn
from loihi_unet.data.prepare import enhance as enhance
from loihi_unet.data.prepare import prepared, tiles, windowed
from loihi_unet.data.read_picture import PageReader
from loihi_unet.data.sequence import Pictures, hold_out
from loihi_unet.errors import DataError
from loihi_unet.folder_config import LabelFolders, PictureFolders
from loihi_unet.task_config import SetConfig

T = TypeVar("T")

EMPTY_MASK = "no pixel is inside the field of view"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How files become gray levels and classes.

    Attributes
    ----------
    white_level : int or None
        As in `loihi_unet.data.read_picture.read_pages`.
    label_colours : str, Path or None
        Table of the colours of label pictures, as
        `loihi_unet.data.labels.read_colours`; None for those of the data set.
    """

    white_level: int | None = None
    label_colours: str | Path | None = None


AS_STATED = Reading()


def load_data(
    task: TaskConfig,
    data: Path | None,
    channels: int,
    split: Split = "train",
    reading: Reading = AS_STATED,
) -> Pictures:
    """Read the pictures of a task once.

    Parameters
    ----------
    task : TaskConfig
        Names or describes the data set, where there is one.
    data : Path or None
        Its folder; None, for denoising only, for scikit-image's photographs.
    channels : int
        1 or 3.
    split : str
        Which part of a data set; for denoising a folder is all one part.
    reading : Reading
        How files are understood.

    Returns
    -------
    Pictures
        With what belongs to each.

    Raises
    ------
    DataError
        If something is missing, unreadable or does not fit together.
    """
    if isinstance(task, DenoiseConfig):
        return load_pictures(data, channels, reading.white_level)
    if data is None:
        raise DataError(f"{needs(task)} (--data); there is no default")
    expect(data, "folder", error=DataError)
    name = set_name(task)
    root = find_root(data, task.layouts, name)
    settings = fitting(root, task.layouts) or task.layouts[-1]
    part = part_of(settings, root, split)
    if part.problems:
        raise DataError(part.problems[0] + _more(part.problems))
    if not part.entries:
        raise DataError(f"{root}: no picture in the {split} part of {name}")
    pictures = read_entries(task, settings, part.entries, reading)
    warn(pictures.levels, reading.white_level)
    return pictures


def set_name(task: SetConfig) -> str:
    """Return what a data set is called: its name, or the task of one's own."""
    return task.kind if task.dataset == "folders" else task.dataset


def needs(task: SetConfig) -> str:
    """Return a sentence about the folder that a task cannot do without."""
    if task.dataset == "folders":
        return f"{task.kind} needs the folder of its data"
    return f"segmentation needs the folder of {task.dataset}"


def _more(problems: list[str]) -> str:
    more = len(problems) - 1
    return f" (and {more} more: see data check)" if more else ""


def load_training(
    config: TrainConfig, data: Path | None, reading: Reading = AS_STATED
) -> tuple[Pictures, Sequence[Picture], Sequence[Picture]]:
    """Read the pictures of a training run.

    Parameters
    ----------
    config : TrainConfig
        Task, channels, and how many pictures are held out where the data set has none
        to validate on.
    data, reading
        As in `load_data`.

    Returns
    -------
    known : Pictures
        The training part, which identifies the run.
    train, validation : sequence of Picture
        No picture is in both.

    Raises
    ------
    DataError
        As `load_data`, or if no picture is left to train on.
    """
    task, channels = config.task, config.model.in_channels
    pictures = load_data(task, data, channels, reading=reading)
    if not isinstance(task, DenoiseConfig) and data is not None:
        _refuse_empty_masks(task, data)
    if isinstance(task, DenoiseConfig) or not has_validation(task.settings.split):
        return pictures, *hold_out(pictures, config.validation_images)
    validation = load_data(task, data, channels, "validation", reading)
    return pictures, pictures, validation


def _refuse_empty_masks(task: SetConfig, data: Path) -> None:
    """Look through the masks of the test part, if it is there, before the training.

    Raises
    ------
    DataError
        If one has no pixel inside: nothing could be scored there afterwards.
    """
    root = find_root(data, task.layouts, set_name(task))
    settings = fitting(root, task.layouts) or task.layouts[-1]
    try:
        entries = part_of(settings, root, "test").entries
    except DataError:  # training does without a test part
        return
    for entry in entries:
        if entry.mask is not None and not read_binary(entry.mask).any():
            raise DataError(f"{entry.mask}: {EMPTY_MASK}")


def read_entries(
    task: SetConfig, settings: PictureFolders, entries: list[Entry], reading: Reading
) -> Pictures:
    """Read entries of a data set once, whole or in tiles.

    Raises
    ------
    DataError
        If something is wrong with one of them.
    """
    reader = EntryReader(task, settings, reading)
    items = [
        (entry, window)
        for entry in entries
        for window in tiles(reader.size(entry), settings.sizes)
    ]
    latest: dict[str, Picture] = {}

    def read(index: int) -> Picture:
        entry, window = items[index]
        if window is None:
            return _sound(reader, entry)
        if entry.name not in latest:
            latest.clear()
            latest[entry.name] = _sound(reader, entry)
        return windowed(latest[entry.name], window, reader.scale)

    return Pictures.read(read, len(items))


def _sound(reader: "EntryReader", entry: Entry) -> Picture:
    problems: list[str] = []
    picture = reader.read(entry, problems)
    if picture is None:
        raise DataError(problems[0])
    return picture


class EntryReader:
    """Reads and prepares the entries of a data set.

    Parameters
    ----------
    task : SetConfig
        What the set is for.
    settings : PictureFolders
        How its files are understood.
    reading : Reading
        What else is known of them.
    """

    def __init__(
        self, task: SetConfig, settings: PictureFolders, reading: Reading
    ) -> None:
        self.settings = settings
        self.white_level = reading.white_level
        self.scale: int = getattr(task, "scale", 1)
        table = reading.label_colours
        self.colours = read_colours(table) if table else None
        self.pages = PageReader()
        self.targets = PageReader()

    def size(self, entry: Entry) -> tuple[int, int]:
        """Height and width of an entry's picture, told by its header."""
        if self.settings.sizes.how != "tile":
            return (0, 0)
        sizes = dict(pages(entry.picture.path))
        return sizes[entry.picture]

    def read(self, entry: Entry, problems: list[str]) -> Picture | None:
        """Return an entry's picture.

        Parameters
        ----------
        entry : Entry
            Its files.
        problems : list[str]
            What is wrong with it is appended.

        Returns
        -------
        Picture or None
            None where something is wrong.
        """
        before = len(problems)
        channels, white = self.settings.channels, self.white_level
        read_one = _tried(
            problems, lambda: self.pages.read(entry.picture, channels, white)
        )
        label = _tried(problems, lambda: self._label(entry))
        mask = None
        if (page := entry.mask) is not None:
            mask = _tried(problems, functools.partial(read_binary, page))
        target = None
        if (goal := entry.target) is not None:
            reading = functools.partial(self.targets.read, goal, channels, white)
            wished = _tried(problems, reading)
            target = None if wished is None else wished.pixels
        if read_one is not None:
            height, width = read_one.pixels.shape[1:]
            for file, values, scale in (
                (entry.label, label, 1),
                (entry.mask, mask, 1),
                (entry.target, target, self.scale),
            ):
                wanted = (height * scale, width * scale)
                if values is not None and values.shape[-2:] != wanted:
                    problems.append(_unequal(file, values.shape, entry, wanted, scale))
        if mask is not None and not mask.any():
            problems.append(f"{entry.mask}: {EMPTY_MASK}")
        if len(problems) > before or read_one is None:
            return None
        picture = Picture(
            name=entry.name,
            pixels=read_one.pixels,
            label=label,
            mask=None if mask is None else mask.astype(bool),
            levels=read_one.levels,
            target=target,
            number=entry.number,
        )
        return _tried(problems, lambda: prepared(picture, self.settings, self.scale))

    def _label(self, entry: Entry) -> NDArray[np.uint8] | None:
        if entry.label is None:
            return None
        assert isinstance(self.settings, LabelFolders)
        return read_label(entry.label, self.settings, self.colours)


def _unequal(
    page: Page | None,
    shape: Sequence[int],
    entry: Entry,
    wanted: tuple[int, int],
    scale: int,
) -> str:
    height, width = shape[-2:]
    times = f", {scale} times that is needed" if scale > 1 else ""
    return (
        f"{page}: {width}x{height} pixels, {entry.picture.path.name} has "
        f"{wanted[1] // scale}x{wanted[0] // scale}{times}"
    )


def _tried(problems: list[str], function: Callable[[], T]) -> T | None:
    """Call a function; what is wrong with the data becomes a problem."""
    try:
        return function()
    except DataError as error:
        problems.append(str(error))
        return None
