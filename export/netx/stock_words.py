# SPDX-License-Identifier: BSD-3-Clause
"""Which layers of a StockNetwork stock netx loads, and which need this reader."""

from __future__ import annotations

from export.network import Layer, Network
from export.synapse import Conv, Dense, Injection

#: A word of netx, read from the entry before it.
NETX = "stock netx"
#: Stock neuron and synapse, in words of slayer or ours that stock netx refuses.
READER = "stock neuron, needs this file's reader"


def words(network: Network) -> dict[str, str]:
    """Say of each layer, by name, `NETX` or `READER`.

    Stock netx loads a file up to the first layer that it does not know:
    `loaded_by_netx` says how many that are.
    """
    before = network.input.name
    by_layer = {}
    for layer in network.layers:
        by_layer[layer.name] = NETX if _is_netx(layer, before) else READER
        before = layer.name
    return by_layer


def loaded_by_netx(network: Network) -> int:
    """How many layers at the front stock netx loads (its argument num_layers)."""
    readers = list(words(network).values())
    return readers.index(READER) if READER in readers else len(readers)


def _is_netx(layer: Layer, before: str) -> bool:
    """Whether it is one entry that reads the entry before it."""
    first, *others = layer.connections
    recurrent = [c for c in others if c.source == layer.name]
    if (
        len(recurrent) < len(others)
        or first.source != before
        or getattr(layer, "delay", None) is not None
    ):
        return False
    return isinstance(first.synapse, Conv | Dense | Injection)
