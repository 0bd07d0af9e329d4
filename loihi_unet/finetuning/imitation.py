# SPDX-License-Identifier: BSD-3-Clause
"""Fine-tuning without labels: a network comes close to its own float outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from loihi_unet.data.crops import random_crops
from loihi_unet.data.pictures import Picture
from loihi_unet.errors import ConversionError, DataError
from loihi_unet.finetuning.teacher import Teacher, distance
from loihi_unet.frontend.module.read import Preparation, Prepared
from loihi_unet.frontend.module.source import load_module
from loihi_unet.seeds import Purpose, generator
from loihi_unet.spiking.spiking_unet import SpikingUNet
from loihi_unet.tasks.task import Validation
from loihi_unet.training.parallel import best_device

#: Held-out crops that iterations are scored on.
HELD_OUT = 8


def module_teacher(source: str, provenance: Mapping[str, Any]) -> nn.Module:
    """Return somebody's network, from pixels divided by 255 to its output.

    Parameters
    ----------
    source : str
        ``FILE.py:FUNCTION``; the file is run.
    provenance : Mapping[str, Any]
        Of what was converted from it: says what the network expects of a pixel.

    Raises
    ------
    ConversionError
        If it cannot be had.
    """
    settings = provenance.get("preparation") or asdict(Preparation())
    preparation = Preparation(
        scale=float(settings["scale"]),
        mean=tuple(settings["mean"]),
        std=tuple(settings["std"]),
        constant=settings["constant"],
    )
    return Prepared(load_module(source).float(), preparation).eval()


class ImitationTask:
    """Come close to a teacher's output on crops of pictures.

    Parameters
    ----------
    teacher : Teacher
        From input to what is wanted.
    pictures : sequence of Picture
        Where crops come from; every eighth, and at least one, is held out.
    size : tuple of int
        (H, W) of a crop.
    batch_size, seed : int
        Crops per step, and what decides them.
    """

    def __init__(
        self,
        teacher: Teacher,
        pictures: Sequence[Picture],
        size: tuple[int, int],
        *,
        batch_size: int,
        seed: int,
    ) -> None:
        large = [p for p in pictures if min(p.pixels.shape[1:]) >= max(size)]
        if len(large) < 2:
            raise DataError(
                f"{len(large)} pictures of at least {max(size)} pixels a side: two "
                "needed, one of them is held out"
            )
        self.teacher = teacher
        self.held_out, self.pictures = (
            large[::8],
            [p for n, p in enumerate(large) if n % 8],
        )
        self.size = size
        self.batch_size = batch_size
        self.seed = seed

    def _crops(self, pictures: Sequence[Picture], count: int, index: int) -> Tensor:
        random = generator(self.seed, Purpose.FINETUNING, index)
        levels = random_crops(pictures, count, max(self.size), random)
        height, width = self.size
        return torch.from_numpy(levels[:, :, :height, :width]).float() / 255

    def batch(
        self, index: int, purpose: Purpose = Purpose.FINETUNING
    ) -> tuple[Tensor, Tensor]:
        """Return crops and what the teacher makes of them."""
        x = self._crops(self.pictures, self.batch_size, index)
        with torch.no_grad():
            return x, self._wanted(x)

    def _wanted(self, x: Tensor) -> Tensor:
        return self.teacher(x.to(best_device())).cpu()

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the root of the mean squared difference."""
        return distance(output.reshape(target.shape), target)

    def validate(
        self, network: Callable[[Tensor], Tensor], device: torch.device
    ) -> Validation:
        """Score held-out crops: dB of the output's range over the error."""
        x = self._crops(self.held_out, HELD_OUT, 0)
        with torch.no_grad():
            wanted = self._wanted(x)
            output = network(x.to(device)).cpu().reshape(wanted.shape)
        error = float((output - wanted).square().mean().sqrt())
        span = float(wanted.max() - wanted.min())
        score = 20 * math.log10((span or 1.0) / max(error, 1e-12))
        return Validation(
            score=score,
            measures={"error": error, "decibels": score},
            panel=x[0, :1].clamp(0, 1),
        )


def imitation(
    snn: SpikingUNet,
    pictures: Sequence[Picture],
    teacher: Teacher,
    *,
    patch_size: int,
    batch_size: int,
    seed: int,
) -> ImitationTask:
    """Return the task of a network whose training nobody knows.

    Parameters
    ----------
    snn : SpikingUNet
        The network.
    pictures : sequence of Picture
        Where crops come from.
    teacher : Teacher
        What to come close to.
    patch_size, batch_size, seed : int
        As in `loihi_unet.finetuning.config.FinetuneConfig`.

    Returns
    -------
    ImitationTask
        Over these pictures.

    Raises
    ------
    ConversionError
        If the crop's size does not fit the network.
    """
    size = snn.example_size if snn.frame.fixed else (patch_size, patch_size)
    if any(side % snn.multiple for side in size):
        raise ConversionError(
            f"patch_size {patch_size}: multiples of {snn.multiple} are allowed"
        )
    return ImitationTask(teacher, pictures, size, batch_size=batch_size, seed=seed)
