# SPDX-License-Identifier: BSD-3-Clause
"""Network -> netx HDF5 file, schema 1."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import assert_never

from export.compartment import MTIF, Accumulator, Compartment
from export.files.hdf5 import create_file, write_text
from export.network import Input, Layer, Network
from export.netx.schema import OURS, SCHEMA
from export.netx.write_stock import write_stock
from export.stock_network import StockNetwork
from export.synapse import (
    AveragePool,
    Conv,
    ConvTranspose,
    Synapse,
)


def write_network(network: Network, path: str | Path) -> None:
    """Write a network as a netx file, atomically and reproducibly.

    Parameters
    ----------
    network : Network
        What to write.
    path : str or Path
        File, by custom ``*.net``. Writing the same network twice gives the
        same bytes.

    Raises
    ------
    UnsupportedLayerError
        If stock netx has no word for a stock layer.
    ValueError
        If the file cannot be written.
    """
    with create_file(Path(path)) as file:
        ours = file.create_group(OURS)
        ours.create_dataset("schema", data=SCHEMA)
        ours.create_dataset("numSteps", data=network.num_steps)
        ours.create_dataset("inputRange", data=_range(network.input))
        write_text(ours, "task", network.task)
        write_text(ours, "sha256", network.sha256)
        provenance = json.dumps(dict(network.provenance), sort_keys=True)
        write_text(ours, "provenance", provenance)

        layers = file.create_group("layer")
        if isinstance(network, StockNetwork):
            write_stock(network, ours, layers)
            return
        _write_head(layers.create_group("0"), "input", network.input)
        ids = {network.input.name: 0}
        for layer in network.layers:
            joined = _joined(layer, network)
            if joined is not None and not _follows(layer, ids):
                concat = layers.create_group(str(len(layers)))
                _write_concat(concat, layer, network, ids)
            group = layers.create_group(str(len(layers)))
            if joined is None:
                _write_sum(group, layer, ids)
            else:
                _write_head(group, _TYPE_NAMES[type(joined)], layer)
                _write_synapse(group, joined, layer)
            _write_compartment(group, layer)
            ids[layer.name] = len(layers) - 1


def _follows(layer: Layer, ids: dict[str, int]) -> bool:
    """Whether the only source is the netx layer just before, unshifted."""
    c = layer.connections[0]
    alone = len(layer.connections) == 1 and not (c.weight_exp or c.delay)
    return alone and ids[c.source] == max(ids.values())


def _range(source: Input) -> list[int]:
    return [source.minimum, source.maximum]


def _write_head(group: Any, kind: str, node: Input | Layer) -> None:
    _write_type(group, kind)
    group.create_dataset("shape", data=np.array(node.shape))
    write_text(group, "name", node.name)
    group.create_dataset("scale", data=node.scale)


def _write_type(group: Any, kind: str) -> None:
    # Stock files hold the type as an array of one fixed-length string.
    group.create_dataset("type", data=np.array([kind.encode()], dtype="S10"))


def _write_concat(
    group: Any, layer: Layer, network: Network, ids: dict[str, int]
) -> None:
    sources = [network.nodes[c.source].shape for c in layer.connections]
    shape = (sum(s[0] for s in sources), *sources[0][1:])
    _write_type(group, "concat")
    group.create_dataset("shape", data=np.array(shape))
    _write_sources(group, layer, ids)


def _write_sum(group: Any, layer: Layer, ids: dict[str, int]) -> None:
    _write_head(group, "sum", layer)
    _write_sources(group, layer, ids)
    for number, connection in enumerate(layer.connections):
        part = group.create_group(f"synapse/{number}")
        _write_type(part, _TYPE_NAMES[type(connection.synapse)])
        _write_synapse(part, connection.synapse, layer)


def _write_sources(group: Any, layer: Layer, ids: dict[str, int]) -> None:
    for key, values in (
        ("layers", [ids[c.source] for c in layer.connections]),
        ("delay", [c.delay for c in layer.connections]),
        ("weightExp", [c.weight_exp for c in layer.connections]),
    ):
        group.create_dataset(key, data=np.array(values))


def _write_synapse(group: Any, synapse: Synapse, layer: Layer) -> None:
    match synapse:
        case Conv():
            channels = (synapse.weight.shape[1] * synapse.groups, layer.shape[0])
            _write_kernel(group, channels, synapse.weight.shape[2:], synapse)
            group.create_dataset("dilation", data=np.array(synapse.dilation))
            group.create_dataset("groups", data=synapse.groups)
        case ConvTranspose():
            _write_kernel(
                group, synapse.weight.shape[:2], synapse.weight.shape[2:], synapse
            )
            group.create_dataset("outputPadding", data=np.array(synapse.output_padding))
        case AveragePool():
            group.create_dataset("kernelSize", data=np.array(synapse.kernel_size))
            group.create_dataset("stride", data=np.array(synapse.kernel_size))
            group.create_dataset("padding", data=np.array((0, 0)))
            group.create_dataset("weight", data=synapse.weight_mant)
        case _:
            assert_never(synapse)


def _write_compartment(group: Any, layer: Layer) -> None:
    bias = layer.compartment.bias
    group.create_dataset("bias", data=bias.mant.astype(np.int16))
    group.create_dataset("biasExp", data=bias.exp)
    _write_neuron(group.create_group("neuron"), layer.compartment)


def _write_kernel(
    group: Any,
    channels: Sequence[int],
    kernel: Sequence[int],
    synapse: Conv | ConvTranspose,
) -> None:
    group.create_dataset("inChannels", data=channels[0])
    group.create_dataset("outChannels", data=channels[1])
    group.create_dataset("kernelSize", data=np.array(kernel))
    group.create_dataset("stride", data=np.array(synapse.stride))
    group.create_dataset("padding", data=np.array(synapse.padding))
    # Mantissas fill 9 bits: shuffled and deflated they take half of int16.
    weight = synapse.weight.astype(np.int16)
    group.create_dataset("weight", data=weight, compression="gzip", shuffle=True)


def _write_neuron(group: Any, compartment: Compartment) -> None:
    match compartment:
        case MTIF():
            group.create_dataset("type", data=np.array([b"MTIF"], dtype="S10"))
            vth = compartment.vth_mant
            group.create_dataset("vThMant", data=vth[0] if len(vth) == 1 else vth)
            group.create_dataset("numThresholds", data=compartment.num_thresholds)
            graded = compartment.mapping == "graded"
            bits = compartment.num_thresholds if graded else 0
            group.create_dataset("messageBits", data=bits)
            if not graded:
                write_text(group, "mapping", compartment.mapping)
        case Accumulator():
            group.create_dataset("type", data=np.array([b"ACC"], dtype="S10"))
        case _:
            assert_never(compartment)


def _joined(layer: Layer, network: Network) -> Synapse | None:
    """One synapse over the concatenated sources of a layer; None if there is none."""
    synapses = [c.synapse for c in layer.connections]
    if len(synapses) == 1:
        return synapses[0]
    convs = [s for s in synapses if isinstance(s, Conv)]
    geometry = {
        (s.weight.shape[2:], s.stride, s.padding, s.dilation, s.groups) for s in convs
    }
    sizes = {network.nodes[c.source].shape[1:] for c in layer.connections}
    alike = len(convs) == len(synapses) and len(geometry) == len(sizes) == 1
    if not alike or convs[0].groups > 1:
        return None
    weight = np.concatenate([s.weight for s in convs], axis=1)
    first = convs[0]
    return Conv(
        weight=weight,
        stride=first.stride,
        padding=first.padding,
        dilation=first.dilation,
    )


_TYPE_NAMES = {
    Conv: "conv",
    ConvTranspose: "convT",
    AveragePool: "pool",
}
