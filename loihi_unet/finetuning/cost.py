# SPDX-License-Identifier: BSD-3-Clause
"""What a network costs on the chip, counted on crops: messages, operations, cores."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from export.compartment import MTIF
from export.fit import fit
from export.lowering import lower
from export.synapse import AveragePool
from loihi_unet.seeds import Purpose
from loihi_unet.spiking.spiking_unet import SpikingUNet
from loihi_unet.tasks.make import Task
from sim.backend import create
from sim.statistics import activity


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one network, on the first validation-free crops of a task.

    Attributes
    ----------
    channels : int
        Feature maps of all spiking layers.
    events : float
        Messages per neuron and picture.
    operations : float
        Effective synaptic operations (NeuroBench) per pixel and picture.
    bytes : int
        Weights, thresholds and biases: 1, 4 and 2 bytes each.
    cores : int or None
        Of Loihi 2, for pictures of the crops' size; None if it does not fit.
    """

    channels: int
    events: float
    operations: float
    bytes: int
    cores: int | None


def cost(snn: SpikingUNet, task: Task) -> Cost:
    """Count what a network sends on a batch of crops.

    Parameters
    ----------
    snn : SpikingUNet
        The network.
    task : Task
        Gives the crops.

    Returns
    -------
    Cost
        Exact counts of the torch backend, divided.
    """
    x, _ = task.batch(0, Purpose.CALIBRATION)
    x = snn.frame.completed(x, snn.in_channels)
    images = np.rint(x.numpy() * 255).astype(np.int32)
    network = lower(snn, *images.shape[2:])
    recording = create("torch").run(network, images)
    counts = activity(network, recording)
    spiking = [layer for layer in network.layers if layer.magnitude]
    neurons = sum(math.prod(layer.shape) for layer in spiking)
    messages = sum(
        layer.messages for layer in counts.layers if layer.name != network.input.name
    )
    pixels = images.shape[0] * images.shape[2] * images.shape[3]
    stored = sum(
        c.synapse.weight.size
        for layer in network.layers
        for c in layer.connections
        if not isinstance(c.synapse, AveragePool)
    )
    thetas: int = sum(
        layer.compartment.vth_mant.size
        for layer in spiking
        if isinstance(layer.compartment, MTIF)
    )
    biases = sum(layer.shape[0] for layer in network.layers)
    return Cost(
        channels=sum(layer.shape[0] for layer in spiking),
        events=messages / (neurons * len(images)),
        operations=sum(link.effective for link in counts.links) / pixels,
        bytes=stored + 4 * thetas + 2 * biases,
        cores=fit(network, chip="loihi2").cores,
    )
