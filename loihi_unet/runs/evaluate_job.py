# SPDX-License-Identifier: BSD-3-Clause
"""What a worker of a sweep does: one picture through every network to be scored."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loihi_unet.data.pictures import Picture
from loihi_unet.errors import DataError
from loihi_unet.files.checkpoint import load_checkpoint
from loihi_unet.files.spiking_file import load_spiking_unet
from loihi_unet.runs.network_source import load_network
from loihi_unet.runs.tiling import WholeNetwork
from loihi_unet.spiking.run_float import run
from loihi_unet.tasks.denoise import Network
from loihi_unet.tasks.judge import Found, Judge
from sim.backend import create


@dataclass(frozen=True, kw_only=True)
class NetworkFiles:
    """The networks to be scored, as files that every worker can read.

    Attributes
    ----------
    network : Path
        netx file.
    sha256 : str
        `Network.sha256` of what it must hold.
    backend : str
        Backend that runs it.
    tile : int
        Longest side that is run in one piece.
    checkpoint : str or None
        The U-Net to score beside it.
    spiking : Path or None
        The float Spiking-UNet to score beside it.
    sweep : str
        Different for every sweep: files are read anew for each.
    """

    network: Path
    sha256: str
    backend: str
    tile: int
    checkpoint: str | None
    spiking: Path | None
    sweep: str


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreJob:
    """One picture of a test set.

    Attributes
    ----------
    files : NetworkFiles
        What to run.
    pictures : sequence or mapping of int to Picture
        Holds the picture; of a whole set only this one travels to a worker.
    index : int
        Its place in the set, which decides its noise.
    judge : Judge
        Scores it.
    """

    files: NetworkFiles
    pictures: Sequence[Picture] | Mapping[int, Picture]
    index: int
    judge: Judge

    @property
    def picture(self) -> Picture:
        """The picture, which may be read for it."""
        return self.pictures[self.index]

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel with one picture, read now: a worker may not see the files."""
        one = {self.index: self.picture}
        return _job, (self.files, one, self.index, self.judge)


def _job(
    files: NetworkFiles, pictures: dict[int, Picture], index: int, judge: Judge
) -> ScoreJob:
    return ScoreJob(files=files, pictures=pictures, index=index, judge=judge)


def score(job: ScoreJob) -> dict[str, Found]:
    """Run every network on one picture.

    Parameters
    ----------
    job : ScoreJob
        The picture, and what to run.

    Returns
    -------
    dict[str, Found]
        ``chip`` and, where asked for, ``ann`` and ``snn``.

    Raises
    ------
    DataError
        If the network's file is not the one that is meant.
    """
    networks, multiple = load(job.files)
    picture = job.picture
    return {
        name: job.judge.judge(network, picture, job.index, multiple=multiple)
        for name, network in networks.items()
    }


@functools.lru_cache(maxsize=1)
def load(files: NetworkFiles) -> tuple[dict[str, Network], tuple[int, int]]:
    """Read the networks; a worker does so once per sweep.

    Parameters
    ----------
    files : NetworkFiles
        Files and settings.

    Returns
    -------
    networks : dict[str, Network]
        By name, as in `score`.
    multiple : tuple of int
        What a picture's sides must be multiples of.

    Raises
    ------
    UserError
        If a file cannot be used, the network's is not the one that is meant, or
        the backend cannot run here.
    """
    network = load_network(files.network)
    if network.sha256 != files.sha256:
        raise DataError(
            f"{files.network}: sha256 {network.sha256[:12]} on this worker, "
            f"{files.sha256[:12]} needed"
        )
    chip = WholeNetwork(network, create(files.backend), files.tile)
    networks: dict[str, Network] = {"chip": chip}
    if files.checkpoint is not None:
        networks["ann"], _ = load_checkpoint(files.checkpoint)
    if files.spiking is not None:
        snn = load_spiking_unet(files.spiking)
        networks["snn"] = lambda x: run(snn, x).output
    return networks, chip.multiple
