# SPDX-License-Identifier: BSD-3-Clause
"""What a score is called, and what a network that does nothing would score."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import assert_never

from loihi_unet.config import (
    ClassifyConfig,
    DenoiseConfig,
    RestoreConfig,
    SegmentConfig,
)
from loihi_unet.tasks.crop_task import SCORES, CropTask
from loihi_unet.tasks.denoise import Network

#: Names of the scores for people, with their units.
NAMES = {
    "psnr": "PSNR, dB",
    "top1": "top-1, share",
    "f1_fov": "F1 in the field of view",
    "f1": "F1",
    "miou_fov": "mIoU in the field of view",
    "miou": "mIoU",
}


class Baseline(NamedTuple):
    """A score to begin from, on held-out pictures.

    Attributes
    ----------
    measure : str
        Name of the score for people, with its unit.
    what : str
        What does nothing.
    score : float
        Its score.
    """

    measure: str
    what: str
    score: float


def baseline(task: CropTask) -> Baseline:
    """Score held-out pictures by a network that does nothing.

    Parameters
    ----------
    task : CropTask
        With its pictures.
    """
    what, network = _idle(task)
    config = task.config
    measures = task.judge.score(
        network,
        task.validation,
        multiple=config.model.multiple,
        device=torch.device("cpu"),
    )
    name = next(name for name in SCORES if name in measures)
    return Baseline(NAMES[name], what, measures[name])


def _idle(task: CropTask) -> tuple[str, Network]:
    """What does nothing, in words and as a network."""
    config = task.config.task
    outputs = task.config.model.out_channels

    def zeros(x: Tensor) -> Tensor:
        return torch.zeros(len(x), outputs, *x.shape[2:])

    match config:
        case DenoiseConfig():
            return "the noisy input itself", lambda x: x
        case RestoreConfig():
            scale = config.scale
            return (
                "the input itself" + (f", enlarged {scale} times" if scale > 1 else ""),
                lambda x: x.repeat_interleave(scale**2, dim=1),
            )
        case SegmentConfig():
            return "class 0 everywhere", zeros
        case ClassifyConfig():
            return "class 0 always", zeros
        case _:
            assert_never(config)
