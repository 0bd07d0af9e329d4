# SPDX-License-Identifier: BSD-3-Clause
"""StockNetwork -> entries of ``layer``, in netx's and slayer's words where it can.

A chain of convolutions and dense layers loads in stock netx.hdf5.Network as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from typing_extensions import assert_never

from export.errors import UnsupportedLayerError
from export.files.hdf5 import write_text
from export.netx.schema import STREAM
from export.netx.write_stock_synapse import (
    is_entry,
    joined_synapse,
    new_group,
    own_synapse,
    write_synapse,
    written_shape,
)
from export.stock_compartment import CUBA, Delta, Sigma, SigmaDelta, StockCompartment
from export.stock_network import StockConnection, StockLayer, StockNetwork
from export.synapse import Dense, Injection, StockSynapse


def write_stock(network: StockNetwork, ours: Any, layers: Any) -> None:
    """Fill the groups ``loihi_unet`` and ``layer`` of an open file.

    Parameters
    ----------
    network : StockNetwork
        What to write.
    ours, layers : h5py.Group
        The groups; those of ``ours`` that every network has are written already.

    Raises
    ------
    UnsupportedLayerError
        If there is no word for it, or stock netx would load it as something else.
    """
    write_text(ours, "kind", STREAM)
    write_text(ours, "inputName", network.input.name)
    ours.create_dataset("inputScale", data=network.input.scale)
    ours.create_dataset("spikeExp", data=_spike_exp(network))
    if network.reset is not None:
        ours.create_dataset("resetInterval", data=network.reset.interval)
        ours.create_dataset("resetOffset", data=network.reset.offset)
    _Writer(network, layers).write()


class _Writer:
    """Writes entries in order; knows which entry holds what."""

    def __init__(self, network: StockNetwork, layers: Any) -> None:
        self.network = network
        self.layers = layers
        self.ids: dict[str, int] = {}
        # Nodes that are flat once written: after a dense layer nothing is flattened.
        self.flat: set[str] = set()

    def write(self) -> None:
        """Write the input and every layer."""
        source = self.network.input
        if self._reads_dense_only(source.name) and source.shape[1:] == (1, 1):
            self.flat.add(source.name)
        head = new_group(self.layers, "input")
        shape = written_shape(source.shape, source.name in self.flat)
        head.create_dataset("shape", data=shape)
        self.ids[source.name] = 0
        for layer in self.network.layers:
            synapse = layer.connections[0].synapse
            if isinstance(synapse, Injection):
                group = self._injected(head, layer, synapse)
            else:
                group = self._layer(layer)
            write_text(group, "name", layer.name)
            group.create_dataset("scale", data=layer.scale)
            _write_neuron(group.create_group("neuron"), layer.compartment)

    def _injected(self, head: Any, layer: StockLayer, synapse: Injection) -> Any:
        if len(self.ids) > 1 or layer.delay is not None:
            raise UnsupportedLayerError(
                f"layer '{layer.name}': an injection after other layers, or with "
                "delayed axons; netx has no word for it"
            )
        head.create_dataset("weight", data=synapse.gain)
        head.create_dataset("bias", data=synapse.offset)
        # The entry is now the layer; nothing may read the input itself.
        self.ids = {layer.name: 0}
        if self.network.input.name in self.flat:
            self.flat = {layer.name}
        return head

    def _reads_dense_only(self, name: str) -> bool:
        """Whether a node, or what is injected from it, is read by dense layers only."""
        readers = [
            (layer, c.synapse)
            for layer in self.network.layers
            for c in layer.connections
            if c.source == name
        ]
        return all(
            self._reads_dense_only(layer.name)
            if isinstance(synapse, Injection)
            else isinstance(synapse, Dense)
            for layer, synapse in readers
        )

    def _layer(self, layer: StockLayer) -> Any:
        others = [c for c in layer.connections if c.source != layer.name]
        if any(c.source not in self.ids for c in others):
            raise UnsupportedLayerError(
                f"layer '{layer.name}': it reads the input beside what is injected "
                "from it; netx has no word for it"
            )
        joined, recurrent = self._joined(others), own_synapse(layer)
        if joined is None or not is_entry(layer, joined, recurrent):
            return self._sum(layer)
        dense = isinstance(joined, Dense)
        self._before([c.source for c in others], dense, layer)
        group = write_synapse(self.layers, layer, joined, recurrent)
        self._compartments(group, layer)
        if dense:
            self.flat.add(layer.name)
        return group

    def _joined(self, others: list[StockConnection]) -> StockSynapse | None:
        """One synapse for all sources, if a concatenation of them can be written."""
        sides = {self.network.nodes[c.source].shape[1:] for c in others}
        if len(sides) > 1 and not all(c.source in self.flat for c in others):
            return None
        return joined_synapse(others)

    def _before(self, sources: list[str], dense: bool, layer: StockLayer) -> None:
        """Let the entry just before hand on these sources, flat where they must be."""
        flat = [source in self.flat for source in sources]
        if any(flat) and (not dense or not all(flat)):
            raise UnsupportedLayerError(
                f"layer '{layer.name}': a convolution after a flat layer, or a flat "
                "layer beside another; netx has no word for it"
            )
        ids = [self.ids[source] for source in sources]
        if ids != [len(self.layers) - 1]:
            concat = new_group(self.layers, "concat")
            concat.create_dataset("layers", data=np.array(ids))
            shapes = [self.network.nodes[source].shape for source in sources]
            channels = sum(shape[0] for shape in shapes)
            if all(flat) or len({shape[1:] for shape in shapes}) == 1:
                shape = np.array((channels, *shapes[0][1:]))
                concat.create_dataset("shape", data=shape)
        if dense and not all(flat):
            flatten = new_group(self.layers, "flatten")
            size = sum(int(np.prod(self.network.nodes[s].shape)) for s in sources)
            flatten.create_dataset("shape", data=np.array((size, 1, 1)))

    def _compartments(self, group: Any, layer: StockLayer) -> None:
        """What stands beside a synapse: bias and axons, and the layer's number."""
        for bias in layer.biases:
            group.create_dataset("bias", data=bias.mant.astype(np.int16))
        if layer.delay is not None:
            group.create_dataset("delay", data=layer.delay.astype(np.int8))
        self.ids[layer.name] = len(self.layers) - 1

    def _sum(self, layer: StockLayer) -> Any:
        """Our word for connections that no one entry of netx can be."""
        group = new_group(self.layers, "sum")
        index = len(self.layers) - 1
        ids = {**self.ids, layer.name: index}
        sources = [ids[c.source] for c in layer.connections]
        group.create_dataset("layers", data=np.array(sources))
        group.create_dataset("shape", data=np.array(layer.shape))
        parts = group.create_group("synapse")
        for connection in layer.connections:
            write_synapse(parts, layer, connection.synapse, None)
        self._compartments(group, layer)
        return group


def _spike_exp(network: StockNetwork) -> int:
    exponents = {
        layer.compartment.spike_exp
        for layer in network.layers
        if isinstance(layer.compartment, Delta | SigmaDelta)
    }
    if len(exponents) > 1:
        raise UnsupportedLayerError(
            f"spike_exp: {sorted(exponents)} found, netx has one for all layers"
        )
    return exponents.pop() if exponents else 6


def _write_neuron(group: Any, compartment: StockCompartment) -> None:
    match compartment:
        case CUBA():
            kind = b"CUBA"
            group.create_dataset("iDecay", data=compartment.i_decay)
            group.create_dataset("vDecay", data=compartment.v_decay)
            group.create_dataset("vThMant", data=compartment.vth_mant)
            group.create_dataset("refDelay", data=1)
            group.create_dataset("gradedSpike", data=False)
        case Delta() | SigmaDelta():
            kind = b"SDNN"
            group.create_dataset("vThMant", data=compartment.vth_mant)
            write_text(group, "activation", "relu")
        case Sigma():
            kind = b"SDNN"
            # netx reads the threshold of every SDNN layer but uses none here.
            group.create_dataset("vThMant", data=0)
            write_text(group, "activation", "relu")
            group.create_dataset("sigma_output", data=True)
        case _:
            assert_never(compartment)
    group.create_dataset("type", data=np.array([kind], dtype="S10"))
