# SPDX-License-Identifier: BSD-3-Clause
"""Any number of pictures through one backend, in constant memory."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.files.atomic import atomic
from export.images import (
    completed,
    decode,
    only_size,
    picture_channels,
    size_multiple,
)
from export.network import Network
from loihi_unet.data.layouts import photographs
from loihi_unet.data.picture_files import Page, pages
from loihi_unet.data.pictures import Picture, warn, write_picture
from loihi_unet.data.read_picture import read_pages
from loihi_unet.data.white_level import Levels, records
from loihi_unet.errors import DataError
from loihi_unet.runs.frames import Conditions, entering_size, frame
from loihi_unet.runs.hashes import size_note
from loihi_unet.runs.network_source import load_for_pictures
from loihi_unet.runs.output_pictures import Drawing, drawing
from loihi_unet.runs.totals import Totals
from sim.backend import create
from sim.pictures import needed, output_of
from sim.recording import recordable
from sim.recording_file import recording_writer
from sim.streaming import stream

#: Images that a GPU runs together.
CUDA_BATCH = 8


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What to run, and where results go.

    Attributes
    ----------
    network : Path
        netx file.
    images : tuple of Path
        Pictures, and folders of them, in order.
    backend : str
        A name that `sim.backend.create` knows.
    conditions : Conditions
        Noise and crop.
    layers : tuple of str or None
        Spiking layers to record; None means all.
    recording : Path
        HDF5 file to write.
    pictures : Path or None
        Folder for the output pictures.
    white_level : int or None
        As in `loihi_unet.data.read_picture.read_pages`.
    """

    network: Path
    images: tuple[Path, ...]
    backend: str
    conditions: Conditions
    layers: tuple[str, ...] | None
    recording: Path
    pictures: Path | None
    white_level: int | None = None


class Entered(NamedTuple):
    """A picture's name, and its (H, W) before padding."""

    name: str
    size: tuple[int, int]


def run_pictures(
    config: RunConfig, *, progress: Callable[[float, int], None]
) -> dict[str, Any]:
    """Run pictures one after the other; write what each gave as it comes.

    Parameters
    ----------
    config : RunConfig
        What to run.
    progress : callable
        Called with (images done, all images).

    Returns
    -------
    dict[str, Any]
        As `loihi_unet.runs.totals.Totals.result`, and ``white_levels`` as
        `loihi_unet.data.white_level.records`.

    Raises
    ------
    DataError
        If pictures cannot be read, are of several sizes, or the network takes none.
    UserError
        As the backend, or if a file cannot be written.
    """
    network = load_for_pictures(config.network)
    draw = None
    if config.pictures is not None and network.task != "unknown":
        draw = drawing(network, str(config.network))
    simulator = create(config.backend)
    pages = pages_of(config)
    only = only_size(network)
    if only is not None and config.conditions.crop not in (None, only):
        raise DataError(
            f"{config.network}: takes pictures of {only[0]}x{only[1]} pixels only"
        )
    if only is not None:
        config = dataclasses.replace(
            config, conditions=dataclasses.replace(config.conditions, crop=only)
        )
    size = one_size(pages, config.conditions, network)
    note = size_note(network, [size])
    network = network.resized(*size)
    recordable(network, config.layers)  # an unknown layer is said before any work
    waiting: deque[Entered] = deque()  # read, and not yet given out
    levels: list[Levels | None] = []
    total = Totals(network, config.layers)
    with recording_writer(config.recording) as writer:
        for part in stream(
            network,
            frames_of(pages, config, network, waiting, levels),
            backend=simulator,
            batch=CUDA_BATCH if config.backend == "cuda" else 1,
            layers=needed(network, config.layers),
            progress=lambda done: progress(done, len(pages)),
        ):
            writer.append(part)
            total.add(part)
            for index in range(len(part.images)):
                entered = waiting.popleft()
                found_output = output_of(network, part)
                if config.pictures is not None and found_output is not None:
                    output = decode(network, found_output[index]).astype(np.float32)
                    write_output(config.pictures, entered, output, draw)
        white_levels = records(levels)
        writer.note_white_levels(white_levels)
    warn(levels, config.white_level)
    return total.result(
        simulator.name, config.recording, note=note, white_levels=white_levels
    )


def write_output(
    folder: Path, entered: Entered, output: NDArray[np.float32], draw: Drawing | None
) -> None:
    """Write an output as a picture; as numbers where no task says what it is."""
    if draw is None:
        path = _target(folder, entered.name).with_suffix(".npy")
        with atomic(path) as temporary, temporary.open("wb") as file:
            np.save(file, output)
        return
    height, width = entered.size
    write_picture(_target(folder, entered.name), draw(output[:, :height, :width]))


class FoundPicture(NamedTuple):
    """A picture to be run; ``name`` is that of its output, without suffix."""

    page: Page
    size: tuple[int, int]  # (height, width)
    name: str


def pages_of(config: RunConfig) -> list[FoundPicture]:
    """Every page of every file, told by the headers."""
    pictures = [
        FoundPicture(page, size, _shown_as(page, folder))
        for image in config.images
        for folder, paths in [photographs(image)]
        for path in paths
        for page, size in pages(path)
    ]
    if config.pictures is not None:
        targets: dict[Path, Page] = {}
        for page, _, name in pictures:
            target = _target(config.pictures, name)
            if target in targets:
                raise DataError(
                    f"{target}: both {targets[target]} and {page} would go there; "
                    "rename one or leave out --pictures"
                )
            targets[target] = page
    return pictures


def _shown_as(page: Page, folder: Path) -> str:
    """``a/b.tif`` is shown in ``a/b.png``, the second of its pages in ``a/b-2.png``."""
    name = page.path.relative_to(folder).with_suffix("").as_posix()
    return f"{name}-{page.number}" if page.count > 1 else name


def _target(folder: Path, name: str) -> Path:
    return folder / f"{name}.png"


def one_size(
    pages: list[FoundPicture], conditions: Conditions, network: Network
) -> tuple[int, int]:
    """The size in which all pictures enter, told by their headers."""
    multiple = size_multiple(network)
    sizes = {
        entering_size(size, conditions, multiple, str(page)) for page, size, _ in pages
    }
    if len(sizes) > 1:
        raise DataError(
            f"images of sizes {sorted(sizes)} found; one recording needs one size "
            "(use --crop)"
        )
    return sizes.pop()


def frames_of(
    pages: list[FoundPicture],
    config: RunConfig,
    network: Network,
    waiting: deque[Entered],
    levels: list[Levels | None],
) -> Iterator[NDArray[np.float32]]:
    """Read and prepare pictures when they are asked for; note them in ``waiting``."""
    channels = picture_channels(network)
    multiple = size_multiple(network)
    names = iter(pages)
    # A file is opened once for all its pages.
    for path in [item.page.path for item in pages if item.page.number == 1]:
        for read in read_pages(path, channels, config.white_level):
            index = len(levels)
            name = next(names).name
            picture = Picture(name=name, pixels=read.pixels)
            entering = frame(picture, index, config.conditions, multiple)
            levels.append(read.levels)
            waiting.append(Entered(name, entering.size))
            del read, picture
            yield completed(network, entering.levels)
