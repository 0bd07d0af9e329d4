# SPDX-License-Identifier: BSD-3-Clause
"""Training to classify: batches and loss."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from loihi_unet.config import ClassifyConfig, TrainConfig
from loihi_unet.data.crops import check_sizes
from loihi_unet.data.pictures import Picture
from loihi_unet.seeds import Purpose
from loihi_unet.tasks.classify import class_of, logits_of
from loihi_unet.tasks.crop_task import CropTask, scaled
from loihi_unet.tasks.denoise import Network
from loihi_unet.tasks.weights import loss_weights


class ClassifyTask(CropTask):
    """Tell the class of pictures.

    Parameters
    ----------
    config : TrainConfig
        With a `ClassifyConfig` as its task.
    train, validation : sequence of Picture
        Pictures with classes.

    Raises
    ------
    DataError
        If a picture is smaller than a crop.
    """

    def __init__(
        self,
        config: TrainConfig,
        train: Sequence[Picture],
        validation: Sequence[Picture],
    ) -> None:
        assert isinstance(config.task, ClassifyConfig)
        check_sizes(train, config.patch_size)
        super().__init__(config, train, validation)
        self.task = config.task
        self.weights = loss_weights(
            self.task.folders.class_weights, train, self.task.classes
        )

    def batch(
        self, index: int, purpose: Purpose = Purpose.TRAINING
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return crops and the classes of their pictures.

        Parameters
        ----------
        index : int
            Iteration.
        purpose : Purpose
            Which of the seed's streams to draw from.

        Returns
        -------
        pixels : Tensor, shape (batch_size, C, patch_size, patch_size), float32
            Divided by 255.
        classes : Tensor, shape (batch_size,), int64
            Of the pictures.
        """
        turn = self.task.folders.crops == "turned"
        drawn = self.draw(index, purpose, turn=turn)
        size = self.config.patch_size
        x = scaled([crop.of(picture.pixels, size) for picture, crop in drawn])
        return x, torch.tensor([class_of(picture) for picture, _ in drawn])

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the mean cross entropy; classes weigh as the settings say."""
        logits = logits_of(output)
        weights = None if self.weights is None else self.weights.to(logits)
        return functional.cross_entropy(logits, target, weight=weights)

    def panel(
        self, network: Network, device: torch.device
    ) -> NDArray[np.floating[Any]]:
        """Return the first held-out picture."""
        return self.validation[0].pixels.astype(np.float32)
