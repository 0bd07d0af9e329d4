# SPDX-License-Identifier: BSD-3-Clause
"""Measure how large each layer's activations get: the lambdas of eq. (7) and (8)."""

import logging
import math
from collections.abc import Sequence

import torch

from loihi_unet.config import TrainConfig
from loihi_unet.data.pictures import Picture, fingerprint
from loihi_unet.errors import ConversionError
from loihi_unet.files.checkpoint import Calibration, weights_sha256
from loihi_unet.networks.net import Net
from loihi_unet.networks.topology import INPUT
from loihi_unet.seeds import Purpose
from loihi_unet.spiking.graph import Graph, concatenations, graph_of, pools
from loihi_unet.spiking.spiking_unet import Normalisation
from loihi_unet.tasks.make import make_task

log = logging.getLogger(__name__)

#: Noisy crops of the training kind that scales are measured on.
CALIBRATION_CROPS = 256


class Percentile:
    """The exact percentile of a stream of numbers of known length.

    Keeps only the largest values, as many as the percentile needs; interpolates
    linearly between ranks, as `numpy.percentile` does.

    Parameters
    ----------
    percentile : float
        0..100.
    total : int
        How many numbers will come.
    """

    def __init__(self, percentile: float, total: int) -> None:
        self.rank = percentile / 100 * (total - 1)
        self.keep = total - math.floor(self.rank)
        self.largest = torch.empty(0)

    def add(self, values: torch.Tensor) -> None:
        """Take in numbers, of any shape."""
        together = torch.cat([self.largest, values.flatten()])
        self.largest = together.topk(min(self.keep, together.numel())).values

    def value(self) -> float:
        """Return the percentile, once all numbers have come."""
        below = self.largest[-1].item()
        above = self.largest[-2].item() if self.keep > 1 else below
        return below + (above - below) * (self.rank - math.floor(self.rank))


def _groups(graph: Graph, normalisation: Normalisation) -> dict[str, str]:
    """Map each layer with a ReLU to the group of layers that share its scale."""
    groups = {layer.name: layer.name for layer in graph.layers[:-1] if not pools(layer)}
    if normalisation == "layer":
        # Eq. (7): one scale for a concatenated tensor, so for both its branches.
        for skip, up in concatenations(graph):
            groups[up] = skip
    return groups


@torch.no_grad()
def measure_scales(
    network: Net | Graph,
    batches: list[torch.Tensor],
    *,
    normalisation: Normalisation = "connection",
    percentile: float = 99.9,
) -> dict[str, float]:
    """Return each layer's lambda: a percentile of its activations, zeros included.

    Parameters
    ----------
    network : Net or Graph
        The trained network.
    batches : list[Tensor], each of shape (B, in_channels, H, W)
        Inputs; their number of pixels must not differ between batches.
    normalisation : str
        ``"connection"``: every layer its own. ``"layer"``: the branches of a
        concatenation share the percentile of the concatenated tensor.
    percentile : float
        100 for the maximum.

    Returns
    -------
    dict[str, float]
        By layer name, in topological order, ``"out"`` excluded. A pool has its
        source's. A layer whose percentile is 0 next to never fires and has none of
        its own: it takes that of the skip it is concatenated with, so that the two
        share their reader's weight range, or else its source's.
    """
    graph = graph_of(network)
    groups = _groups(graph, normalisation)
    members = {group: list(groups.values()).count(group) for group in groups.values()}
    collectors: dict[str, Percentile] = {}

    def record(group: str, output: torch.Tensor) -> None:
        if group not in collectors:
            total = output.numel() * members[group] * len(batches)
            collectors[group] = Percentile(percentile, total)
        collectors[group].add(output)

    for batch in batches:
        for name, output in graph.activations(batch):
            if name in groups:
                record(groups[name], output)
    skips = {up: skip for skip, up in concatenations(graph)}
    scales = {INPUT: 1.0}
    for layer in graph.layers[:-1]:
        source = layer.connections[0].source
        skip = skips.get(layer.name, source)
        scale = scales[skip if skip in scales else source]
        if not pools(layer):
            measured = collectors[groups[layer.name]].value()
            if measured > 0:
                scale = measured
            else:
                log.warning(
                    "layer %s: percentile %g of its activations is 0: it has all but "
                    "died in training",
                    layer.name,
                    percentile,
                )
        scales[layer.name] = scale
    del scales[INPUT]
    return scales


def calibrate(
    model: Net,
    config: TrainConfig,
    pictures: Sequence[Picture],
    *,
    normalisation: Normalisation = "connection",
    percentile: float = 99.9,
) -> Calibration:
    """Measure scales on crops like those the network was trained on.

    Parameters
    ----------
    model : Net
        The trained network, on the CPU.
    config : TrainConfig
        Gives crop size, noise and seed.
    pictures : sequence of Picture
        Where the crops come from.
    normalisation, percentile
        As in `measure_scales`.

    Returns
    -------
    Calibration
        The scales, and what they were measured with.

    Raises
    ------
    ConversionError
        If the network was trained with spiking neurons.
    """
    if config.neuron.kind != "relu":
        raise ConversionError(
            f"trained with {config.neuron.kind} neurons: scales are those of a U-Net "
            "of ReLUs"
        )
    task = make_task(config, train=pictures, validation=[])
    count = max(1, CALIBRATION_CROPS // config.batch_size)
    batches = [task.batch(index, Purpose.CALIBRATION)[0] for index in range(count)]
    scales = measure_scales(
        model, batches, normalisation=normalisation, percentile=percentile
    )
    return Calibration(
        normalisation=normalisation,
        percentile=percentile,
        scales=scales,
        data_sha256=fingerprint(pictures),
        weights_sha256=weights_sha256(model),
    )
