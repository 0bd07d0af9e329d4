# SPDX-License-Identifier: BSD-3-Clause
"""Choose a threshold for each channel, layer by layer, on calibration crops.

Every layer is driven by what the layers before it really send, with their thresholds
settled; each channel then takes the threshold, and the lead, at which its mean over
the steps comes closest to the activation of the trained network. A search for one
channel costs no convolution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from export.facts import BIAS_MANT, STATE, WEIGHT_LEVEL
from export.units import PIXEL_MINIMUM, PIXEL_SCALE
from loihi_unet.config import TrainConfig
from loihi_unet.conversion.normalise import spiking_unet
from loihi_unet.conversion.sensitivity import share_out
from loihi_unet.conversion.trial import CROPS, PERCENTILE, Crops, Trial, largest
from loihi_unet.data.pictures import Picture, fingerprint
from loihi_unet.files.checkpoint import Calibration
from loihi_unet.networks.net import Net
from loihi_unet.networks.topology import INPUT
from loihi_unet.seeds import Purpose
from loihi_unet.spiking.graph import graph_of
from loihi_unet.spiking.run_float import current
from loihi_unet.spiking.spiking_unet import Layer, Scale, SpikingUNet
from loihi_unet.spiking.synapse import columns
from loihi_unet.tasks.make import make_task

#: Integer that stands for a threshold, at least.
LEAST_THETA = 16
#: A bias of a larger exponent would be coarse for the other channels.
LARGEST_BIAS_EXP = 4


def convert_channels(
    model: Net,
    config: TrainConfig,
    pictures: Sequence[Picture],
    *,
    num_steps: int,
    num_thresholds: int,
    fewer: bool = False,
    bits: float | None = None,
) -> SpikingUNet:
    """Convert a trained network with a threshold for each channel.

    Parameters
    ----------
    model, config, pictures, num_steps, num_thresholds
        As in `search_channels`.
    fewer, bits
        As in `loihi_unet.conversion.convert.convert`.

    Returns
    -------
    SpikingUNet
        Not settled.

    Raises
    ------
    ConversionError
        If not even one threshold each keeps to `bits`.
    """
    # A batch that no scale was measured on, while the generator has any.
    task = make_task(
        config.model_copy(update={"batch_size": CROPS}), train=pictures, validation=[]
    )
    x, _ = task.batch(2**20, Purpose.CALIBRATION)
    return convert_crops(
        Crops(graph_of(model), x),
        num_steps=num_steps,
        num_thresholds=num_thresholds,
        fewer=fewer,
        bits=bits,
        data_sha256=fingerprint(pictures),
        provenance={"train": config.model_dump(mode="json")},
    )


def convert_crops(
    crops: Crops,
    *,
    num_steps: int,
    num_thresholds: int,
    fewer: bool,
    bits: float | None,
    data_sha256: str,
    provenance: dict[str, Any],
) -> SpikingUNet:
    """Convert the network of some crops with a threshold for each channel.

    Parameters
    ----------
    crops : Crops
        The network, and what thresholds are chosen on.
    num_steps, num_thresholds, fewer, bits
        As in `convert_channels`.
    data_sha256 : str
        Of the pictures.
    provenance : dict[str, Any]
        Where the network came from; JSON values.

    Returns
    -------
    SpikingUNet
        Not settled.

    Raises
    ------
    ConversionError
        If not even one threshold each keeps to `bits`.
    """
    numbers: dict[str, int] = {}
    if fewer or bits is not None:
        numbers = share_out(
            crops, num_steps=num_steps, num_thresholds=num_thresholds, bits=bits
        )
    searched = search_channels(
        crops, num_steps=num_steps, num_thresholds=num_thresholds, numbers=numbers
    )
    return spiking_unet(
        crops.graph,
        Calibration(
            normalisation="connection",
            percentile=100 * PERCENTILE,
            scales={},
            data_sha256=data_sha256,
            weights_sha256=crops.graph.weights_sha256,
        ),
        num_steps=num_steps,
        num_thresholds=num_thresholds,
        base_threshold=searched.base_threshold,
        thresholds=numbers,
        scales=searched.scales,
        leads=searched.leads,
        provenance={
            **provenance,
            "search": True,
            "thresholds_per": "channel",
            **({} if bits is None else {"bits": bits}),
        },
    )


@dataclass(frozen=True, kw_only=True)
class Channels:
    """What a search found.

    Attributes
    ----------
    scales : dict[str, tuple[float, ...]]
        Of each spiking layer's channels, for `base_threshold`.
    leads : dict[str, tuple[float, ...]]
        As in `loihi_unet.conversion.normalise.spiking_unet`.
    base_threshold : float
        q.
    """

    scales: dict[str, Scale]
    leads: dict[str, Scale]
    base_threshold: float


@torch.no_grad()
def search_channels(
    crops: Crops,
    *,
    num_steps: int,
    num_thresholds: int,
    numbers: Mapping[str, int],
) -> Channels:
    """Choose the thresholds of all channels.

    Parameters
    ----------
    crops : Crops
        What to judge by.
    num_steps, num_thresholds : int
        T and N.
    numbers : Mapping[str, int]
        N of layers that have their own, by name.

    Returns
    -------
    Channels
        A pool has its source's thresholds: then its weights are level 1.
    """
    q = 2 / 2**num_thresholds
    sent = {INPUT: crops.x[None]}
    scales: dict[str, Tensor] = {}
    leads: dict[str, Scale] = {}
    # Gray levels reach far beyond 0..255.
    sends = {INPUT: (torch.tensor([PIXEL_SCALE]), -PIXEL_MINIMUM)}
    for layer in crops.layers:
        top = 2 ** numbers.get(layer.name, num_thresholds) - 1
        drive = current(layer, sent).expand(num_steps, *([-1] * 4))
        neurons = Trial(drive, crops.wanted[layer.name], top)
        source = layer.connections[0].source
        if layer.connections[0].kind == "average_pool":
            theta = scales[source] * q
        else:
            full = largest(neurons.target) / top
            theta = neurons.best_threshold(full, least_threshold(layer, sends))
        lead = neurons.best_lead(theta)
        scales[layer.name] = theta / q
        sends[layer.name] = theta, top
        leads[layer.name] = tuple(lead.tolist())
        sent[layer.name] = neurons.values(theta, lead)
    return Channels(
        scales={name: tuple(s.double().tolist()) for name, s in scales.items()},
        leads=leads,
        base_threshold=q,
    )


def least_threshold(layer: Layer, sends: Mapping[str, tuple[Tensor, int]]) -> Tensor:
    """Return the smallest threshold of each channel that theta can stand for.

    All that may arrive in a step has to fit 24 bits (`export.theta.largest_sum_gain`),
    each weight 8 and the bias 13, so the smaller a threshold, the smaller its integer.

    Parameters
    ----------
    layer : Layer
        Who receives, with the trained network's weights.
    sends : Mapping[str, tuple[Tensor, int]]
        What one unit of payload means in each channel of a source, and the largest
        payload.

    Returns
    -------
    Tensor, shape (C,)
        In the trained network's unit.
    """
    total, weights = torch.zeros(layer.channels), torch.zeros(layer.channels)
    for c in layer.connections:
        assert c.weight is not None  # not a pool
        unit, top = sends[c.source]
        weight = c.weight.abs() * columns(unit, c)
        if c.kind == "conv_transpose":
            weight = weight.transpose(0, 1)
        total += weight.sum(dim=(1, 2, 3)) * top
        weights = weights.maximum(weight.amax(dim=(1, 2, 3)))
    assert layer.bias is not None
    needs = (
        total / (STATE.maximum / 2),
        weights / (2 * WEIGHT_LEVEL.maximum),
        layer.bias.abs() / (BIAS_MANT.maximum << LARGEST_BIAS_EXP),
    )
    return LEAST_THETA * torch.stack(needs).amax(dim=0)
