# SPDX-License-Identifier: BSD-3-Clause
"""Graph that holds our integers -> the StockNetwork that it was written from."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from export.compartment import Bias
from export.errors import NetworkError
from export.stock_compartment import CUBA, STATE_SHIFT, PerChannel
from export.stock_network import Frames, StockConnection, StockLayer, StockNetwork
from export.synapse import Conv, Dense, IntArray
from loihi_unet.frontend.nir.express import SCHEMA, express, same
from loihi_unet.frontend.nir.graph import Graph, Node
from loihi_unet.frontend.nir.primitives import NIRError
from loihi_unet.frontend.nir.stock import RUN_IN
from loihi_unet.frontend.nir.words import OURS


def restore(graph: Graph) -> StockNetwork | None:
    """Return the network that a graph was written from; None if it is not ours.

    Raises
    ------
    NIRError
        If our integers are damaged, or no longer those that the nodes mean.
    """
    if OURS not in graph.metadata:
        return None
    try:
        text = graph.metadata[OURS]
        record = json.loads(text.decode() if isinstance(text, bytes) else text)
        if record["schema"] != SCHEMA:
            raise NIRError(f"metadata {OURS}: schema {record['schema']}, not {SCHEMA}")
        network = _stream(record, graph)
        if network.sha256 != record["sha256"]:
            raise NIRError(f"metadata {OURS}: the integers do not have its sha256")
    except NetworkError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise NIRError(f"metadata {OURS}: damaged ({error})") from error
    _compare(express(network), graph)
    return network


def _compare(meant: Graph, read: Graph) -> None:
    advice = f"without metadata '{OURS}' the nodes are converted as they are"
    if set(meant.nodes) != set(read.nodes) or set(meant.edges) != set(read.edges):
        raise NIRError(f"nodes and edges are not those of its integers; {advice}")
    for name, node in meant.nodes.items():
        other = read.nodes[name]
        key = "kind" if node.kind != other.kind else same(node.values, other.values)
        if key is not None:
            raise NIRError(
                f"{other.where}: {key} is not what its integers in the metadata mean; "
                f"{advice}"
            )


def _stream(record: dict[str, Any], graph: Graph) -> StockNetwork:
    source = record["input"]
    low, high = source["range"]
    return StockNetwork(
        input=Frames(
            shape=tuple(source["shape"]),
            minimum=low,
            maximum=high,
            scale=source["scale"],
            name=source["name"],
        ),
        layers=tuple(_layer(item, graph) for item in record["layers"]),
        num_steps=record["numSteps"],
        task=record["task"],
        reset=RUN_IN if record["reset"] else None,
        provenance=record["provenance"],
    )


def _integers(node: Node, key: str) -> IntArray:
    values = np.asarray(node.metadata[f"{OURS}_{key}"])
    if values.dtype.kind not in "iu":
        raise NIRError(f"{node.where}: metadata {OURS}_{key} holds no integers")
    return values


def _parameter(node: Node, key: str) -> PerChannel:
    values = _integers(node, key)
    return int(values) if values.ndim == 0 else values


def _layer(item: dict[str, Any], graph: Graph) -> StockLayer:
    node = graph.nodes[item["name"]]
    compartment = CUBA(
        i_decay=_parameter(node, "i_decay"),
        v_decay=_parameter(node, "v_decay"),
        vth_mant=_parameter(node, "vth_mant"),
        bias=Bias(mant=_integers(node, "bias_mant"), exp=STATE_SHIFT),
    )
    connections = tuple(
        StockConnection(source=c["source"], synapse=_synapse(graph.nodes[c["node"]]))
        for c in item["connections"]
    )
    delay = item["delay"]
    return StockLayer(
        name=item["name"],
        shape=tuple(item["shape"]),
        connections=connections,
        compartment=compartment,
        scale=item["scale"],
        delay=None if delay is None else np.array(delay),
    )


def _synapse(node: Node) -> Conv | Dense:
    weight = _integers(node, "weight")
    if node.kind == "Conv2d":
        return Conv(
            weight=weight,
            stride=node.pair("stride", 1),
            padding=node.pair("padding", 0),
            dilation=node.pair("dilation", 1),
            groups=node.pair("groups", 1)[1],
        )
    delay = None
    if f"{OURS}_delay" in node.metadata:
        delay = _integers(node, "delay")
    return Dense(weight=weight, delay=delay)
