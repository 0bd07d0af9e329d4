# SPDX-License-Identifier: BSD-3-Clause
"""A network without its weights: shapes, kernels, delays, and who reads whom.

Fitting counts only these, so one network can be counted at other image sizes and
widths without making weights for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from typing_extensions import assert_never

from export.compartment import MTIF, Accumulator, Compartment
from export.errors import NetworkError
from export.fit.link import Link, relinked
from export.network import Connection, Network
from export.stock_compartment import Delta, Sigma, StockCompartment
from export.synapse import (
    AveragePool,
    Conv,
    ConvTranspose,
    Dense,
    Injection,
    Shape,
    StockSynapse,
    Synapse,
)


@dataclass(frozen=True, kw_only=True)
class LayerStructure:
    """One layer: its compartments and what they receive.

    Parameters
    ----------
    name : str
        Name.
    shape : tuple of int
        (C, H, W).
    links : tuple of Link
        What arrives; empty for an input layer that is held on the chip.
    spiking : bool
        False for the output accumulator.
    multi_threshold : bool
        True if the compartment has more than one threshold.
    soft_reset : bool
        True if a spike subtracts its threshold; False for stock neurons, which are
        reset to zero.
    """

    name: str
    shape: Shape
    links: tuple[Link, ...]
    spiking: bool = True
    multi_threshold: bool = False
    soft_reset: bool = True

    @property
    def built_reset(self) -> bool:
        """Whether a Loihi 1 needs a second compartment to reset each neuron."""
        return self.spiking and self.soft_reset

    @property
    def neurons(self) -> int:
        """Number of neurons, C * H * W."""
        return self.shape[0] * self.shape[1] * self.shape[2]


@dataclass(frozen=True)
class Structure:
    """Layers in topological order, the output last.

    Parameters
    ----------
    layers : tuple of LayerStructure
        All layers on the chip.
    image_as_bias : bool
        Whether a Loihi 1 gets what the host sends as a bias per compartment, since it
        is constant over a window; False where it arrives as spikes.
    """

    layers: tuple[LayerStructure, ...]
    image_as_bias: bool = True

    def on_chip(self, links: tuple[Link, ...]) -> tuple[Link, ...]:
        """Those links that are synapses on a Loihi 1."""
        if not self.image_as_bias:
            return links
        names = {layer.name for layer in self.layers}
        return tuple(link for link in links if link.source in names)

    @cached_property
    def readers(self) -> Mapping[str, tuple[tuple[LayerStructure, Link], ...]]:
        """For each node's name, the layers that read it and through which link."""
        result: dict[str, tuple[tuple[LayerStructure, Link], ...]] = {
            layer.name: () for layer in self.layers
        }
        for layer in self.layers:
            for link in layer.links:
                result[link.source] = (*result.get(link.source, ()), (layer, link))
        return result

    def rebuilt(
        self, channels: Mapping[str, int], height: int, width: int
    ) -> Structure:
        """Same layers for another image size and other channel counts.

        Parameters
        ----------
        channels : mapping of str to int
            Channels of the layers that change.
        height, width : int
            Image size.

        Raises
        ------
        NetworkError
            If a layer cannot take that size.
        """
        shapes: dict[str, Shape] = {}
        layers = []
        for layer in self.layers:
            links: list[Link] = []
            for link in layer.links:
                source = shapes.get(link.source, (link.source_shape[0], height, width))
                count = channels.get(layer.name, layer.shape[0])
                links.append(relinked(link, source, count, layer.name))
            if len({link.shape for link in links}) != 1:
                raise NetworkError(
                    f"layer '{layer.name}': image size {height}x{width} gives its "
                    f"connections different shapes"
                )
            shapes[layer.name] = links[0].shape
            layers.append(replace(layer, shape=links[0].shape, links=tuple(links)))
        return replace(self, layers=tuple(layers))


def describe(network: Network) -> Structure:
    """Structure of a network.

    Parameters
    ----------
    network : Network
        Any network. A Delta encoder runs on the host, as in Intel's notebooks.

    Returns
    -------
    Structure
        Its layers, without the input.
    """
    layers = []
    for layer in network.layers:
        compartment: Compartment | StockCompartment = layer.compartment
        if isinstance(compartment, Delta):
            continue
        links = tuple(
            _link(c, network.nodes[c.source].shape, layer.shape)
            for c in layer.connections
            if not isinstance(c.synapse, Injection)
        )
        layers.append(
            LayerStructure(
                name=layer.name,
                shape=layer.shape,
                links=links,
                spiking=not isinstance(compartment, Accumulator | Sigma),
                multi_threshold=isinstance(compartment, MTIF)
                and compartment.num_thresholds > 1,
                soft_reset=isinstance(compartment, MTIF),
            )
        )
    return Structure(tuple(layers), image_as_bias=not network.input.changes)


def _link(connection: Connection, source: Shape, target: Shape) -> Link:
    synapse: Synapse | StockSynapse = connection.synapse
    common = Link(
        source=connection.source,
        source_shape=source,
        shape=target,
        kernel=(1, 1),
        delay=connection.delay,
        weight_exp=connection.weight_exp,
    )
    match synapse:
        case Conv():
            return replace(
                common,
                kernel=(synapse.weight.shape[2], synapse.weight.shape[3]),
                stride=synapse.stride,
                padding=synapse.padding,
                dilation=synapse.dilation,
                groups=synapse.groups,
                depthwise=1 < synapse.groups == source[0] == target[0],
            )
        case ConvTranspose():
            return replace(
                common,
                kernel=(synapse.weight.shape[2], synapse.weight.shape[3]),
                stride=synapse.stride,
                padding=synapse.padding,
                dilation=synapse.dilation,
                groups=synapse.groups,
                depthwise=1 < synapse.groups == source[0] == target[0],
                transposed=True,
            )
        case AveragePool():
            return replace(
                common,
                kernel=synapse.kernel_size,
                stride=synapse.kernel_size,
                groups=synapse.channels,
                depthwise=True,
            )
        case Dense():
            longest = 0 if synapse.delay is None else int(synapse.delay.max())
            return replace(common, kernel=source[1:], delay=longest)
        case Injection():
            raise AssertionError("an injection is no link")
        case _:
            assert_never(synapse)
