# SPDX-License-Identifier: BSD-3-Clause
"""Score a sigma-delta network over a sequence, frame by frame, and what each costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from export.images import size_multiple
from export.netx import write_network
from export.stock_network import StockNetwork
from loihi_unet.config import DenoiseConfig, parse_config
from loihi_unet.data.crops import pad_to_multiple
from loihi_unet.data.datasets import load_data
from loihi_unet.data.pictures import Picture
from loihi_unet.errors import DataError
from loihi_unet.runs.evaluate_set import EvaluateConfig
from loihi_unet.runs.hashes import hashes
from loihi_unet.runs.network_source import load_network
from loihi_unet.runs.video import Video, run_video, video_network
from loihi_unet.sigma_delta.search import Found, Measured, search
from loihi_unet.sigma_delta.thresholds import usual_payloads, with_thresholds
from loihi_unet.tasks.judge import Judge
from sim.backend import Progress, Simulator, create

#: Frames that thresholds are searched on, from the first.
SEARCHED = 4


@dataclass(frozen=True, eq=False)
class Scored:
    """A sequence that was scored.

    Attributes
    ----------
    measures : dict of str to float
        Over all frames; the first is the quality that a budget is of.
    frames : list of dict
        Name, measures, events and synaptic operations of each.
    """

    measures: dict[str, float]
    frames: list[dict[str, Any]]

    @property
    def quality(self) -> float:
        """The first measure."""
        return next(iter(self.measures.values()))

    @property
    def later_operations(self) -> float:
        """Mean operations of a frame after the first."""
        later = [frame["operations"] for frame in self.frames[1:]]
        return float(np.mean(later)) if later else 0.0


class FrameSequence:
    """Frames of a data set, and who scores what a network makes of them.

    Parameters
    ----------
    network : StockNetwork
        Names the task.
    settings : EvaluateConfig
        Data, noise and machine.
    where : str
        Of the network, in errors.

    Raises
    ------
    DataError
        If frames cannot be read, or differ in size.
    """

    def __init__(
        self, network: StockNetwork, settings: EvaluateConfig, where: str
    ) -> None:
        if "train" not in network.provenance:
            raise DataError(f"{where}: nobody knows what its output means; no score")
        config = parse_config(network.provenance["train"], where=f"{where}: provenance")
        self.pictures: Sequence[Picture] = load_data(
            config.task,
            settings.data,
            config.model.in_channels,
            split="test",
            reading=settings.reading,
        )
        self.judge = Judge(task=config.task, sigma=settings.sigma, seed=settings.seed)
        gaussian = isinstance(config.task, DenoiseConfig) and config.task.gaussian
        self.sigma = settings.sigma if gaussian else None
        self.multiple = size_multiple(network)
        frames = [self.judge.shown(p, n) for n, p in enumerate(self.pictures)]
        sizes = sorted({frame.shape[1:] for frame in frames})
        if len(sizes) > 1:
            raise DataError(
                f"frames of {len(sizes)} sizes, {sizes[0]} to {sizes[-1]}; a video has "
                "one size"
            )
        self.levels: npt.NDArray[np.float32] = np.stack(
            [pad_to_multiple(frame, self.multiple) for frame in frames]
        )

    def score(self, video: Video) -> Scored:
        """Score every frame."""
        measured, rows = [], []
        counted = zip(video.events(), video.operations(), strict=True)
        for n, (picture, (events, operations)) in enumerate(
            zip(self.pictures[: video.frames], counted, strict=True)
        ):
            output = torch.from_numpy(video.outputs[n]).float()[None]
            one = self.judge.judge(
                given(output),
                picture,
                n,
                multiple=self.multiple,
            )
            measured.append(one)
            rows.append(
                {
                    "frame": picture.name,
                    **self.judge.measures([one]),
                    "events": int(events),
                    "operations": int(operations),
                }
            )
        return Scored(self.judge.measures(measured), rows)


def given(output: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """A network that has run already."""
    return lambda _: output


def evaluate_video(
    path: Path,
    settings: EvaluateConfig,
    *,
    command: str,
    budget: float | None = None,
    out: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Score a sequence, at the file's thresholds or at those that a budget allows.

    Parameters
    ----------
    path : Path
        netx file of a sigma-delta network.
    settings : EvaluateConfig
        As for `loihi_unet.runs.evaluate_set.evaluate_set`; the data set's pictures, in
        order, are the frames.
    command : str
        Goes into the row.
    budget : float, optional
        How much of the quality at threshold 0 may be lost (dB of a denoiser) on the
        first `SEARCHED` frames: `loihi_unet.sigma_delta.search.search` gives each
        layer its threshold.
    out : Path, optional
        Where to write the network with these.
    progress : callable, optional
        Called with (runs done, all runs).

    Returns
    -------
    dict[str, Any]
        ``measures``, ``frames``, ``thresholds`` (empty without a budget) and what names
         the network and the data.

    Raises
    ------
    DataError
        If frames cannot be read or the network is another one.
    """
    network = video_network(load_network(path), str(path))
    sequence = FrameSequence(network, settings, str(path))
    simulator = create(settings.backend)
    thresholds: dict[str, Any] = {}
    if budget is not None:
        searched = _searched(network, sequence, simulator, budget, progress)
        network, thresholds = searched.network, _said(searched)
    video = run_video(network, sequence.levels, simulator, progress=progress)
    scored = sequence.score(video)
    if out is not None:
        write_network(network, out)
    return {
        "data": settings.data.name if settings.data else "scikit-image",
        "sigma": sequence.sigma,
        "thresholds": thresholds,
        "measures": scored.measures,
        "operations_later": scored.later_operations,
        "frames": scored.frames,
        "backend": settings.backend,
        **hashes(network),
        "command": command,
    }


def _searched(
    network: StockNetwork,
    sequence: FrameSequence,
    simulator: Simulator,
    budget: float,
    progress: Progress | None,
) -> Found:
    """Thresholds that the first frames allow."""
    levels = sequence.levels[:SEARCHED]

    def measure(candidate: StockNetwork) -> Measured:
        scored = sequence.score(run_video(candidate, levels, simulator))
        return Measured(scored.quality, scored.later_operations)

    plain = plain_network(network)
    usual = usual_payloads(plain, first_frame(run_video(plain, levels[:1], simulator)))
    return search(plain, usual, budget, measure, progress or _quiet)


def plain_network(network: StockNetwork) -> StockNetwork:
    """The network with thresholds of 0 everywhere."""
    return with_thresholds(network, {layer.name: 0 for layer in network.layers[:-1]})


def _said(found: Found) -> dict[str, Any]:
    """What the search found, as JSON values."""
    return {
        "frames": SEARCHED,
        "common_share": found.common,
        "shares": dict(found.shares),
        "quality_at_zero": found.plain.quality,
        "quality": found.measured.quality,
        "operations_at_zero": found.plain.operations,
        "operations_common": found.at_common.operations,
        "operations": found.measured.operations,
    }


def _quiet(done: int, total: int) -> None:
    """Nobody wants to know."""


def first_frame(video: Video) -> dict[str, npt.NDArray[np.signedinteger[Any]]]:
    """What each layer sent of the first frame."""
    return {layer.name: video.sent(layer.name)[0] for layer in video.network.layers}
