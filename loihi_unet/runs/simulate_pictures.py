# SPDX-License-Identifier: BSD-3-Clause
"""Any number of pictures through one machine, in constant memory.

Like `loihi_unet.demo.run` it may import `export` and `sim`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.images import decode, size_multiple
from export.network import Network
from export.stock_network import Stream
from loihi_unet.data.pictures import (
    Picture,
    list_pictures,
    picture_size,
    read_pixels,
    write_picture,
)
from loihi_unet.errors import DataError
from loihi_unet.runs.frames import Conditions, entering_size, frame
from loihi_unet.runs.network_source import load_network
from sim.backend import create
from sim.recording import Recording, recordable
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
        A key of `sim.backend.BACKENDS`.
    conditions : Conditions
        Noise and crop.
    layers : tuple of str or None
        Spiking layers to record; None means all.
    recording : Path
        HDF5 file to write.
    pictures : Path or None
        Folder for the output pictures.
    """

    network: Path
    images: tuple[Path, ...]
    backend: str
    conditions: Conditions
    layers: tuple[str, ...] | None
    recording: Path
    pictures: Path | None


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
        ``backend, network_sha256, images, num_steps, seconds, out, spike_rate``.

    Raises
    ------
    DataError
        If pictures cannot be read, are of several sizes, or the network takes none.
    UserError
        As the backend, or if a file cannot be written.
    """
    network = load_network(config.network)
    if isinstance(network, Stream):
        raise DataError(
            f"{config.network}: stock neurons take arrays, not pictures "
            "(docs/netx_stock.md)"
        )
    simulator = create(config.backend)
    paths = _paths(config)
    network = network.resized(*_one_size(paths, config.conditions, network))
    recordable(network, config.layers)  # an unknown layer is said before any work
    waiting: deque[Entered] = deque()  # read, and not yet given out
    total = _Totals()
    with recording_writer(config.recording) as writer:
        for part in stream(
            network,
            _frames(paths, config.conditions, network, waiting),
            backend=simulator,
            batch=CUDA_BATCH if config.backend == "cuda" else 1,
            layers=config.layers,
            progress=lambda done: progress(done, len(paths)),
        ):
            writer.append(part)
            total.add(part)
            for index in range(len(part.images)):
                entered = waiting.popleft()
                if config.pictures is not None and part.output is not None:
                    height, width = entered.size
                    pixels = 255 * decode(network, part.output[index])
                    target = _target(config.pictures, entered.name)
                    write_picture(target, pixels[:, :height, :width])
    return {
        "backend": simulator.name,
        "network_sha256": network.sha256,
        "images": len(paths),
        "num_steps": network.num_steps,
        "seconds": total.seconds,
        "out": str(config.recording),
        "spike_rate": total.rates(),
    }


class _Totals:
    """Sums over the parts of a run."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.spikes: Counter[str] = Counter()
        self.values: Counter[str] = Counter()

    def add(self, part: Recording) -> None:
        self.seconds += part.seconds
        for name, payload in part.payloads.items():
            self.spikes[name] += int(np.count_nonzero(payload))
            self.values[name] += payload.size

    def rates(self) -> dict[str, float]:
        return {name: self.spikes[name] / n for name, n in self.values.items()}


def _paths(config: RunConfig) -> list[tuple[Path, str]]:
    """Files of the pictures, and their names."""
    found = [
        (path, path.relative_to(folder).as_posix())
        for image in config.images
        for folder, paths in [list_pictures(image)]
        for path in paths
    ]
    if config.pictures is not None:
        targets: dict[Path, Path] = {}
        for path, name in found:
            target = _target(config.pictures, name)
            if target in targets:
                raise DataError(
                    f"{target}: both {targets[target]} and {path} would go there; "
                    "rename one or leave out --pictures"
                )
            targets[target] = path
    return found


def _target(folder: Path, name: str) -> Path:
    return (folder / name).with_suffix(".png")


def _one_size(
    paths: list[tuple[Path, str]], conditions: Conditions, network: Network
) -> tuple[int, int]:
    """The size in which all pictures enter, told by their headers."""
    multiple = size_multiple(network)
    sizes = {
        entering_size(picture_size(path), conditions, multiple) for path, _ in paths
    }
    if len(sizes) > 1:
        raise DataError(
            f"images of sizes {sorted(sizes)} found; one recording needs one size "
            "(use --crop)"
        )
    return sizes.pop()


def _frames(
    paths: list[tuple[Path, str]],
    conditions: Conditions,
    network: Network,
    waiting: deque[Entered],
) -> Iterator[NDArray[np.float32]]:
    """Read and prepare pictures when they are asked for; note them in ``waiting``."""
    for index, (path, name) in enumerate(paths):
        picture = Picture(name=name, pixels=read_pixels(path, network.input.shape[0]))
        entering = frame(picture, index, conditions, size_multiple(network))
        waiting.append(Entered(name, entering.size))
        yield entering.levels
