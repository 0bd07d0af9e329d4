# SPDX-License-Identifier: BSD-3-Clause
"""netx HDF5 file, schema 1 or stock -> Network; trusts nothing in the file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from export.compartment import MTIF, Accumulator, Bias, Compartment
from export.errors import NetworkError
from export.files.hdf5 import open_file
from export.files.hdf5_group import Group, located
from export.mapping import mapping_named
from export.network import Connection, Input, Layer, Network
from export.netx.options import StockOptions
from export.netx.read_stock import read_stock_group
from export.netx.schema import MAX_LAYERS, OURS, SCHEMA, STREAM
from export.stock_network import Reset, StockNetwork
from export.synapse import AveragePool, Conv, ConvTranspose, Synapse


def is_stock(path: str | Path) -> bool:
    """Whether a netx file is lava-dl's, without anything of ours.

    Raises
    ------
    NetworkError
        If the file cannot be read.
    """
    with open_file(path, "network") as root:
        return OURS not in root


def read_network(path: str | Path, stock: StockOptions | None = None) -> Network:
    """Read a netx file of schema 1, or a stock one (see `read_stock`).

    Parameters
    ----------
    path : str or Path
        File.
    stock : StockOptions or None
        netx's arguments, for a stock file; a file of ours holds all of them itself.

    Returns
    -------
    Network
        Validated; equal to what was written, provenance included.

    Raises
    ------
    NetworkError
        If the file is missing, damaged, of another schema, or holds values that
        no Network may hold: one line with file, place, found and allowed.
    UnsupportedLayerError
        If it holds a layer or neuron kind that is not supported.
    """
    path = Path(path)
    with open_file(path, "network") as root, root.located():
        if OURS not in root:
            return read_stock_group(root, stock or StockOptions(), f"stock {path.name}")
        if stock is not None:
            raise NetworkError(
                f"{path}: netx's arguments found, which are for files of lava-dl; this "
                "one holds them itself"
            )
        ours = root.group(OURS)
        schema = ours.integer("schema")
        if schema != SCHEMA:
            raise NetworkError(f"{path}: schema {schema} found, {SCHEMA} allowed")
        is_stock = "kind" in ours and ours.text("kind") == STREAM
        network = _read_stock(root, ours) if is_stock else _read(root, ours)
        if "sha256" in ours and ours.text("sha256") != network.sha256:
            raise NetworkError(
                f"{path}: the sha256 inside does not match the content; the file was "
                f"changed after it was written (delete {OURS}/sha256 to accept it)"
            )
        return network


def _read_stock(root: Group, ours: Group) -> StockNetwork:
    low, high = ours.tuple("inputRange", 2)
    reset = None
    if "resetInterval" in ours:
        reset = Reset(
            interval=ours.integer("resetInterval"), offset=ours.integer("resetOffset")
        )
    options = StockOptions(
        num_steps=ours.integer("numSteps"),
        reset=reset,
        spike_exp=ours.integer("spikeExp"),
    )
    stock = read_stock_group(root, options, "", ours.text("inputName"))
    source = dataclasses.replace(
        stock.input, minimum=low, maximum=high, scale=ours.real("inputScale")
    )
    return dataclasses.replace(
        stock,
        input=source,
        task=ours.text("task"),
        provenance=_provenance(ours),
    )


def _read(root: Group, ours: Group) -> Network:
    groups = root.group("layer")
    count = len(groups.names())
    if count > MAX_LAYERS:
        raise root.error("layer", f"{count} layers found, {MAX_LAYERS} allowed")
    source = _read_input(groups.group("0"), ours.tuple("inputRange", 2))
    names: dict[int, str] = {0: source.name}
    layers: list[Layer] = []
    joint: Group | None = None
    for index in range(1, count):
        group = groups.group(str(index))
        if group.text("type") == "concat":
            if joint is not None:
                raise group.error("type", "concat after concat found, a layer needed")
            joint = group
            continue
        layer = _read_layer(group, joint, names, index, [source, *layers])
        names[index], joint = layer.name, None
        layers.append(layer)
    if joint is not None:
        raise joint.error("type", "concat at the end found, a layer needed after it")
    return Network(
        input=source,
        layers=tuple(layers),
        num_steps=ours.integer("numSteps"),
        task=ours.text("task"),
        provenance=_provenance(ours),
    )


def _provenance(ours: Group) -> dict[str, Any]:
    try:
        provenance = json.loads(ours.text("provenance"))
    except (ValueError, RecursionError) as error:  # ValueError: or 4300 digits
        raise ours.error("provenance", "not JSON") from error
    if not isinstance(provenance, dict):
        raise ours.error("provenance", "not a JSON object")
    return provenance


def _shape(group: Group) -> tuple[int, int, int]:
    c, h, w = group.tuple("shape", 3)
    return (c, h, w)


def _scale(group: Group) -> float | tuple[float, ...]:
    values = group.reals("scale")
    # One number is never an array, so that one network has one hash.
    return tuple(values.tolist()) if values.size > 1 else float(values.reshape(-1)[0])


def _pair(group: Group, key: str) -> tuple[int, int]:
    along_h, along_w = group.tuple(key, 2)
    return (along_h, along_w)


@located
def _read_input(group: Group, payload: tuple[int, ...]) -> Input:
    kind = group.text("type")
    if kind != "input":
        raise group.error("type", f"'{kind}' found, 'input' needed first")
    return Input(
        name=group.text("name"),
        shape=_shape(group),
        minimum=payload[0],
        maximum=payload[1],
        scale=_scale(group),
    )


@located
def _read_layer(
    group: Group,
    joint: Group | None,
    names: dict[int, str],
    index: int,
    nodes: Sequence[Input | Layer],
) -> Layer:
    connections: tuple[Connection, ...]
    channels = {node.name: node.shape[0] for node in nodes}
    if group.text("type") == "sum":
        if joint is not None:
            raise group.error("type", "sum after concat found, it names its sources")
        connections = _read_sum(group, names, channels)
    elif joint is None:
        connections = (
            Connection(
                source=names[index - 1],
                synapse=_read_synapse(group, _shape(group)[0]),
            ),
        )
    else:
        synapse = _read_synapse(group, _shape(group)[0])
        connections = _read_connections(joint, synapse, names, channels)
    bias = Bias(mant=group.integers("bias", ndim=1), exp=group.integer("biasExp"))
    return Layer(
        name=group.text("name"),
        shape=_shape(group),
        connections=connections,
        compartment=_read_neuron(group.group("neuron"), bias),
        scale=_scale(group),
    )


@located
def _read_synapse(group: Group, channels: int) -> Synapse:
    match group.text("type"):
        case "conv":
            return Conv(
                weight=group.integers("weight"),
                stride=_pair(group, "stride"),
                padding=_pair(group, "padding"),
                dilation=_pair(group, "dilation"),
                groups=group.integer("groups"),
            )
        case "convT":
            return ConvTranspose(
                weight=group.integers("weight"),
                stride=_pair(group, "stride"),
                padding=_pair(group, "padding"),
                output_padding=_pair(group, "outputPadding"),
            )
        case "pool":
            return AveragePool(
                channels=channels,
                kernel_size=_pair(group, "kernelSize"),
                weight_mant=group.integer("weight"),
            )
        case other:
            raise group.unsupported(
                "type",
                f"layer '{other}' found, conv, convT, pool, concat or sum allowed",
            )


def _read_sources(
    joint: Group, names: dict[int, str]
) -> tuple[list[str], tuple[int, ...], tuple[int, ...]]:
    """Return name, delay and weight exponent of each source."""
    ids = joint.integers("layers", ndim=1).tolist()
    unknown = [i for i in ids if i not in names]
    if unknown or not ids:
        raise joint.error(
            "layers", f"{unknown or 'nothing'} found, earlier layers needed"
        )
    delays = joint.tuple("delay", len(ids))
    exponents = joint.tuple("weightExp", len(ids))
    return [names[i] for i in ids], delays, exponents


@located
def _read_sum(
    group: Group, names: dict[int, str], channels: dict[str, int]
) -> tuple[Connection, ...]:
    sources, delays, exponents = _read_sources(group, names)
    parts = group.group("synapse")
    return tuple(
        Connection(
            source=source,
            synapse=_read_synapse(parts.group(str(number)), channels[source]),
            delay=delay,
            weight_exp=exponent,
        )
        for number, (source, delay, exponent) in enumerate(
            zip(sources, delays, exponents, strict=True)
        )
    )


@located
def _read_connections(
    joint: Group, synapse: Synapse, names: dict[int, str], channels: dict[str, int]
) -> tuple[Connection, ...]:
    sources, delays, exponents = _read_sources(joint, names)
    parts: list[Synapse]
    if len(sources) == 1:
        parts = [synapse]
    elif isinstance(synapse, Conv) and synapse.groups == 1:
        ends = np.cumsum([channels[s] for s in sources])
        if ends[-1] != synapse.weight.shape[1]:
            raise joint.error(
                "layers",
                f"{ends[-1]} channels found, the next layer has "
                f"{synapse.weight.shape[1]} input channels",
            )
        parts = [
            Conv(
                weight=weight,
                stride=synapse.stride,
                padding=synapse.padding,
                dilation=synapse.dilation,
            )
            for weight in np.split(synapse.weight, ends[:-1], axis=1)
        ]
    else:
        raise joint.unsupported("type", "concat found before another layer than conv")
    return tuple(
        Connection(source=source, synapse=part, delay=delay, weight_exp=exponent)
        for source, part, delay, exponent in zip(
            sources, parts, delays, exponents, strict=True
        )
    )


@located
def _read_neuron(group: Group, bias: Bias) -> Compartment:
    match group.text("type"):
        case "MTIF":
            vth = group.integers("vThMant")
            return MTIF(
                vth_mant=vth.reshape(1) if vth.ndim == 0 else vth,
                num_thresholds=group.integer("numThresholds"),
                bias=bias,
                # Files from before there were mappings say nothing.
                mapping=mapping_named(
                    group.text("mapping") if "mapping" in group else "graded"
                ),
            )
        case "ACC":
            return Accumulator(bias=bias)
        case other:
            raise group.unsupported(
                "type", f"neuron '{other}' found, MTIF or ACC allowed"
            )
