# SPDX-License-Identifier: BSD-3-Clause
"""A Network as connected Lava Processes, one per layer: the fast graph."""

from __future__ import annotations

from collections.abc import Mapping

from lava.magma.core.model.model import AbstractProcessModel
from lava.magma.core.process.ports.ports import InPort

from export.network import Layer as FrozenLayer
from export.network import Network
from sim.lava.lowering import lower
from sim.lava.processes.layer import Layer, layer_model
from sim.lava.shared_array import Tap
from sim.lava.stock_graph import Graph, sum_check, whc, windows


def build(
    network: Network, *, num_windows: int | None, taps: Mapping[str, Tap]
) -> Graph:
    """Make the Lava processes of a Network.

    Parameters
    ----------
    network : Network
        What to build.
    num_windows : int or None
        Images after which all compartments rest; None: they never do.
    taps : mapping of str to Tap
        Where layers record, by name.

    Returns
    -------
    Graph
        Connected processes; the source of the images is still to be connected.

    Raises
    ------
    UnsupportedLayerError
        If stock Conv cannot express a connection.
    """
    entries: list[InPort] = []
    layers: dict[str, Layer] = {}
    for layer in network.layers:
        process = _process(network, layer, num_windows, taps.get(layer.name))
        for number, connection in enumerate(layer.connections):
            s_in = getattr(process, f"s_in{number}")
            if connection.source in layers:
                layers[connection.source].s_out.connect(s_in)
            else:
                entries.append(s_in)
        layers[layer.name] = process
    return Graph(
        entries=tuple(entries), processes=tuple(layers.values()), layers=layers
    )


def _process(
    network: Network, layer: FrozenLayer, num_windows: int | None, tap: Tap | None
) -> Layer:
    when = windows(network, layer, 0, num_windows)
    sources = [network.nodes[c.source] for c in layer.connections]
    pairs = list(zip(layer.connections, sources, strict=True))
    return Layer(
        layer=layer,
        sources=tuple(whc(source.shape) for source in sources),
        convs=tuple(
            lower(c, source.shape, f"layer '{layer.name}' <- '{c.source}'")
            for c, source in pairs
        ),
        checks=tuple(sum_check(c, layer, source, when) for c, source in pairs),
        windows=when,
        tap=tap,
    )


def model(process: Layer) -> type[AbstractProcessModel]:
    """ProcessModel for a process made by `build`."""
    layer: FrozenLayer = process.proc_params["layer"]
    return layer_model(len(layer.connections), layer.magnitude)
