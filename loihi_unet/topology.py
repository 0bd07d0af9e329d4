# SPDX-License-Identifier: BSD-3-Clause
"""Which layer of a U-Net receives what from where, before any weight is known."""

from dataclasses import dataclass

from loihi_unet.config import UNetConfig
from loihi_unet.graph import INPUT, ConnectionKind


@dataclass(frozen=True, kw_only=True)
class Node:
    """A layer's place in the network.

    Attributes
    ----------
    name : str
        Name of the U-Net's module.
    kind : str
        How it combines its sources.
    sources : tuple[str, ...]
        Two for a concatenation, in its order: skip, up.
    """

    name: str
    kind: ConnectionKind
    sources: tuple[str, ...]


def topology(config: UNetConfig) -> list[Node]:
    """List a U-Net's layers in the order they are computed.

    Parameters
    ----------
    config : UNetConfig
        Only `levels` matters; the residual skip is not listed.

    Returns
    -------
    list[Node]
        ``6 * levels + 3`` layers: 27 for 4 levels.
    """
    nodes: list[Node] = []

    def add(name: str, kind: ConnectionKind, *sources: str) -> str:
        nodes.append(Node(name=name, kind=kind, sources=sources))
        return name

    def double(name: str, *sources: str) -> str:
        first = add(f"{name}.conv1", "conv", *sources)
        return add(f"{name}.conv2", "conv", first)

    last, skips = INPUT, []
    for level in range(config.levels):
        skips.append(double(f"enc{level}", last))
        last = add(f"pool{level}", "average_pool", skips[-1])
    last = double("mid", last)
    for level in reversed(range(config.levels)):
        up = add(f"up{level}", "conv_transpose", last)
        last = double(f"dec{level}", skips[level], up)
    add("out", "conv", last)
    return nodes
