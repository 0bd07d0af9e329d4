# SPDX-License-Identifier: BSD-3-Clause
"""What a network for pictures gave: an accumulator, or what a Sigma layer holds."""

from __future__ import annotations

from export.network import Network
from sim.recording import Payload, Recording


def needed(network: Network, layers: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Layers to record so that there is an output: of stock neurons the last, too."""
    if layers is None or network.in_windows:
        return layers
    last = network.output.name
    return layers if last in layers else (*layers, last)


def output_of(network: Network, recording: Recording) -> Payload | None:
    """Output (images, C, H, W), or None where it was not recorded.

    Parameters
    ----------
    network : Network
        What ran.
    recording : Recording
        Of pictures, all steps.
    """
    if network.in_windows or not network.takes_pictures:
        return recording.output
    payload = recording.payloads.get(network.output.name)
    return None if payload is None else payload[:, -1]
