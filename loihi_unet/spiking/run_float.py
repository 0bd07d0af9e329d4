# SPDX-License-Identifier: BSD-3-Clause
"""Run a Spiking-UNet in floating point: what the conversion costs in quality.

This is Algorithm 1 of arXiv 2307.10974, without a delay between layers: step t of a
layer uses step t of the layer before. Bit-exact backends are in the package `sim`.
"""

from functools import reduce
from typing import NamedTuple

import torch

from loihi_unet.errors import DataError
from loihi_unet.networks.neuron import multi_threshold_if
from loihi_unet.networks.topology import INPUT
from loihi_unet.spiking.spiking_unet import Connection, Layer, SpikingUNet
from loihi_unet.spiking.synapse import apply


class SpikingRun(NamedTuple):
    """The result of `run`.

    Attributes
    ----------
    output : Tensor, shape (B, out_channels, H, W), float
        Restored pixels divided by 255.
    mean_payload : dict[str, float]
        Per spiking layer: payload per compartment and step, 0 .. 2**N - 1.
    """

    output: torch.Tensor
    mean_payload: dict[str, float]


@torch.no_grad()
def run(snn: SpikingUNet, x: torch.Tensor) -> SpikingRun:
    """Show pictures to the network for T steps.

    Layer by layer, all steps of a layer at once: nothing flows back, so this equals
    going step by step.

    Parameters
    ----------
    snn : SpikingUNet
        The network.
    x : Tensor, shape (B, in_channels, H, W), float32 or float64
        Pixels divided by 255; H and W fit the network. Its dtype is the one computed
        in.

    Returns
    -------
    SpikingRun
        The accumulator divided by T, and each layer's mean payload.

    Raises
    ------
    DataError
        If the shape is not allowed.
    """
    x = snn.frame.completed(x, snn.in_channels)
    _check_input(snn, x)
    # Values a layer sends, (T, B, C, H, W); the picture is the same at every step.
    sent = {INPUT: x[None].expand(snn.num_steps, *x.shape)}
    last_use = {
        connection.source: layer.name
        for layer in snn.layers
        for connection in layer.connections
    }
    mean_payload: dict[str, float] = {}
    *spiking, last = snn.layers
    for layer in spiking:
        payload = multi_threshold_if(
            current(layer, sent),
            base_threshold=snn.base_threshold,
            num_thresholds=snn.thresholds(layer),
        )
        mean_payload[layer.name] = payload.mean().item()
        sent[layer.name] = payload * snn.base_threshold
        for connection in layer.connections:
            if last_use[connection.source] == layer.name:
                del sent[connection.source]
    # The last layer is linear: the mean over the steps goes through it once.
    means = {source: value.mean(dim=0, keepdim=True) for source, value in sent.items()}
    return SpikingRun(current(last, means)[0], mean_payload)


def _check_input(snn: SpikingUNet, x: torch.Tensor) -> None:
    channels, multiple = snn.in_channels, snn.multiple
    fits = x.ndim == 4 and x.shape[1] == channels
    if snn.frame.fixed:
        if not fits or tuple(x.shape[2:]) != snn.frame.size:
            raise DataError(
                f"input has shape {tuple(x.shape)}; allowed is "
                f"(B, {channels}, {snn.example_size[0]}, {snn.example_size[1]})"
            )
    elif not fits or x.shape[2] % multiple or x.shape[3] % multiple:
        raise DataError(
            f"input has shape {tuple(x.shape)}; allowed is (B, {channels}, H, W) with "
            f"H and W multiples of {multiple}"
        )


def current(layer: Layer, sent: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return what drives a layer at every step, its bias included.

    Parameters
    ----------
    layer : Layer
        Who receives.
    sent : dict[str, Tensor]
        Values of its sources, shape (T, B, C, H, W); T is 1 where they stay.

    Returns
    -------
    Tensor, shape (T, B, C, H, W)
        In the unit of the weights.
    """
    parts = [synapse(item, sent[item.source]) for item in layer.connections]
    if layer.bias is not None:
        parts.append(layer.bias.to(parts[0])[:, None, None])
    return reduce(torch.add, parts)


def synapse(connection: Connection, value: torch.Tensor) -> torch.Tensor:
    """Return what a connection makes of the values its source sends.

    Parameters
    ----------
    connection : Connection
        Kind and weight.
    value : Tensor, shape (T, B, C, H, W), float
        What the source sends at every step.

    Returns
    -------
    Tensor, shape (T, B, C_out, H_out, W_out), dtype of `value`
        What arrives.
    """
    if connection.kind == "identity":
        return value
    result = apply(connection, value.flatten(0, 1))
    return result.reshape(*value.shape[:2], *result.shape[1:])
