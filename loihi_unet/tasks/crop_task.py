# SPDX-License-Identifier: BSD-3-Clause
"""What training for every task has in common: crops to learn from, and a score."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from loihi_unet.config import TrainConfig
from loihi_unet.data.crops import Crop, draw_crops
from loihi_unet.data.pictures import Picture
from loihi_unet.seeds import Purpose, generator
from loihi_unet.tasks.denoise import Network
from loihi_unet.tasks.judge import Judge
from loihi_unet.tasks.task import Validation

#: What decides which checkpoint is the best: the first of these that a task measures.
SCORES = ("psnr", "top1", "f1_fov", "f1", "miou_fov", "miou")


class CropTask(ABC):
    """Learns from crops of pictures, and is scored on whole ones.

    Parameters
    ----------
    config : TrainConfig
        Of the run.
    train, validation : sequence of Picture
        Pictures to cut crops from, and pictures to score.
    """

    def __init__(
        self,
        config: TrainConfig,
        train: Sequence[Picture],
        validation: Sequence[Picture],
    ) -> None:
        self.config = config
        self.train = train
        self.validation = validation
        self.judge = Judge(task=config.task, sigma=self.sigma, seed=config.seed)

    @property
    def sigma(self) -> float:
        """Of the noise that held-out pictures are shown with, in gray levels."""
        return 0.0

    @abstractmethod
    def batch(
        self, index: int, purpose: Purpose = Purpose.TRAINING
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return input and target of an iteration, a pure function of the two."""

    @abstractmethod
    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the scalar to be made small."""

    @abstractmethod
    def panel(
        self, network: Network, device: torch.device
    ) -> NDArray[np.floating[Any]]:
        """Return the first held-out picture to look at, (C, H, W), gray levels."""

    def validate(self, network: Network, device: torch.device) -> Validation:
        """Score held-out pictures.

        Parameters
        ----------
        network : Network
            To be scored.
        device : torch.device
            Where it is.

        Returns
        -------
        Validation
            The score is the first of `SCORES` that there is.
        """
        multiple = self.config.model.multiple
        measures = self.judge.score(
            network, self.validation, multiple=multiple, device=device
        )
        panel = np.clip(self.panel(network, device) / np.float32(255), 0, 1)
        return Validation(
            score=measures[next(name for name in SCORES if name in measures)],
            measures=measures,
            panel=torch.from_numpy(panel.astype(np.float32)),
        )

    def random(self, index: int, purpose: Purpose) -> np.random.Generator:
        """Return an iteration's random numbers."""
        return generator(self.config.seed, purpose, index)

    def draw(
        self, index: int, purpose: Purpose, *, turn: bool
    ) -> list[tuple[Picture, Crop]]:
        """Return an iteration's crops, each with the picture it is cut from."""
        config = self.config
        crops = draw_crops(
            self.train,
            config.batch_size,
            config.patch_size,
            self.random(index, purpose),
            turn=turn,
        )
        return [(self.train[crop.place], crop) for crop in crops]

    def difference(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the mean absolute or mean squared error, as configured."""
        if self.config.loss == "l1":
            return functional.l1_loss(output, target)
        return functional.mse_loss(output, target)


def scaled(crops: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
    """Return crops of pixels as a batch divided by 255, float32."""
    return torch.from_numpy(np.stack(crops) / np.float32(255))
