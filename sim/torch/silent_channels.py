# SPDX-License-Identifier: BSD-3-Clause
"""How high the potentials of silent channels rose, recomputed from a recording."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from typing_extensions import assert_never

from export.network import Connection, Layer, Network
from export.synapse import AveragePool, Conv, ConvTranspose
from sim.recording import Recording
from sim.torch.exact import exact_arithmetic, float_dtype
from sim.torch.synapse import Sums, prepare

Int64 = npt.NDArray[np.int64]


@torch.inference_mode()
@exact_arithmetic()
def highest_potentials(
    network: Network, layer: Layer, recording: Recording, channels: Int64
) -> Int64:
    """Largest potential of channels that did not fire in a recording.

    What never fires is never reset, so its potential is the sum of all input so far.

    Parameters
    ----------
    network : Network
        What was recorded.
    layer : Layer
        One of its layers.
    recording : Recording
        All payloads that the layer reads, at all steps.
    channels : ndarray of int64
        Channels of the layer that are silent in the recording.

    Returns
    -------
    ndarray of int64, shape of ``channels``
        The largest over positions, steps and images.
    """
    bias = layer.compartment.bias.effective()[channels, None, None]
    parts = [_prepare(network, c, channels) for c in layer.connections]
    v = np.zeros((len(recording.images), len(channels), *layer.shape[1:]), np.int64)
    high = np.full(len(channels), np.iinfo(np.int64).min)
    for step in range(network.num_steps):
        v += bias
        for c, (sums, kept) in zip(layer.connections, parts, strict=True):
            v += (
                sums(_payload(network, c, recording, step))[:, kept]
                .numpy()
                .astype(np.int64)
            )
        high = np.maximum(high, v.max(axis=(0, 2, 3)))
    return high


def _payload(
    network: Network, c: Connection, recording: Recording, step: int
) -> Tensor:
    if c.source == network.input.name:
        sent = recording.images
    else:
        sent = recording.payloads[c.source][:, step]
    return torch.from_numpy(sent.astype(np.int32))


def _prepare(network: Network, c: Connection, channels: Int64) -> tuple[Sums, Tensor]:
    """Sums of a connection, and which channels of them are the wanted ones."""
    narrow, kept = c, torch.from_numpy(channels)
    match c.synapse:
        case Conv(weight=weight, groups=1):
            narrow = replace(c, synapse=replace(c.synapse, weight=weight[channels]))
            kept = torch.arange(len(channels))
        case ConvTranspose(weight=weight):
            narrow = replace(c, synapse=replace(c.synapse, weight=weight[:, channels]))
            kept = torch.arange(len(channels))
        case Conv() | AveragePool():
            pass  # groups and pools are cheap: all channels, and the wanted ones taken
        case _:
            assert_never(c.synapse)
    source = network.nodes[c.source]
    sums = prepare(
        narrow,
        source.shape,
        bias=None,
        dtype=float_dtype(
            narrow.bound(source.magnitude), f"connection from '{c.source}'"
        ),
        magnitude=None,
        device=torch.device("cpu"),
    )
    return sums, kept
