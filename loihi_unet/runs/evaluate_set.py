# SPDX-License-Identifier: BSD-3-Clause
"""Score an integer network over a data set, its float relatives beside it."""

import functools
import math
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from export.compartment import MTIF
from export.images import size_multiple
from export.network import Network as IntegerNetwork
from loihi_unet.config import DenoiseConfig, TaskConfig, TrainConfig, parse_config
from loihi_unet.data.datasets import AS_STATED, Reading, load_data, set_name
from loihi_unet.data.picture_files import printable
from loihi_unet.data.pictures import Picture, fingerprint
from loihi_unet.data.sequence import Facts, sizes
from loihi_unet.data.white_level import records
from loihi_unet.errors import DataError
from loihi_unet.networks.operations import macs_per_pixel
from loihi_unet.runs.evaluate_job import NetworkFiles, ScoreJob, load, score
from loihi_unet.runs.frames import Conditions, entering_size
from loihi_unet.runs.hashes import hashes, size_note
from loihi_unet.runs.network_source import anywhere, load_network
from loihi_unet.tasks.judge import Found, Judge
from loihi_unet.tasks.metrics import mean_quality, quality
from sim.backend import Progress
from sim.sweeps.resources import Demand, demand, layers_bytes, share_machine
from sim.sweeps.sweep import sweep

#: Multiply-adds that pay for another worker of the backend torch: a minute of one core.
#: Starting one takes some 5 seconds of it: imports, and a trial of every shape.
WORTH_A_WORKER = 10**12


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """What to score, and how.

    Attributes
    ----------
    data : Path or None
        Test pictures; None for scikit-image's photographs (denoising only).
    task : str or None
        ``"denoise"``, ``"segment"``, ``"restore"`` or ``"classify"``; must be the
        network's. None takes that.
    sigma : float
        Gaussian noise in gray levels; for denoisers of it only.
    seed : int
        Decides the noise.
    backend : str
        Backend that runs the integer network.
    tile : int
        Longest side that is run in one piece.
    checkpoint : str or None
        The U-Net to score beside it.
    spiking : Path or None
        The float Spiking-UNet to score beside it.
    reading : Reading
        How files are understood.
    """

    data: Path | None = None
    task: str | None = None
    sigma: float = 25.0
    seed: int = 0
    backend: str = "torch"
    tile: int = 1024
    checkpoint: str | None = None
    spiking: Path | None = None
    reading: Reading = AS_STATED


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """A set that was scored.

    Attributes
    ----------
    row : dict[str, Any]
        What `report` returns.
    network : IntegerNetwork
        Of the file.
    config : TrainConfig
        Names task and data.
    files : NetworkFiles
        What was run.
    jobs : tuple of ScoreJob
        One for each picture.
    found : tuple of dict[str, Found]
        Scores of each picture, or counts of its classes, by network.
    facts : tuple of Facts
        Name and size of each picture.
    """

    row: dict[str, Any]
    network: IntegerNetwork
    config: TrainConfig
    files: NetworkFiles
    jobs: tuple[ScoreJob, ...]
    found: tuple[dict[str, Found], ...]
    facts: tuple[Facts, ...]

    @property
    def judge(self) -> Judge:
        """What scored them."""
        return self.jobs[0].judge

    @functools.cached_property
    def noisy(self) -> dict[str, float] | None:
        """Scores of the noisy pictures themselves; None but of denoisers."""
        if not isinstance(self.config.task, DenoiseConfig):
            return None
        values = [
            quality(picture.pixels, self.judge.shown(picture, index))
            for index, picture in ((job.index, job.picture) for job in self.jobs)
        ]
        return dict(mean_quality(values)._asdict())

    @property
    def note(self) -> str:
        """At which other sizes than its file's the network ran; empty if at none."""
        tile, multiple = self.files.tile, size_multiple(self.network)
        sides = [
            entering_size(fact.size, Conditions(), multiple, fact.name)
            for fact in self.facts
        ]
        return size_note(self.network, [(min(tile, h), min(tile, w)) for h, w in sides])


def report(path: Path, settings: EvaluateConfig, **how: Any) -> dict[str, Any]:
    """Score a network file.

    Parameters
    ----------
    path, settings, **how
        As in `evaluate_set`.

    Returns
    -------
    dict[str, Any]
        ``task, data, pictures, data_sha256, white_levels, sigma, T, N, bits, q,
        width, macs_per_pixel, seed, searched, finetuned, ann, snn, chip, backend,
        network_sha256, network_sha256_any_size, command``; of one's own set with
        classes also ``classes``, as `loihi_unet.tasks.judge.Judge.classes` of
        ``chip``; of camera noise also ``noise``. N is the largest of any layer,
        ``bits`` the mean over all compartments; each of ``ann``, ``snn`` and ``chip``
        holds the task's measures, or None.
    """
    return evaluate_set(path, settings, **how).row


def evaluate_set(
    path: Path,
    settings: EvaluateConfig,
    *,
    command: str,
    scheduler: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score a network file and keep what was found in each picture.

    The pictures are shared out among processes of this machine or of a cluster,
    which changes nothing in the integers' scores. Those in floating point may differ
    in their last digits with the number of threads.

    Parameters
    ----------
    path : Path
        netx file written by the exporter.
    settings : EvaluateConfig
        What to score, and how.
    command : str
        Goes into the row.
    scheduler, workers, progress
        As in `sim.sweeps.sweep.sweep`, but workers of the backend torch are no more
        than there is work for; the machines of a cluster must see the networks' files
        under the same paths.

    Returns
    -------
    Evaluation
        The row and what it was made from.

    Raises
    ------
    DataError
        If the pictures cannot be read or the network was trained for another task.
    NetworkError
        If the file holds no network.
    SweepError
        If a picture cannot be run, or workers keep dying.
    """
    network = load_network(path)
    config = _training(network, path)
    if settings.task not in (None, config.task.kind):
        raise DataError(
            f"{path}: a network for {config.task.kind}, asked for {settings.task}"
        )
    pictures = load_data(
        config.task,
        settings.data,
        config.model.in_channels,
        split="test",
        reading=settings.reading,
    )
    task = config.task
    gaussian = isinstance(task, DenoiseConfig) and task.gaussian
    sigma = settings.sigma if gaussian else None
    judge = Judge(task=task, sigma=settings.sigma, seed=settings.seed)
    files = _network_files(path, network, settings)
    if scheduler is None:
        load(files)  # what cannot be used is said before workers start
    jobs = {
        name: ScoreJob(files=files, pictures=pictures, index=index, judge=judge)
        for index, name in enumerate(pictures.names)
    }
    scored = sweep(
        score,
        jobs,
        scheduler=scheduler,
        workers=_worth(settings, network, config, pictures, workers),
        needs=_needs(network, pictures, settings),
        progress=progress,
    )
    measures = {
        name: judge.measures([item[name] for item in scored.values()])
        for name in next(iter(scored.values()))
    }
    exported = network.provenance.get("export", {})
    classes = judge.classes([item["chip"] for item in scored.values()])
    row = {
        "task": task.kind if isinstance(task, DenoiseConfig) else set_name(task),
        "data": printable(settings.data.name) if settings.data else "scikit-image",
        "pictures": len(pictures),
        "data_sha256": fingerprint(pictures),
        "white_levels": records(pictures.levels),
        "sigma": sigma,
        "T": network.num_steps,
        **thresholds(network),
        "q": exported.get("base_threshold"),
        "width": config.model.base_channels,
        "macs_per_pixel": macs_per_pixel(config.model),
        "seed": settings.seed,
        "searched": bool(network.provenance.get("search")),
        "finetuned": "finetune" in network.provenance,
        "ann": measures.get("ann"),
        "snn": measures.get("snn"),
        "chip": measures["chip"],
        "backend": settings.backend,
        **_more(task, classes),
        **hashes(network),
        "command": command,
    }
    return Evaluation(
        row=row,
        network=network,
        config=config,
        files=files,
        jobs=tuple(jobs.values()),
        found=tuple(scored.values()),
        facts=tuple(pictures.facts),
    )


def _more(task: TaskConfig, classes: dict[str, Any] | None) -> dict[str, Any]:
    """What rows of one's own set, or of camera noise, have besides."""
    if isinstance(task, DenoiseConfig):
        noise = {"gain": task.gain, "read_noise": task.read_noise}
        return {} if task.gaussian else {"noise": noise}
    has_folders = task.dataset == "folders" and classes is not None
    return {"classes": classes} if has_folders else {}


def thresholds(network: IntegerNetwork) -> dict[str, float | None]:
    """Return N of the layer that has most, and ``bits``, its mean over compartments."""
    numbers = [
        (layer.compartment.num_thresholds, math.prod(layer.shape))
        for layer in network.layers
        if isinstance(layer.compartment, MTIF)
    ]
    compartments = sum(size for _, size in numbers)
    if not numbers:  # stock neurons, which have none
        return {"N": None, "bits": None}
    return {
        "N": max(n for n, _ in numbers),
        "bits": round(sum(n * size for n, size in numbers) / compartments, 2),
    }


def _training(network: IntegerNetwork, path: Path) -> TrainConfig:
    if "module" in network.provenance:
        raise DataError(
            f"{path}: nobody knows what the output of this network means, so there is "
            "no score; evaluate --checkpoint FILE.py:FUNCTION tells how close it comes "
            "to the float network"
        )
    if "train" not in network.provenance:
        raise DataError(
            f"{path}: provenance without 'train', the settings that name task and data"
        )
    table = network.provenance["train"]
    return parse_config(table, where=f"{path}: provenance")


def _network_files(
    path: Path, network: IntegerNetwork, settings: EvaluateConfig
) -> NetworkFiles:
    """What workers load: they may stand in another folder."""
    checkpoint = settings.checkpoint
    if checkpoint is not None and Path(checkpoint).exists():
        checkpoint = str(Path(checkpoint).resolve())
    return NetworkFiles(
        network=anywhere(path),
        sha256=network.sha256,
        backend=settings.backend,
        tile=settings.tile,
        checkpoint=checkpoint,
        spiking=anywhere(settings.spiking) if settings.spiking else None,
        sweep=uuid.uuid4().hex,
    )


def _worth(
    settings: EvaluateConfig,
    network: IntegerNetwork,
    config: TrainConfig,
    pictures: Sequence[Picture],
    workers: int | None,
) -> int | None:
    """How many workers are worth starting; None: as many as the machine takes."""
    if settings.backend != "torch":
        return workers  # all others are so slow that it does not matter
    passes = network.num_steps * (1 if settings.spiking is None else 2)
    passes += settings.checkpoint is not None
    pixels = sum(math.prod(size) for size in sizes(pictures))
    macs = passes * pixels * macs_per_pixel(config.model)
    worth = max(1, int(macs / WORTH_A_WORKER))
    most, _ = share_machine(_needs(network, pictures, settings), len(pictures), workers)
    return min(most, worth)


def _needs(
    network: IntegerNetwork, pictures: Sequence[Picture], settings: EvaluateConfig
) -> Demand:
    """What the largest picture needs."""
    known = sizes(pictures)

    def at(side: float) -> IntegerNetwork:
        """Resize the network to the largest picture, no side longer than ``side``."""
        longest = (min(side, max(size[axis] for size in known)) for axis in (0, 1))
        multiple = size_multiple(network)
        return network.resized(
            *(int(s + -s % m) for s, m in zip(longest, multiple, strict=True))
        )

    needs = demand(at(settings.tile), settings.backend, record=False)
    if settings.spiking is None:
        return needs
    # In floating point all steps of a layer are there at once, of the whole picture.
    floats = layers_bytes(at(math.inf), payload=4, block=sys.maxsize)
    return replace(needs, memory=needs.memory + floats)
