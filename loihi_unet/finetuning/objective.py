# SPDX-License-Identifier: BSD-3-Clause
"""What fine-tuning works towards: the task of the training, or a teacher's output."""

from dataclasses import replace
from pathlib import Path

import torch

from loihi_unet.config import TrainConfig, parse_config
from loihi_unet.data.datasets import Reading, load_training
from loihi_unet.data.pictures import load_pictures
from loihi_unet.data.sequence import Pictures
from loihi_unet.errors import ConversionError
from loihi_unet.finetuning.config import FinetuneConfig
from loihi_unet.finetuning.imitation import imitation, module_teacher
from loihi_unet.finetuning.teacher import Teacher, checkpoint_teacher
from loihi_unet.frontend.module.source import is_module
from loihi_unet.spiking.spiking_unet import SpikingUNet
from loihi_unet.tasks.make import Task, make_task


def load_teacher(source: str, snn: SpikingUNet, device: torch.device) -> Teacher:
    """Return a teacher for a network.

    Parameters
    ----------
    source : str
        ``FILE.py:FUNCTION``, or as in
        `loihi_unet.files.checkpoint.find_checkpoint`.
    snn, device
        As in `loihi_unet.finetuning.teacher.checkpoint_teacher`.

    Raises
    ------
    UserError
        If it cannot be had, or does not fit the network.
    """
    if is_module(source):
        return torch.no_grad()(module_teacher(source, snn.provenance).to(device))
    return checkpoint_teacher(source, snn, device)


def find_task(
    snn: SpikingUNet,
    settings: FinetuneConfig,
    data: Path | None,
    teacher: Teacher | None,
    reading: Reading,
    *,
    where: str,
) -> tuple[Task, Pictures]:
    """What the network was trained for; where nobody knows, to be like its teacher."""
    if "train" not in snn.provenance and "module" in snn.provenance:
        if teacher is None:
            raise ConversionError(
                f"{where}: nobody knows what this network was trained for; "
                "--teacher FILE.py:FUNCTION makes it come close to a float network"
            )
        pictures = load_pictures(data, snn.picture_channels, reading.white_level)
        task = imitation(
            snn,
            pictures,
            teacher,
            patch_size=settings.patch_size,
            batch_size=settings.batch_size,
            seed=settings.seed,
        )
        return task, pictures
    config = training_config(snn, where=where).model_copy(
        update={
            "batch_size": settings.batch_size,
            "patch_size": settings.patch_size,
            "seed": settings.seed,
        }
    )
    config = parse_config(config.model_dump(), where="fine-tuning")
    white = reading.white_level or config.white_level
    reading = replace(reading, white_level=white)
    known, train_part, validation = load_training(config, data, reading)
    return make_task(config, train_part, validation), known


def training_config(snn: SpikingUNet, *, where: str) -> TrainConfig:
    """Return the settings a Spiking-UNet's U-Net was trained with.

    Parameters
    ----------
    snn : SpikingUNet
        The network.
    where : str
        Named in errors.

    Returns
    -------
    TrainConfig
        From its provenance.

    Raises
    ------
    ConversionError
        If the provenance does not hold them.
    """
    if "train" not in snn.provenance:
        raise ConversionError(f"{where}: provenance without 'train', its settings")
    return parse_config(snn.provenance["train"], where=f"{where}: provenance")
