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

from export.images import completed, decode, size_multiple
from export.netx import write_network
from export.stock_network import StockNetwork
from loihi_unet.config import DenoiseConfig, parse_config
from loihi_unet.data.crops import pad_to_multiple
from loihi_unet.data.datasets import load_data
from loihi_unet.data.sequence import sizes
from loihi_unet.errors import DataError
from loihi_unet.runs.evaluate_set import EvaluateConfig
from loihi_unet.runs.frames_at_once import FramesAtOnce, Given
from loihi_unet.runs.hashes import hashes
from loihi_unet.runs.network_source import load_network
from loihi_unet.runs.video import PerFrame, network_at, steps_of, video_network
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
        self.pictures = load_data(
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
        found = sorted(set(sizes(self.pictures)))
        if len(found) > 1:
            raise DataError(
                f"frames of {len(found)} sizes, {found[0]} to {found[-1]}; a video has "
                "one size"
            )

    def __len__(self) -> int:
        return len(self.pictures)

    def frame(self, n: int) -> npt.NDArray[np.float32]:
        """Gray levels of a frame as it enters, (C, H, W), of a size that fits."""
        return pad_to_multiple(self.judge.shown(self.pictures[n], n), self.multiple)

    def levels(self, count: int) -> npt.NDArray[np.float32]:
        """Return the first frames, (count, C, H, W); fewer where there are fewer."""
        return np.stack([self.frame(n) for n in range(min(count, len(self)))])

    def judged(self, n: int, output: npt.NDArray[np.float64]) -> Any:
        """What `Judge.measures` adds up, of the output (C, H, W) of a frame."""
        network = given(torch.from_numpy(output).float()[None])
        return self.judge.judge(network, self.pictures[n], n, multiple=self.multiple)

    def scored(
        self, judged: Sequence[Any], events: Sequence[int], operations: Sequence[int]
    ) -> Scored:
        """Score the first frames, from what `judged` gave of each."""
        rows = [
            {
                "frame": self.pictures.names[n],
                **self.judge.measures([one]),
                "events": int(events[n]),
                "operations": int(operations[n]),
            }
            for n, one in enumerate(judged)
        ]
        return Scored(self.judge.measures(judged), rows)

    def score(self, found: Given) -> Scored:
        """Score the first frames, from what they gave."""
        judged = [self.judged(n, output) for n, output in enumerate(found.outputs)]
        return self.scored(judged, found.events.tolist(), found.operations.tolist())

    def stream(
        self, network: StockNetwork, simulator: Simulator, progress: Progress
    ) -> Scored:
        """Run all frames, one a step, and score each when its output is there.

        Memory does not grow with their number on a backend that runs step by step.
        """
        sized = network_at(network, self.frame(0).shape[1:], len(self))
        entering = (completed(sized, self.frame(n)) for n in range(len(self)))
        counted, judged = PerFrame(sized, len(self)), []
        last = sized.output.name
        for part in steps_of(sized, entering, simulator, None):
            [t] = part.steps
            sent = {name: values[0, 0] for name, values in part.payloads.items()}
            counted.add(t, sent)
            if (n := t + 1 - sized.arrivals[last]) >= 0:
                judged.append(self.judged(n, decode(sized, sent[last])))
            progress(t + 1, sized.num_steps)
        events, operations = counted.events.tolist(), counted.operations.tolist()
        return self.scored(judged, events, operations)


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
        searched = _searched(network, sequence, budget, progress or _quiet)
        network, thresholds = searched.network, _said(searched)
    scored = sequence.stream(network, simulator, progress or _quiet)
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
    budget: float,
    progress: Progress,
) -> Found:
    """Thresholds that the first frames allow."""
    plain = plain_network(network)
    frames = FramesAtOnce(plain, sequence.levels(SEARCHED))

    def measure(candidate: StockNetwork) -> Measured:
        scored = sequence.score(frames.run(candidate))
        return Measured(scored.quality, scored.later_operations)

    usual = usual_payloads(plain, frames.run(plain).first)
    return search(plain, usual, budget, measure, progress)


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
