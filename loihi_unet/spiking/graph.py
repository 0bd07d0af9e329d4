# SPDX-License-Identifier: BSD-3-Clause
"""A float network of ReLUs as layers and connections, wherever it came from.

It is what conversion starts from, and the Spiking-UNet of endless time: the same
layers, in the unit that the network was trained in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import reduce

import torch
from torch import Tensor

from loihi_unet.networks.net import Net
from loihi_unet.networks.topology import INPUT, Branch, Node
from loihi_unet.networks.weights import weights_sha256
from loihi_unet.spiking.layer import Connection, Frame, Geometry, Layer, usual
from loihi_unet.spiking.synapse import apply, entering, side_multiple


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """Layers of ReLUs, the last linear.

    Attributes
    ----------
    layers : tuple[Layer, ...]
        In topological order, with weights in the trained network's unit and scale 1;
        `spiking` says which have a ReLU. An average pool needs none: its source has
        one. The last is ``"out"``.
    weights_sha256 : str
        Of the trained network.
    frame : Frame
        What it asks of a picture.
    """

    layers: tuple[Layer, ...]
    weights_sha256: str
    frame: Frame = field(default_factory=Frame)

    @property
    def in_channels(self) -> int:
        """Channels of the input, a constant plane included."""
        return entering(self.layers)

    @property
    def multiple(self) -> int:
        """What a picture's sides must be multiples of."""
        return side_multiple(self.layers)

    @torch.no_grad()
    def activations(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield every layer's name and what it puts out.

        Parameters
        ----------
        x : Tensor, shape (B, C, H, W), float
            Pixels divided by 255, with or without the constant plane.

        Yields
        ------
        str
            Name of the layer, in topological order.
        Tensor, shape (B, C, H, W), float
            Its activation; of the last without the residual skip.
        """
        sent = {INPUT: self.frame.completed(x, self.in_channels)}
        last_use = {c.source: n.name for n in self.layers for c in n.connections}
        *hidden, last = self.layers
        for layer in hidden:
            value = drive(layer, sent)
            sent[layer.name] = value if pools(layer) else torch.relu(value)
            for c in layer.connections:
                if last_use[c.source] == layer.name:
                    sent.pop(c.source, None)
            yield layer.name, sent[layer.name]
        yield last.name, drive(learned(last), sent)

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        """Return the network's output, shape (B, C_out, H_out, W_out).

        Parameters
        ----------
        x : Tensor
            As for `activations`.
        """
        [(_, result)] = deque(self.activations(x), maxlen=1)
        x = self.frame.completed(x, self.in_channels)
        if any(c.kind == "identity" for c in self.layers[-1].connections):
            return x + result
        return result


def drive(layer: Layer, sent: dict[str, Tensor]) -> Tensor:
    """Return what arrives at a layer, its bias included, shape (B, C, H, W).

    Branches of a concatenation are convolved as one, as the trained network does.

    Parameters
    ----------
    layer : Layer
        Who receives.
    sent : dict[str, Tensor]
        Activations of its sources.
    """
    parts, bias = [], layer.bias
    for first, *others in _branches(layer.connections):
        value = sent[first.source]
        if others:
            value = torch.cat([sent[c.source] for c in (first, *others)], dim=1)
            weights = [c.weight for c in (first, *others) if c.weight is not None]
            first = replace(first, weight=torch.cat(weights, dim=1))
        parts.append(apply(first, value, None if bias is None else bias.to(value)))
        bias = None
    return reduce(torch.add, parts)


def _branches(connections: tuple[Connection, ...]) -> list[list[Connection]]:
    """Neighbours that one convolution can do together."""
    branches: list[list[Connection]] = []
    for c in connections:
        if branches and _together(branches[-1][0], c):
            branches[-1].append(c)
        else:
            branches.append([c])
    return branches


def _together(a: Connection, b: Connection) -> bool:
    if a.weight is None or b.weight is None or INPUT in (a.source, b.source):
        return False
    return (
        a.kind == b.kind == "conv"
        and a.place == b.place
        and a.place.groups == 1
        and a.weight.shape[2:] == b.weight.shape[2:]
    )


def concatenations(graph: Graph) -> list[tuple[str, str]]:
    """Return the branches of each concatenation of two, in its order."""
    pairs = [
        (branch[0].source, branch[1].source)
        for layer in graph.layers
        for branch in _branches(layer.connections)
        if len(branch) == 2
    ]
    return [pair for pair in pairs if INPUT not in pair]


def pools(layer: Layer) -> bool:
    """Whether a layer has no weights: an average pool."""
    return layer.connections[0].kind == "average_pool"


def learned(layer: Layer) -> Layer:
    """Return a layer without a residual skip from the input."""
    kept = tuple(c for c in layer.connections if c.kind != "identity")
    return replace(layer, connections=kept)


def graph_of(network: Net | Graph) -> Graph:
    """Return the graph of one of this project's networks; a graph as it is.

    Parameters
    ----------
    network : Net or Graph
        On the CPU; batch normalisation is folded.

    Returns
    -------
    Graph
        It may share memory with the network.
    """
    if isinstance(network, Graph):
        return network
    return Graph(
        layers=tuple(_layer(network, node) for node in network.nodes),
        weights_sha256=weights_sha256(network),
    )


def _layer(model: Net, node: Node) -> Layer:
    bias: Tensor | None = None
    if node.pools:
        connections = [Connection(source=node.sources[0], kind="average_pool")]
    else:
        weights, bias = model.folded(node)
        connections = [
            connection
            for branch in node.branches
            for connection in _connections(weights[branch.module], branch)
        ]
    last = node is model.nodes[-1]
    if last and model.config.residual:
        connections.append(Connection(source=INPUT, kind="identity"))
    return Layer(
        name=node.name,
        channels=node.channels,
        connections=tuple(connections),
        bias=bias,
        scale=1.0,
        spiking=not last,
    )


def _connections(weight: Tensor, branch: Branch) -> list[Connection]:
    # Only a convolution (input channels on axis 1) has two sources; in a U-Net they
    # have equal channels.
    slices = weight.chunk(len(branch.sources), dim=1)
    up = branch.kind == "conv_transpose"
    place = Geometry(
        stride=(branch.stride, branch.stride),
        padding=(branch.padding, branch.padding),
        output_padding=(branch.output_padding, branch.output_padding) if up else (0, 0),
    )
    return [
        Connection(
            source=source,
            kind=branch.kind,
            weight=part,
            geometry=None if place == usual(branch.kind, part) else place,
        )
        for source, part in zip(branch.sources, slices, strict=True)
    ]
