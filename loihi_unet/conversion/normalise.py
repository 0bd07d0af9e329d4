# SPDX-License-Identifier: BSD-3-Clause
"""A trained network's weights and biases by its scales: a Spiking-UNet.

Pure: no file is read or written, no picture is needed.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from loihi_unet.config import TrainConfig
from loihi_unet.errors import ConversionError
from loihi_unet.files.checkpoint import Calibration, CheckpointRecord, weights_sha256
from loihi_unet.networks.net import Net
from loihi_unet.networks.surrogate import POWERS
from loihi_unet.networks.topology import INPUT
from loihi_unet.spiking.graph import Graph, graph_of, pools
from loihi_unet.spiking.spiking_unet import Connection, Layer, Scale, SpikingUNet
from loihi_unet.spiking.synapse import columns

#: Why the compartment, one potential without leak that is reset by subtraction, holds
#: no other neuron.
_NOT_HELD = {
    "if-zero": "it resets to zero",
    "lif": "it leaks",
    "rs": "it leaks and resets to zero",
    "ml": "it has three potentials, which leak and reset to zero",
}


def trained_directly(model: Net, record: CheckpointRecord) -> SpikingUNet:
    """Return a network of IF or MT neurons as it was trained: every scale is 1.

    Parameters
    ----------
    model : Net
        Trained with spiking neurons, on the CPU.
    record : CheckpointRecord
        Its settings.

    Returns
    -------
    SpikingUNet
        With the same weights, in the same unit.

    Raises
    ------
    ConversionError
        If its neuron is another one.
    """
    neuron = record.config.neuron
    if neuron.kind not in POWERS:
        raise ConversionError(
            f"neuron {neuron.kind}: {_NOT_HELD[neuron.kind]}; the compartment has one "
            "potential, no leak, and resets by subtraction"
        )
    q, number = POWERS[neuron.kind]
    scales = {node.name: 1.0 for node in model.nodes[:-1]}
    return spiking_unet(
        model,
        Calibration(
            normalisation="connection",
            percentile=100,
            scales=scales,
            data_sha256=record.data_sha256,
            weights_sha256=weights_sha256(model),
        ),
        num_steps=neuron.num_steps,
        num_thresholds=number,
        base_threshold=q,
        provenance={"train": record.config.model_dump(mode="json")},
    )


def spiking_unet(
    network: Net | Graph,
    calibration: Calibration,
    *,
    num_steps: int = 10,
    num_thresholds: int = 4,
    base_threshold: float = 0.125,
    thresholds: Mapping[str, int] | None = None,
    scales: Mapping[str, Scale] | None = None,
    leads: Mapping[str, Scale] | None = None,
    provenance: dict[str, Any] | None = None,
) -> SpikingUNet:
    """Normalise a trained network, eq. (8) of arXiv 2307.10974.

    ``w_hat = w * lambda_source / lambda_layer``, ``b_hat = b / lambda_layer``, with
    lambda 1 for the picture and for the last layer. Each branch of a concatenation
    has its own lambda_source; with equal lambdas that is eq. (7).

    Parameters
    ----------
    network : Net or Graph
        The trained network, on the CPU.
    calibration : Calibration
        Its scales.
    num_steps, num_thresholds, base_threshold
        As in `SpikingUNet`.
    thresholds : Mapping[str, int], optional
        N of layers that have their own, by name.
    scales : Mapping[str, float or tuple[float, ...]], optional
        Instead of the calibration's: a number for a layer, or one for each channel.
    leads : Mapping[str, float or tuple[float, ...]], optional
        What is added to the biases of layers, in lowest thresholds and over all steps:
        half a threshold makes a neuron of one step round instead of cutting off.
    provenance : dict[str, Any], optional
        JSON values to add to the calibration's own.

    Returns
    -------
    SpikingUNet
        Float32 weights that share no memory with the model's.

    Raises
    ------
    ConversionError
        If the scales belong to other weights, or a setting is not allowed.
    """
    graph = graph_of(network)
    if calibration.weights_sha256 != graph.weights_sha256:
        raise ConversionError("the scales were measured on a network of other weights")
    lambdas: dict[str, Scale] = {INPUT: 1.0, "out": 1.0}
    lambdas |= calibration.scales if scales is None else scales
    layers = tuple(
        replace(
            _led(
                _normalised(layer, lambdas),
                (leads or {}).get(layer.name, 0.0),
                base_threshold / num_steps,
            ),
            num_thresholds=(thresholds or {}).get(layer.name),
        )
        for layer in graph.layers
    )
    return SpikingUNet(
        frame=graph.frame,
        layers=layers,
        base_threshold=base_threshold,
        num_thresholds=num_thresholds,
        num_steps=num_steps,
        normalisation=calibration.normalisation,
        percentile=calibration.percentile,
        provenance={
            **(provenance or {}),
            "data_sha256": calibration.data_sha256,
            "weights_sha256": calibration.weights_sha256,
        },
    )


def unscaled(
    model: Net, config: TrainConfig, *, num_thresholds: int = 4
) -> SpikingUNet:
    """Return a network with its own weights: every scale is 1.

    Parameters
    ----------
    model : Net
        The trained network, on the CPU.
    config : TrainConfig
        Its settings, kept as provenance.
    num_thresholds : int
        N.

    Returns
    -------
    SpikingUNet
        Of one step and base threshold 1; to look at, not to run.
    """
    ones = Calibration(
        normalisation="connection",
        percentile=100,
        scales={node.name: 1.0 for node in model.nodes[:-1]},
        data_sha256="",
        weights_sha256=weights_sha256(model),
    )
    return spiking_unet(
        model,
        ones,
        num_steps=1,
        num_thresholds=num_thresholds,
        base_threshold=1.0,
        provenance={"train": config.model_dump(mode="json")},
    )


def _led(layer: Layer, lead: Scale, unit: float) -> Layer:
    if not np.any(lead):
        return layer
    shift = torch.as_tensor(np.multiply(lead, unit), dtype=torch.float32)
    bias = torch.zeros(layer.channels) if layer.bias is None else layer.bias
    return replace(layer, bias=bias + shift)


def _normalised(layer: Layer, scales: dict[str, Scale]) -> Layer:
    scale = scales[layer.name]
    if pools(layer):
        # Its source has the same scale, so the mean stays a mean.
        return replace(layer, scale=scale)
    assert layer.bias is not None  # only a pool has none
    return replace(
        layer,
        connections=tuple(
            c
            if c.weight is None
            else replace(
                c,
                weight=(c.weight * _factor(scales[c.source], scale, c)).contiguous(),
            )
            for c in layer.connections
        ),
        bias=layer.bias / _tensor(scale),
        scale=scale,
    )


def _tensor(scale: Scale) -> float | torch.Tensor:
    return torch.tensor(scale) if isinstance(scale, tuple) else scale


def _factor(
    source: Scale, scale: Scale, connection: Connection
) -> float | torch.Tensor:
    """What weights are multiplied by: one number, or rows times columns."""
    if not isinstance(source, tuple) and not isinstance(scale, tuple):
        return source / scale
    # Rounded once, from float64.
    rows = np.reshape(scale, (-1, 1, 1, 1))
    if connection.kind == "conv_transpose":
        rows = rows.transpose(1, 0, 2, 3)
    ratio = columns(np.atleast_1d(np.asarray(source)), connection) / rows
    return torch.from_numpy(ratio).float()


def normalised(model: Net, snn: SpikingUNet) -> dict[str, torch.Tensor]:
    """Return a converted network's weights by the names of the trained network's.

    With ReLUs they give the same output; spiking neurons begin to learn with them,
    since no layer leaves their range.

    Parameters
    ----------
    model : Net
        Of the shape that `snn` was made from, without batch normalisation.
    snn : SpikingUNet
        From `spiking_unet`.

    Returns
    -------
    dict[str, Tensor]
        Entries of ``model.state_dict()``: all weights and biases.
    """
    state: dict[str, torch.Tensor] = {}
    for node in model.nodes:
        layer = snn.layer(node.name)
        weights = {c.source: c.weight for c in layer.connections}
        for branch in node.branches:
            parts = [
                w for source in branch.sources if (w := weights[source]) is not None
            ]
            if parts:  # pooling has none
                state[f"{branch.module}.weight"] = torch.cat(parts, dim=1)
        if layer.bias is not None:
            state[f"{node.branches[0].module}.bias"] = layer.bias
    return state
