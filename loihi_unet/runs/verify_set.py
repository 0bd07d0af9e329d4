# SPDX-License-Identifier: BSD-3-Clause
"""Two backends on every picture of a set: equal integers, or the first that differs."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from export.images import completed, only_size, picture_channels, size_multiple
from export.network import Network
from loihi_unet.data.pictures import Picture, load_pictures
from loihi_unet.data.white_level import records
from loihi_unet.errors import DataError
from loihi_unet.runs.frames import Conditions, entering_size, frame
from loihi_unet.runs.hashes import hashes, size_note
from loihi_unet.runs.network_source import anywhere, load_for_pictures, load_network
from sim.backend import BackendError, Progress, Simulator, check_name, create
from sim.coverage.counter import Coverage, together
from sim.coverage.report import CoverageReport
from sim.recording import Recording
from sim.sweeps.resources import demand
from sim.sweeps.sweep import sweep
from sim.verify.comparison import Comparison, compare, merge


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Two backends and what they run.

    Attributes
    ----------
    network : Path
        netx file that every worker can read.
    sha256 : str
        `Network.sha256` of what it must hold.
    backends : tuple of str
        Left and right.
    """

    network: Path
    sha256: str
    backends: tuple[str, str]


@dataclass(frozen=True, kw_only=True, eq=False)
class VerifyJob:
    """One picture of a set.

    Attributes
    ----------
    sides : Sides
        What to compare.
    picture : Picture
        Clean.
    index : int
        Its place in the set.
    conditions : Conditions
        Noise and crop.
    """

    sides: Sides
    picture: Picture
    index: int
    conditions: Conditions


@dataclass(frozen=True, kw_only=True, eq=False)
class SetComparison:
    """Verdict over a set.

    Attributes
    ----------
    comparison : Comparison
        Over all pictures; the ``image`` of a mismatch counts them.
    jobs : tuple of VerifyJob
        In that order.
    network : Network
        As its file holds it.
    note : str
        At which other sizes it ran; empty if at none.
    coverage : CoverageReport
        What all pictures together exercised, by what the left backend gave.
    sizes : tuple of (int, int, int)
        Number, height and width of the pictures as they entered.
    """

    comparison: Comparison
    jobs: tuple[VerifyJob, ...]
    network: Network
    note: str
    coverage: CoverageReport
    sizes: tuple[tuple[int, int, int], ...]

    @property
    def file_size(self) -> tuple[int, int]:
        """(H, W) of the network's file."""
        _, height, width = self.network.input.shape
        return height, width

    @property
    def to_show(self) -> VerifyJob:
        """The first picture with a mismatch, else the first."""
        different = [
            layer.first.image for layer in self.comparison.layers if layer.first
        ]
        return self.jobs[min(different, default=0)]

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts and lists."""
        record = self.comparison.to_json() | hashes(self.network)
        return record | {
            "pictures": [job.picture.name for job in self.jobs],
            "white_levels": records(job.picture.levels for job in self.jobs),
            "note": self.note,
            "coverage": self.coverage.to_json(),
        }


def verify_set(
    path: Path,
    data: Path | None,
    backends: tuple[str, str],
    conditions: Conditions,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    white_level: int | None = None,
    progress: Progress | None = None,
) -> SetComparison:
    """Run two backends on every picture and compare all layers, steps and outputs.

    Parameters
    ----------
    path : Path
        netx file.
    data : Path or None
        Folder of pictures, or one; None for scikit-image's photographs.
    backends : tuple of str
        Two different names that `sim.backend.create` knows.
    conditions : Conditions
        Noise and crop.
    scheduler, workers, progress
        As in `sim.sweeps.sweep.sweep`; the machines of a cluster must see the network's
        file under the same path.
    white_level : int, optional
        As in `loihi_unet.data.read_picture.read_pages`.

    Returns
    -------
    SetComparison
        The same whoever ran it.

    Raises
    ------
    BackendError
        If the two backends are one, or one does not exist.
    DataError
        If the pictures cannot be read, or the network takes none.
    SweepError
        If a picture cannot be run, or workers keep dying.
    """
    for name in backends:
        check_name(name)
    if backends[0] == backends[1]:
        raise BackendError(f"verify: backend '{backends[0]}' twice; two needed")
    network = load_for_pictures(path)
    if (only := only_size(network)) is not None:
        conditions = replace(conditions, crop=only)
    sides = Sides(network=anywhere(path), sha256=network.sha256, backends=backends)
    jobs = {
        picture.name: VerifyJob(
            sides=sides, picture=picture, index=index, conditions=conditions
        )
        for index, picture in enumerate(
            load_pictures(data, picture_channels(network), white_level)
        )
    }
    multiple = size_multiple(network)
    sizes = [
        entering_size(picture.size, conditions, multiple, picture.name)
        for picture in (job.picture for job in jobs.values())
    ]
    largest = network.resized(max(h for h, _ in sizes), max(w for _, w in sizes))
    compared = sweep(
        compare_one,
        jobs,
        scheduler=scheduler,
        workers=workers,
        needs=demand(largest, *backends, record=True),
        progress=progress,
    )
    return SetComparison(
        comparison=merge([comparison for comparison, _ in compared.values()]),
        jobs=tuple(jobs.values()),
        coverage=together(coverage for _, coverage in compared.values()).report(
            network
        ),
        network=network,
        note=size_note(network, sizes),
        sizes=tuple((n, *size) for size, n in Counter(sizes).items()),
    )


def compare_one(job: VerifyJob) -> tuple[Comparison, Coverage]:
    """Run both backends on one picture, compare all they recorded, and count it.

    Raises
    ------
    DataError
        If the network's file is not the one that is meant.
    """
    network, left, right = record_both(job)
    coverage = Coverage(network)
    coverage.add(network, left)
    return compare_recorded(network, left, right), coverage


def compare_recorded(network: Network, left: Recording, right: Recording) -> Comparison:
    """Compare, and look for causes of a failure.

    Parameters
    ----------
    network : Network
        What both ran: it decides what there is to compare, whatever they say.
    left, right : Recording
        Of the same images.
    """
    comparison = compare(left, right, network)
    if comparison.verdict != "FAIL":
        return comparison
    from sim.verify.diagnose import explained  # needs torch

    return explained(comparison, left, right, network)


def record_both(job: VerifyJob) -> tuple[Network, Recording, Recording]:
    """Network at the picture's size, and both backends' recordings of one picture.

    Raises
    ------
    DataError
        As in `compare_one`.
    """
    network, left, right = _load(job.sides)
    entering = frame(job.picture, job.index, job.conditions, size_multiple(network))
    image = completed(network, entering.levels)[None]
    network = network.resized(*image.shape[2:])
    return network, left.run(network, image), right.run(network, image)


@functools.lru_cache(maxsize=1)
def _load(sides: Sides) -> tuple[Network, Simulator, Simulator]:
    """Network and backends; a worker reads the file once."""
    network = load_network(sides.network)
    if network.sha256 != sides.sha256:
        raise DataError(
            f"{sides.network}: sha256 {network.sha256[:12]} on this worker, "
            f"{sides.sha256[:12]} needed"
        )
    left, right = (create(name) for name in sides.backends)
    return network, left, right
