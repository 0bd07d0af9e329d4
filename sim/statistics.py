# SPDX-License-Identifier: BSD-3-Clause
"""Counts of a recording: spikes, synaptic operations, potentials that occurred."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from export.compartment import MTIF
from export.fit.activity import Activity, LayerActivity, LinkActivity
from export.fit.fanout import fan_out
from export.network import Layer, Network
from export.synapse import Injection
from sim.recording import (
    Payload,
    Recording,
    RecordingError,
    hashes_of,
    recordable,
)

Int64 = npt.NDArray[np.int64]


def activity(network: Network, recording: Recording) -> Activity:
    """Count what a recording holds, exactly.

    Parameters
    ----------
    network : Network
        Network that was recorded.
    recording : Recording
        All spiking layers at all steps.

    Returns
    -------
    Activity
        Totals over images and steps.

    Raises
    ------
    RecordingError
        If the recording is of another network, lacks a layer or a step, or holds
        payloads that no neuron of the network sends.
    """
    from sim.torch.trace import potentials

    _check(network, recording)
    counts = {network.input.name: _input_counts(network, recording)}
    counted = _layer_counts if network.in_windows else _stock_counts
    for name in _emitting(network):
        payload = recording.payloads[name]
        counts[name] = counted(payload)
    layers = []
    for name, (messages, payload, bits) in counts.items():
        low, high = None, None
        node = network.nodes[name]
        if isinstance(node, Layer) and network.in_windows:  # a stock v saturates
            spans = [
                potentials(network, node, recording, image)
                for image in range(len(recording.images))
            ]
            low = min(int(v.min()) for v in spans)
            high = max(int(v.max()) for v in spans)
        layers.append(
            LayerActivity(
                name=name,
                messages=int(messages.sum()),
                payload=int(payload.sum()),
                bits=int(bits.sum()),
                potential_minimum=low,
                potential_maximum=high,
            )
        )
    return Activity(
        network_sha256=network.sha256,
        images=len(recording.images),
        layers=tuple(layers),
        links=_links(network, counts),
    )


def _emitting(network: Network) -> tuple[str, ...]:
    """Layers whose payloads are recorded; states of a StockNetwork are none."""
    return tuple(name for name in recordable(network, None) if ":" not in name)


def _check(network: Network, recording: Recording) -> None:
    hashes = hashes_of(recording)
    if not hashes <= {network.sha256, network.sha256_any_size}:
        raise RecordingError(
            f"recording: of network {' and '.join(sorted(h[:12] for h in hashes))}, "
            f"this one is {network.sha256[:12]} ({network.sha256_any_size[:12]} at any "
            "size)"
        )
    if len(recording.steps) != network.num_steps:
        raise RecordingError(
            f"recording: {len(recording.steps)} steps found, "
            f"all {network.num_steps} needed"
        )
    if not len(recording.images):
        raise RecordingError("recording: no images found, one or more needed")
    for name in _emitting(network):
        payload = recording.payloads.get(name)
        if payload is None:
            raise RecordingError(f"recording: layer '{name}' is missing")
        if payload.shape[2:] != network.nodes[name].shape:
            raise RecordingError(
                f"recording layer '{name}': shape {payload.shape[2:]} found, "
                f"{network.nodes[name].shape} needed"
            )
        compartment = getattr(network.nodes[name], "compartment", None)
        if isinstance(compartment, MTIF):
            low, high = int(payload.min(initial=0)), int(payload.max(initial=0))
            if low < 0 or high > compartment.payload_maximum:
                raise RecordingError(
                    f"recording layer '{name}': payloads {low}..{high} found, "
                    f"0..{compartment.payload_maximum} needed"
                )


def _input_counts(network: Network, recording: Recording) -> tuple[Int64, ...]:
    """Pixels that are not zero arrive at every step of their window."""
    if network.input.changes:
        nonzero = (recording.images != 0).sum(axis=(0, 1), dtype=np.int64)
    else:
        nonzero = (recording.images != 0).sum(axis=0, dtype=np.int64)
        nonzero *= network.num_steps
    return nonzero, np.zeros_like(nonzero), np.zeros_like(nonzero)


def _layer_counts(payload: Payload) -> tuple[Int64, ...]:
    """Per neuron, over images and steps: not zero, sum, and ones in binary."""
    ones = np.array([bin(g).count("1") for g in range(int(payload.max()) + 1)])
    axes = (0, 1)
    return (
        (payload != 0).sum(axis=axes, dtype=np.int64),
        payload.sum(axis=axes, dtype=np.int64),
        ones[payload].sum(axis=axes, dtype=np.int64),
    )


def _stock_counts(payload: Payload) -> tuple[Int64, ...]:
    """Per neuron: messages, of which each is one spike, graded or not."""
    messages = (payload != 0).sum(axis=(0, 1), dtype=np.int64)
    return messages, messages, messages


def _links(
    network: Network, counts: dict[str, tuple[Int64, ...]]
) -> tuple[LinkActivity, ...]:
    links = []
    for layer in network.layers:
        for c in layer.connections:
            if isinstance(c.synapse, Injection):
                continue  # the host writes: no synapse
            shape = network.nodes[c.source].shape
            stored = fan_out(c.synapse, shape)
            nonzero = fan_out(c.synapse, shape, nonzero_only=True)
            messages, payload, bits = counts[c.source]
            links.append(
                LinkActivity(
                    source=c.source,
                    target=layer.name,
                    effective=int((messages * nonzero).sum()),
                    messages=int((messages * stored).sum()),
                    payload=int((payload * stored).sum()),
                    bits=int((bits * stored).sum()),
                )
            )
    return tuple(links)
