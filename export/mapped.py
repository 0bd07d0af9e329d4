# SPDX-License-Identifier: BSD-3-Clause
"""The same network on other compartments."""

from __future__ import annotations

import dataclasses

from export.compartment import MTIF
from export.errors import RangeError
from export.mapping import MappingName
from export.network import Network


def mapped(network: Network, mapping: MappingName) -> Network:
    """Same integers, every multi-threshold layer mapped that way.

    Parameters
    ----------
    network : Network
        Any mapping.
    mapping : {"graded", "parallel-if", "binary-if"}
        New mapping.

    Raises
    ------
    RangeError
        If a threshold or an exponent is too large for the mapping.
    """
    layers = []
    for layer in network.layers:
        compartment = layer.compartment
        if isinstance(compartment, MTIF):
            try:
                compartment = dataclasses.replace(compartment, mapping=mapping)
            except RangeError as error:
                raise RangeError(f"layer '{layer.name}': {error}") from None
        layers.append(dataclasses.replace(layer, compartment=compartment))
    return dataclasses.replace(network, layers=tuple(layers))
