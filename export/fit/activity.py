# SPDX-License-Identifier: BSD-3-Clause
"""What a recording says about a network's traffic: plain counts, no arrays."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LayerActivity:
    """Graded spikes that one node emitted in all images and steps.

    Parameters
    ----------
    name : str
        Layer, or the input.
    messages : int
        Payloads that are not zero.
    payload : int
        Sum of payloads; 0 for the input, whose payload is no spike count.
    bits : int
        Ones in the payloads' binary form: spikes of the single thresholds; 0 for
        the input.
    potential_minimum, potential_maximum : int or None
        Smallest and largest potential after integration; None if not measured.
    """

    name: str
    messages: int
    payload: int
    bits: int
    potential_minimum: int | None = None
    potential_maximum: int | None = None


@dataclass(frozen=True, kw_only=True)
class LinkActivity:
    """Synaptic operations of one connection in all images and steps.

    Parameters
    ----------
    source, target : str
        Its ends.
    effective : int
        Payloads that are not zero times synapses that are not zero: NeuroBench's
        effective synaptic operations.
    messages, payload, bits : int
        Sums over `LayerActivity`'s counts times all stored synapses.
    """

    source: str
    target: str
    effective: int
    messages: int
    payload: int
    bits: int


@dataclass(frozen=True, kw_only=True)
class Activity:
    """Counts of one recording.

    Parameters
    ----------
    network_sha256 : str
        Network that was recorded.
    images : int
        How many.
    layers : tuple of LayerActivity
        Input and spiking layers.
    links : tuple of LinkActivity
        Every connection.
    """

    network_sha256: str
    images: int
    layers: tuple[LayerActivity, ...]
    links: tuple[LinkActivity, ...]
