# SPDX-License-Identifier: BSD-3-Clause
"""Per layer of a recording: spikes, payloads, saturation and room to 24 bits."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from export.compartment import MTIF
from export.facts import STATE
from export.network import Layer, Network
from sim.recording import Recording
from sim.torch.trace import has_sources, potentials

# Larger payloads are those of no neuron of ours, but of a dump with another sign or
# width; they get no histogram.
MOST = 2**16


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """What one layer did, over all images, steps and compartments.

    Parameters
    ----------
    name : str
        Layer.
    shape : tuple of int
        (C, H, W).
    spike_rate : float or None
        Share of payloads that are not zero; None for an accumulator.
    histogram : tuple of int
        How often each payload 0, 1, 2, ... was sent.
    saturated : float or None
        Share of payloads that are the largest one; None if that is not known.
    potential : tuple of int or None
        Smallest and largest potential before reset; None if not all of the
        layer's sources were recorded.
    headroom_bits : float or None
        ``log2(2**23 / largest |potential|)``.
    """

    name: str
    shape: tuple[int, int, int]
    spike_rate: float | None
    histogram: tuple[int, ...]
    saturated: float | None
    potential: tuple[int, int] | None
    headroom_bits: float | None


def layer_reports(
    recording: Recording, network: Network | None = None
) -> tuple[LayerReport, ...]:
    """Describe every recorded layer.

    Parameters
    ----------
    recording : Recording
        What a backend did.
    network : Network or None
        What it ran, at the size of the recorded images; tells potentials,
        saturation, and the accumulator at the end.

    Returns
    -------
    tuple of LayerReport
        In the order of the network, or of the recording.
    """
    layers = {layer.name: layer for layer in network.layers} if network else {}
    names = [n for n in layers or recording.payloads if n in recording.payloads]
    if network is not None and network.output.name not in names:
        names.append(network.output.name)
    return tuple(_report(recording, name, network, layers.get(name)) for name in names)


def _report(
    recording: Recording, name: str, network: Network | None, layer: Layer | None
) -> LayerReport:
    payload = recording.payloads.get(name)
    histogram: tuple[int, ...] = ()
    rate = saturated = None
    shape = layer.shape if layer is not None else (0, 0, 0)
    if payload is not None and payload.size:
        shape = (payload.shape[2], payload.shape[3], payload.shape[4])
        if payload.max() < MOST:
            counts = np.bincount(np.clip(payload, 0, None).reshape(-1))
            histogram = tuple(int(n) for n in counts)
        rate = float((payload != 0).mean())
        if layer is not None and isinstance(layer.compartment, MTIF):
            largest = layer.compartment.payload_maximum
            saturated = float((payload == largest).mean())
    span = (
        None if network is None or layer is None else _span(network, layer, recording)
    )
    return LayerReport(
        name=name,
        shape=shape,
        spike_rate=rate,
        histogram=histogram,
        saturated=saturated,
        potential=span,
        headroom_bits=None if span is None else _headroom(span),
    )


def _span(
    network: Network, layer: Layer, recording: Recording
) -> tuple[int, int] | None:
    if not has_sources(network, layer, recording):
        return None
    low, high = 0, 0
    for image in range(len(recording.images)):
        v = potentials(network, layer, recording, image)
        low, high = min(low, int(v.min())), max(high, int(v.max()))
    return low, high


def _headroom(span: tuple[int, int]) -> float:
    return math.log2((STATE.maximum + 1) / max(1, *map(abs, span)))
