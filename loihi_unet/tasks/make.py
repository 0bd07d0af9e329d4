# SPDX-License-Identifier: BSD-3-Clause
"""What a network is trained to do: batches, loss and validation.

The loop in `loihi_unet.training.train` knows a task only through `Task`.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch.nn import functional

from loihi_unet.config import DenoiseConfig, TrainConfig
from loihi_unet.data.crops import (
    add_camera_noise,
    add_noise,
    check_sizes,
    random_crops,
)
from loihi_unet.data.pictures import Picture
from loihi_unet.seeds import Purpose, generator
from loihi_unet.tasks.classify import ClassifyTask
from loihi_unet.tasks.denoise import Network, evaluate, restore, with_noise
from loihi_unet.tasks.noise import noise_of
from loihi_unet.tasks.restore import RestoreTask
from loihi_unet.tasks.segment import SegmentTask
from loihi_unet.tasks.task import Validation


class Task(Protocol):
    """What the training loop asks of a task."""

    def batch(
        self, index: int, purpose: Purpose = Purpose.TRAINING
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return input and target of an iteration, a pure function of the two."""

    def loss(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the scalar to be made small."""

    def validate(self, network: Network, device: torch.device) -> Validation:
        """Score the network on held-out pictures."""


def make_task(
    config: TrainConfig, train: Sequence[Picture], validation: Sequence[Picture]
) -> Task:
    """Return the task that a configuration names, over these pictures."""
    kinds: dict[str, Callable[..., Task]] = {
        "denoise": DenoiseTask,
        "segment": SegmentTask,
        "restore": RestoreTask,
        "classify": ClassifyTask,
    }
    return kinds[config.task.kind](config, train, validation)


class DenoiseTask:
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
        self.config = config
        self.task = config.task
        self.train = train
        self.validation = validation

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
        random = generator(config.seed, purpose, index)
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
        if self.config.loss == "l1":
            return functional.l1_loss(output, target)
        return functional.mse_loss(output, target)

    def validate(self, network: Network, device: torch.device) -> Validation:
        """Score held-out pictures at the middle of the noise range.

        Parameters
        ----------
        network : Network
            The U-Net.
        device : torch.device
            Where it is.

        Returns
        -------
        Validation
            The score is the mean PSNR in dB.
        """
        config, task = self.config, self.task
        noise = noise_of(task, (task.sigma_min + task.sigma_max) / 2)
        multiple = config.model.multiple
        seed = config.seed
        scores = evaluate(
            network,
            self.validation,
            sigma=noise,
            seed=seed,
            multiple=multiple,
            device=device,
        )
        first = self.validation[0]
        noisy = with_noise(first, 0, noise, seed)
        output = restore(network, noisy, multiple=multiple, device=device)
        panel = np.concatenate([noisy, output, first.pixels], axis=2)
        return Validation(
            score=scores.psnr,
            measures={"psnr": scores.psnr, "ssim": scores.ssim},
            panel=torch.from_numpy(np.clip(panel / 255, 0, 1)),
        )
