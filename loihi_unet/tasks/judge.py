# SPDX-License-Identifier: BSD-3-Clause
"""How a network is scored over the pictures of a task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import assert_never

from loihi_unet.config import (
    ClassifyConfig,
    DenoiseConfig,
    RestoreConfig,
    SegmentConfig,
    TaskConfig,
)
from loihi_unet.data.pictures import Picture
from loihi_unet.tasks.classify import find_class, one_counted, top1
from loihi_unet.tasks.confusion import Confusion, class_table
from loihi_unet.tasks.denoise import Network, score_picture, with_noise
from loihi_unet.tasks.metrics import Quality, mean_quality, quality
from loihi_unet.tasks.noise import noise_of
from loihi_unet.tasks.restore import restored, target_of
from loihi_unet.tasks.segment import counted, find_classes, scores_of, summed

#: What is kept of one picture: its quality, or counts of classes by part.
Found = Quality | dict[str, Confusion]


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Scores pictures of a task.

    Attributes
    ----------
    task : TaskConfig
        What a network is for.
    sigma : float
        Of Gaussian noise in gray levels; for denoisers of it alone.
    seed : int
        Decides the noise.
    """

    task: TaskConfig
    sigma: float = 25.0
    seed: int = 0

    def shown(self, picture: Picture, index: int) -> NDArray[np.float32]:
        """Return what a network is shown of the picture at a place of the set."""
        if isinstance(self.task, DenoiseConfig):
            noise = noise_of(self.task, self.sigma)
            return with_noise(picture, index, noise, self.seed)
        return picture.pixels.astype(np.float32)

    def judge(
        self,
        network: Network,
        picture: Picture,
        index: int,
        *,
        multiple: int | tuple[int, int],
        device: torch.device | None = None,
    ) -> Found:
        """Run a network on one picture.

        Parameters
        ----------
        network : Network
            As in `loihi_unet.tasks.denoise.restore`.
        picture : Picture
            With what belongs to it.
        index : int
            Its place in the set, which decides its noise.
        multiple : int or tuple of int
            That of the network.
        device : torch.device, optional
            Where the network is; the CPU if None.

        Returns
        -------
        Quality or dict[str, Confusion]
            What `measures` adds up.
        """
        task = self.task
        match task:
            case DenoiseConfig():
                return score_picture(
                    network,
                    picture,
                    index,
                    sigma=noise_of(task, self.sigma),
                    seed=self.seed,
                    multiple=multiple,
                    device=device,
                )
            case SegmentConfig():
                classes = find_classes(
                    network, picture, multiple=multiple, device=device
                )
                return counted(classes, picture, task)
            case RestoreConfig():
                output = restored(
                    network, picture, task, multiple=multiple, device=device
                )
                return quality(target_of(picture), output)
            case ClassifyConfig():
                answer = find_class(network, picture, multiple=multiple, device=device)
                return one_counted(answer, picture, task)
            case _:
                assert_never(task)

    def score(
        self,
        network: Network,
        pictures: Sequence[Picture],
        *,
        multiple: int | tuple[int, int],
        device: torch.device | None = None,
    ) -> dict[str, float]:
        """Return a network's scores over pictures; parameters as of `judge`."""
        judged = [
            self.judge(network, picture, index, multiple=multiple, device=device)
            for index, picture in enumerate(pictures)
        ]
        return self.measures(judged)

    def measures(self, judged: Sequence[Any]) -> dict[str, float]:
        """Return a set's scores, from what `judge` gave of each picture."""
        match self.task:
            case SegmentConfig():
                return scores_of(judged, self.task)
            case ClassifyConfig():
                return top1(judged)
            case DenoiseConfig() | RestoreConfig():
                return dict(mean_quality(list(judged))._asdict())
            case _:
                assert_never(self.task)

    def classes(self, judged: Sequence[Any]) -> dict[str, Any] | None:
        """Return what can be said of each class, where the task has classes.

        Parameters
        ----------
        judged : sequence
            From `judge`, one for each picture.

        Returns
        -------
        dict[str, Any] or None
            ``names``; ``table``: `loihi_unet.tasks.confusion.class_table`;
            ``confusion``: counts, true class by row, found by column.
        """
        if not isinstance(self.task, SegmentConfig | ClassifyConfig):
            return None
        counts, names = summed(judged)["all"], self.task.settings.names
        return {
            "names": names,
            "table": class_table(counts, names),
            "confusion": counts.tolist(),
        }
