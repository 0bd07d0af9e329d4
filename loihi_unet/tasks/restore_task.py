# SPDX-License-Identifier: BSD-3-Clause
"""Training to restore: batches and loss of pairs of pictures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from loihi_unet.config import RestoreConfig, TrainConfig
from loihi_unet.data.crops import check_sizes
from loihi_unet.data.pictures import Picture
from loihi_unet.seeds import Purpose
from loihi_unet.tasks.crop_task import CropTask, scaled
from loihi_unet.tasks.denoise import Network
from loihi_unet.tasks.restore import restored, shuffled, target_of


class RestoreTask(CropTask):
    """Make of crops of pictures the same crops of their targets.

    Parameters
    ----------
    config : TrainConfig
        With a `RestoreConfig` as its task.
    train, validation : sequence of Picture
        Pictures with targets.

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
        assert isinstance(config.task, RestoreConfig)
        check_sizes(train, config.patch_size)
        super().__init__(config, train, validation)
        self.task = config.task

    def batch(
        self, index: int, purpose: Purpose = Purpose.TRAINING
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return crops of inputs and of targets.

        Parameters
        ----------
        index : int
            Iteration.
        purpose : Purpose
            Which of the seed's streams to draw from.

        Returns
        -------
        inputs : Tensor, shape (batch_size, C, patch_size, patch_size), float32
            Pixels divided by 255.
        targets : Tensor, of scale times the height and width
            The same.
        """
        drawn = self.draw(index, purpose, turn=self.task.folders.crops == "turned")
        size, scale = self.config.patch_size, self.task.scale
        return (
            scaled([crop.of(picture.pixels, size) for picture, crop in drawn]),
            scaled(
                [crop.of(target_of(picture), size, scale) for picture, crop in drawn]
            ),
        )

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the mean absolute or mean squared error, as configured."""
        output = shuffled(output, self.task.scale, self.task.channels)
        return self.difference(output, target)

    def panel(
        self, network: Network, device: torch.device
    ) -> NDArray[np.floating[Any]]:
        """Return input, output and target of the first held-out picture."""
        first, scale = self.validation[0], self.task.scale
        multiple = self.config.model.multiple
        output = restored(network, first, self.task, multiple=multiple, device=device)
        large = first.pixels.repeat(scale, axis=1).repeat(scale, axis=2)
        return np.concatenate([large, output, target_of(first)], axis=2)
