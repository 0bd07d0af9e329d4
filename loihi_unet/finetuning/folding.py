# SPDX-License-Identifier: BSD-3-Clause
"""What is trained through the steps: taken out of a network, and put together again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from loihi_unet.networks.topology import INPUT
from loihi_unet.spiking.spiking_unet import Connection, Layer, SpikingUNet
from loihi_unet.spiking.synapse import columns


def unfold(snn: SpikingUNet) -> dict[str, Tensor]:
    """Return what is trained: float32 leaves that require gradients.

    Parameters
    ----------
    snn : SpikingUNet
        Not changed.

    Returns
    -------
    dict[str, Tensor]
        ``<layer>.weight.<source>`` and ``<layer>.bias`` in the trained network's unit,
        ``<layer>.threshold``, the logarithms of the lowest thresholds, shape (1,) or
        (C,). A pool has its source's.
    """
    scales = {INPUT: np.ones(1)}
    parameters: dict[str, Tensor] = {}
    for layer in snn.layers:
        scale = np.atleast_1d(np.asarray(layer.scale, dtype=np.float64))
        scales[layer.name] = scale
        for c in layer.connections:
            if c.weight is not None:
                ratio = _grid(scale, 1 / scales[c.source], c)
                parameters[f"{layer.name}.weight.{c.source}"] = (
                    c.weight.double() * ratio
                )
        if layer.bias is not None:
            parameters[f"{layer.name}.bias"] = layer.bias.double() * torch.from_numpy(
                scale
            )
        if layer.spiking and not pools(layer):
            logarithm = np.log(scale * snn.base_threshold)
            parameters[f"{layer.name}.threshold"] = torch.from_numpy(logarithm)
    return {
        name: value.detach().float().requires_grad_()
        for name, value in parameters.items()
    }


def fold(template: SpikingUNet, parameters: Mapping[str, Tensor]) -> SpikingUNet:
    """Put trained parameters together to a network that can be exported.

    Parameters
    ----------
    template : SpikingUNet
        Gives all but weights, biases and scales.
    parameters : Mapping[str, Tensor]
        As from `unfold`.

    Returns
    -------
    SpikingUNet
        Not settled: `export.theta` chooses the integers from these floats alone.
    """
    scales: dict[str, np.ndarray[Any, np.dtype[np.float64]]] = {INPUT: np.ones(1)}
    layers = []
    for layer in template.layers:
        scale = np.ones(1)
        if pools(layer):
            scale = scales[layer.connections[0].source]
        elif layer.spiking:
            logarithm = parameters[f"{layer.name}.threshold"].detach().cpu().double()
            scale = np.exp(logarithm.numpy()) / template.base_threshold
        scales[layer.name] = scale
        connections = []
        for c in layer.connections:
            if c.weight is not None:
                trained = parameters[f"{layer.name}.weight.{c.source}"].detach().cpu()
                ratio = _grid(1 / scale, scales[c.source], c)
                c = replace(c, weight=(trained.double() * ratio).float())
            connections.append(c)
        bias = layer.bias
        if bias is not None:
            trained = parameters[f"{layer.name}.bias"].detach().cpu()
            bias = (trained.double() / torch.from_numpy(scale)).float()
        layers.append(
            replace(
                layer,
                connections=tuple(connections),
                bias=bias,
                scale=tuple(scale.tolist())
                if isinstance(layer.scale, tuple)
                else float(scale[0]),
                quantisation=None,
            )
        )
    return replace(template, layers=tuple(layers))


def pools(layer: Layer) -> bool:
    """Whether a layer is a pool, whose threshold is its source's."""
    return layer.connections[0].kind == "average_pool"


def _grid(rows: Any, sources: Any, connection: Connection) -> Tensor:
    """Numbers of rows times numbers of columns, to multiply weights by; float64."""
    place = np.reshape(rows, (-1, 1, 1, 1))
    if connection.kind == "conv_transpose":
        place = place.transpose(1, 0, 2, 3)
    return torch.from_numpy(place * columns(sources, connection))
