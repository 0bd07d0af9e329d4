# SPDX-License-Identifier: BSD-3-Clause
"""Currents and potentials of a layer, recomputed from what was recorded."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from export.compartment import MTIF
from export.network import Layer, Network
from sim.recording import Recording, RecordingError
from sim.torch.exact import exact_arithmetic, float_dtype
from sim.torch.synapse import prepare

Int64 = npt.NDArray[np.int64]


def has_sources(network: Network, layer: Layer, recording: Recording) -> bool:
    """Whether the recording holds all steps of everything the layer reads.

    Payloads of another shape than the network's are as good as none, the layer's own
    included: somebody wrote their axes in another order.
    """

    def held(name: str) -> bool:
        payload = recording.payloads.get(name)
        return payload is not None and payload.shape[2:] == network.nodes[name].shape

    return (
        recording.steps == tuple(range(network.num_steps))
        and all(
            c.source == network.input.name or held(c.source) for c in layer.connections
        )
        and (layer.name not in recording.payloads or held(layer.name))
    )


@torch.inference_mode()
@exact_arithmetic()
def currents(network: Network, layer: Layer, recording: Recording, image: int) -> Int64:
    """Bias and all connections' shifted sums, at every step of one image.

    Parameters
    ----------
    network : Network
        Bounds the payloads.
    layer : Layer
        One of its layers, or a variation of one with the same sources.
    recording : Recording
        With the layer's sources, at all steps.
    image : int
        Index.

    Returns
    -------
    ndarray of int64, shape (T, C, H, W)
        What is added to the potential.

    Raises
    ------
    RecordingError
        If a source or a step was not recorded.
    """
    if not has_sources(network, layer, recording):
        raise RecordingError(
            f"recording: sources of layer '{layer.name}' missing, all payloads needed"
        )
    bias = layer.compartment.bias.effective()[:, None, None]
    total = np.zeros((network.num_steps, *layer.shape), dtype=np.int64) + bias
    for c in layer.connections:
        if c.source == network.input.name:
            payload = recording.images[image][None]
        else:
            payload = recording.payloads[c.source][image]
        source = network.nodes[c.source]
        bound = c.bound(source.magnitude)
        sums = prepare(
            c,
            source.shape,
            bias=None,
            dtype=float_dtype(bound, f"connection from '{c.source}'"),
            magnitude=None,
            device=torch.device("cpu"),
        )
        arrived = sums(torch.from_numpy(payload.astype(np.int32)))
        total += arrived.numpy().astype(np.int64)
    return total


def potentials(
    network: Network, layer: Layer, recording: Recording, image: int
) -> Int64:
    """Potential after integration and before reset, at every step of one image.

    It holds all input up to step t, less what the spikes before t took:
    ``sum(current[..t]) - vth * sum(payload[..t-1])``.

    Parameters
    ----------
    network, layer, recording, image
        As in `currents`; a spiking layer must be recorded itself.

    Returns
    -------
    ndarray of int64, shape (T, C, H, W)
        Potentials, before the comparison with the thresholds.

    Raises
    ------
    RecordingError
        If the layer, a source or a step was not recorded.
    """
    v = currents(network, layer, recording, image).cumsum(axis=0)
    if not isinstance(layer.compartment, MTIF):
        return v
    if layer.name not in recording.payloads:
        raise RecordingError(f"recording: layer '{layer.name}' is missing")
    spikes = recording.payloads[layer.name][image].astype(np.int64)
    vth = layer.compartment.vth_mant.astype(np.int64)[:, None, None]
    before: Int64 = v - vth * (spikes.cumsum(axis=0) - spikes)
    return before
