# SPDX-License-Identifier: BSD-3-Clause
"""Remove the feature maps that never fire, or hardly ever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from export.theta import settle
from loihi_unet.finetuning.flow import IntegerUNet
from loihi_unet.networks.topology import INPUT
from loihi_unet.seeds import Purpose
from loihi_unet.spiking.spiking_unet import Connection, Layer, Scale, SpikingUNet
from loihi_unet.spiking.synapse import dense
from loihi_unet.tasks.make import Task

#: Batches of training crops that firing is counted on.
BATCHES = 32


@torch.no_grad()
def firing_shares(
    snn: SpikingUNet, task: Task, device: torch.device
) -> dict[str, Tensor]:
    """Count how often each feature map sends something.

    Parameters
    ----------
    snn : SpikingUNet
        The network.
    task : Task
        Gives `BATCHES` batches of training crops.
    device : torch.device
        Where to run.

    Returns
    -------
    dict[str, Tensor of shape (C,)]
        Of every spiking layer: payloads that are not 0, as a share of neurons and
        steps, float64.
    """
    shares = {
        layer.name: torch.zeros(layer.channels, dtype=torch.float64)
        for layer in snn.layers
        if layer.spiking
    }

    def count(name: str, payload: Tensor) -> None:
        share = (payload > 0).double().mean(dim=(0, 1, 3, 4))
        shares[name] += share.cpu() / BATCHES

    network = IntegerUNet(settle(snn), observe=count)
    for index in range(BATCHES):
        x, _ = task.batch(index, Purpose.CALIBRATION)
        network(x.to(device))
    return shares


def prune(snn: SpikingUNet, shares: Mapping[str, Tensor], share: float) -> SpikingUNet:
    """Remove feature maps that fire at most that often.

    What never fired was 0 everywhere: without it the same pictures give the same
    values. Integers differ by rounding, since rows with fewer weights have more room.

    Parameters
    ----------
    snn : SpikingUNet
        Not changed.
    shares : Mapping[str, Tensor]
        From `firing_shares`.
    share : float
        0: only those that never fired. Each layer keeps one at least.

    Returns
    -------
    SpikingUNet
        Pools have their sources' feature maps.
    """
    kept: dict[str, Tensor] = {}
    layers = []
    for layer in snn.layers:
        first = layer.connections[0]
        if first.kind == "average_pool":
            rows = kept[first.source]
        elif layer.spiking:
            wanted = shares[layer.name] > share
            wanted[shares[layer.name].argmax()] = True
            rows = wanted.nonzero().flatten()
        else:
            rows = torch.arange(layer.channels)
        kept[layer.name] = rows
        layers.append(_only(layer, rows, kept))
    return replace(snn, layers=tuple(layers))


def _only(layer: Layer, rows: Tensor, kept: Mapping[str, Tensor]) -> Layer:
    quantisation = layer.quantisation
    if quantisation is not None:
        quantisation = replace(quantisation, gain=_some(quantisation.gain, rows))
    return replace(
        layer,
        channels=len(rows),
        connections=tuple(
            _columns(c, rows, kept.get(c.source)) for c in layer.connections
        ),
        bias=None if layer.bias is None else layer.bias[rows].clone(),
        scale=_some(layer.scale, rows),
        quantisation=quantisation,
    )


def _columns(c: Connection, rows: Tensor, columns: Tensor | None) -> Connection:
    if c.weight is None:
        return c
    assert (columns is None) == (c.source == INPUT)
    c = dense(c)
    assert c.weight is not None
    out, axis = (1, 0) if c.kind == "conv_transpose" else (0, 1)
    weight = c.weight.index_select(out, rows)
    if columns is not None:
        weight = weight.index_select(axis, columns)
    return replace(c, weight=weight.contiguous())


def _some(values: Scale, rows: Tensor) -> Scale:
    if not isinstance(values, tuple):
        return values
    return tuple(values[index] for index in rows.tolist())
