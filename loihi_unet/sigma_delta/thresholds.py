# SPDX-License-Identifier: BSD-3-Clause
"""Delta thresholds of a converted network: what may change without being sent."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.facts import STATE
from export.stock_compartment import STATE_SHIFT, Delta, SigmaDelta
from export.stock_network import StockNetwork
from loihi_unet.errors import ConversionError
from loihi_unet.sigma_delta.stages import HANDED_ON

#: Shares of a layer's usual payload that are tried as thresholds, falling.
SHARES = (0.5, 0.35, 0.25, 0.18, 0.125, 0.09, 0.0625, 0.044, 0.031, 0.022, 0.0156)


def with_thresholds(
    network: StockNetwork, thresholds: Mapping[str, int]
) -> StockNetwork:
    """Return a network with thresholds of its own, in units of payload.

    Parameters
    ----------
    network : StockNetwork
        Of sigma-delta neurons.
    thresholds : mapping of str to int
        By layer; others keep theirs.

    Raises
    ------
    ConversionError
        If a layer is not there, or has no threshold.
    """
    names = {layer.name for layer in network.layers}
    layers = []
    for layer in network.layers:
        compartment = layer.compartment
        if layer.name in thresholds:
            if not isinstance(compartment, Delta | SigmaDelta):
                raise ConversionError(f"layer {layer.name!r}: it has no threshold")
            compartment = dataclasses.replace(
                compartment, vth_mant=thresholds[layer.name]
            )
        layers.append(dataclasses.replace(layer, compartment=compartment))
    if unknown := sorted(set(thresholds) - names):
        raise ConversionError(f"thresholds of {unknown}: no such layers")
    return dataclasses.replace(network, layers=tuple(layers))


def usual_payloads(
    network: StockNetwork,
    sent: Mapping[str, NDArray[np.signedinteger[Any]]],
) -> dict[str, float]:
    """Mean payload that is not zero, of each layer that computes.

    Layers that hand on what another sends have none: their threshold stays 0.

    Parameters
    ----------
    network : StockNetwork
        From `loihi_unet.sigma_delta.quantise.quantise`.
    sent : mapping of str to ndarray
        What each layer sent of a first frame.
    """
    usual = {}
    for layer in network.layers[:-1]:
        if HANDED_ON in layer.name:
            continue
        values = np.abs(sent[layer.name][..., : layer.shape[0] - 2, :, :])
        some = values[values > 0]
        usual[layer.name] = float(some.mean()) if some.size else 0.0
    return usual


def at_share(
    network: StockNetwork, usual: Mapping[str, float], share: float
) -> StockNetwork:
    """Thresholds of that share of each layer's usual payload."""
    return at_shares(network, usual, dict.fromkeys(usual, share))


def at_shares(
    network: StockNetwork, usual: Mapping[str, float], shares: Mapping[str, float]
) -> StockNetwork:
    """Thresholds of a share of its usual payload for each layer."""
    most = STATE.maximum >> STATE_SHIFT
    found = {n: min(most, round(share * usual[n])) for n, share in shares.items()}
    return with_thresholds(network, found)
