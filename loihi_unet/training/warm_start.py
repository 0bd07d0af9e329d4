# SPDX-License-Identifier: BSD-3-Clause
"""Weights to begin a training run with: those of a network that is trained already."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from loihi_unet.config import TrainConfig
from loihi_unet.conversion.calibrate import calibrate
from loihi_unet.conversion.normalise import normalised, spiking_unet
from loihi_unet.data.pictures import Picture
from loihi_unet.errors import CheckpointError
from loihi_unet.files.checkpoint import load_checkpoint, weights_sha256
from loihi_unet.networks.config import NeuronConfig
from loihi_unet.networks.surrogate import FULL_SCALE


class Initial(NamedTuple):
    """What a run begins with.

    Attributes
    ----------
    weights : dict[str, Tensor]
        As `loihi_unet.networks.net.Net.tensors`, or part of it.
    sha256 : str
        `weights_sha256` of the network they are from.
    """

    weights: dict[str, torch.Tensor]
    sha256: str


def initial_weights(
    config: TrainConfig, source: str | Path, pictures: Sequence[Picture]
) -> Initial:
    """Return the weights of a trained network for a run of other settings.

    Where spiking neurons take the place of ReLUs, weights are normalised connection by
    connection (eq. 8 of arXiv 2307.10974, 99.9th percentile), so that activations lie
    in the neurons' range. Batch normalisation sees to that where there is one.

    Parameters
    ----------
    config : TrainConfig
        The run's settings.
    source : str or Path
        As in `loihi_unet.files.checkpoint.find_checkpoint`.
    pictures : sequence of Picture
        The run's; scales are measured on crops of them.

    Returns
    -------
    Initial
        Weights and where they are from.

    Raises
    ------
    CheckpointError
        If there is no such network, or it is of another shape.
    """
    model, theirs = load_checkpoint(source)
    if model.config != config.model:
        raise CheckpointError(
            f"{source}: a network of {model.config}; the settings ask for "
            f"{config.model}"
        )
    weights = model.tensors()
    spikes = theirs.neuron.kind == "relu" and config.neuron.kind != "relu"
    if spikes and not config.model.batch_norm:
        relu = config.model_copy(update={"neuron": NeuronConfig()})
        calibration = calibrate(model, relu, pictures)
        # The largest activations become the most that a neuron sends in a step.
        full = FULL_SCALE.get(config.neuron.kind, 1.0)
        scales = {name: scale / full for name, scale in calibration.scales.items()}
        snn = spiking_unet(model, calibration.model_copy(update={"scales": scales}))
        weights = normalised(model, snn)
    return Initial(weights, weights_sha256(model))
