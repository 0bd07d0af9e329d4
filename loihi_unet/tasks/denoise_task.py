# SPDX-License-Identifier: BSD-3-Clause
"""Training to denoise: batches and loss."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from loihi_unet.config import DenoiseConfig, TrainConfig
from loihi_unet.data.crops import (
    add_camera_noise,
    add_noise,
    check_sizes,
    random_crops,
)
from loihi_unet.data.pictures import Picture
from loihi_unet.seeds import Purpose
from loihi_unet.tasks.crop_task import CropTask
from loihi_unet.tasks.denoise import Network, restore


class DenoiseTask(CropTask):
    """Restore crops of pictures from noise.

    Parameters
    ----------
    config : TrainConfig
        With a `DenoiseConfig` as its task.
    train, validation : sequence of Picture
        Pictures to cut crops from, and pictures to score.

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
        assert isinstance(config.task, DenoiseConfig)
        check_sizes(train, config.patch_size)
        self.task = config.task
        super().__init__(config, train, validation)

    def batch(
        self, index: int, purpose: Purpose = Purpose.TRAINING
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return noisy and clean crops.

        Parameters
        ----------
        index : int
            Iteration.
        purpose : Purpose
            Which of the seed's streams to draw from.

        Returns
        -------
        noisy, clean : Tensor, shape (batch_size, C, patch_size, patch_size), float32
            Pixels divided by 255.
        """
        config, task = self.config, self.task
        random = self.random(index, purpose)
        clean = random_crops(self.train, config.batch_size, config.patch_size, random)
        if task.gaussian:
            # Training noise is no secret.
            sigma = random.uniform(  # nosec B311
                task.sigma_min, task.sigma_max, size=(config.batch_size, 1, 1, 1)
            )
            noisy = add_noise(clean, sigma, random)
        else:
            noisy = add_camera_noise(clean, task.gain, task.read_noise, random)
        full = np.float32(255)
        return torch.from_numpy(noisy / full), torch.from_numpy(clean / full)

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the mean absolute or mean squared error, as configured."""
        return self.difference(output, target)

    @property
    def sigma(self) -> float:
        """The middle of the noise range: held-out pictures have so much."""
        return (self.task.sigma_min + self.task.sigma_max) / 2

    def panel(
        self, network: Network, device: torch.device
    ) -> NDArray[np.floating[Any]]:
        """Return input, output and clean picture of the first that is held out."""
        first = self.validation[0]
        noisy = self.judge.shown(first, 0)
        multiple = self.config.model.multiple
        output = restore(network, noisy, multiple=multiple, device=device)
        return np.concatenate([noisy, output, first.pixels], axis=2)
