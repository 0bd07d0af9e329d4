# SPDX-License-Identifier: BSD-3-Clause
"""What a network is trained to do: batches, loss and validation.

The loop in `loihi_unet.training.train` knows a task only through `Task`.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from typing_extensions import assert_never

from loihi_unet.config import (
    ClassifyConfig,
    DenoiseConfig,
    RestoreConfig,
    SegmentConfig,
    TrainConfig,
)
from loihi_unet.data.pictures import Picture
from loihi_unet.seeds import Purpose
from loihi_unet.tasks.classify_task import ClassifyTask
from loihi_unet.tasks.crop_task import CropTask
from loihi_unet.tasks.denoise import Network
from loihi_unet.tasks.denoise_task import DenoiseTask
from loihi_unet.tasks.restore_task import RestoreTask
from loihi_unet.tasks.segment_task import SegmentTask
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
) -> CropTask:
    """Return the task that a configuration names, over these pictures."""
    match config.task:
        case DenoiseConfig():
            return DenoiseTask(config, train, validation)
        case SegmentConfig():
            return SegmentTask(config, train, validation)
        case RestoreConfig():
            return RestoreTask(config, train, validation)
        case ClassifyConfig():
            return ClassifyTask(config, train, validation)
        case _:
            assert_never(config.task)
