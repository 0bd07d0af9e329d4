# SPDX-License-Identifier: BSD-3-Clause
"""StockNetwork -> Graph: the same network in NIR's words, in units of our mantissas.

Times are counted as NIR does: an edge takes none, so of a delay only what goes
beyond the alignment of a skip is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from export.stock_compartment import CUBA
from export.stock_network import StockConnection, StockLayer, StockNetwork
from export.synapse import Conv, Dense
from loihi_unet.frontend.nir.graph import Graph, Node
from loihi_unet.frontend.nir.primitives import NIRError
from loihi_unet.frontend.nir.stock import RUN_IN
from loihi_unet.frontend.nir.words import OURS, neuron_node, synapse_node

SCHEMA = 1
#: Seconds of a step where a network does not say.
USUAL_DT = 1e-3


def express(network: StockNetwork) -> Graph:
    """Return a stock network as a NIR graph, our integers in its metadata.

    Raises
    ------
    NIRError
        If NIR has no word for a layer: its name and why.
    """
    return _Writer(network).graph()


def step_of(network: StockNetwork) -> float:
    """Seconds of a step: what a network came with, or the usual."""
    dt = network.provenance.get("dt")
    return dt if isinstance(dt, float) and 0 < dt < np.inf else USUAL_DT


class _Writer:
    def __init__(self, network: StockNetwork) -> None:
        self.network = network
        self.dt = step_of(network)
        self.nodes: dict[str, Node] = {}
        self.edges: list[tuple[str, str]] = []
        self.layers: list[dict[str, Any]] = []
        self.flat = {
            layer.name
            for layer in network.layers
            if any(isinstance(c.synapse, Dense) for c in layer.connections)
        }
        readers = [c for x in network.layers for c in x.connections]
        mine = [c.synapse for c in readers if c.source == network.input.name]
        if network.input.shape[1:] == (1, 1) and all(
            isinstance(s, Dense) for s in mine
        ):
            self.flat.add(network.input.name)
        self.taken = {layer.name for layer in network.layers} | {network.input.name}

    def graph(self) -> Graph:
        network = self.network
        source = network.input
        if not source.changes:
            raise NIRError(f"'{source.name}': a constant input; NIR has no word for it")
        if network.reset not in (None, RUN_IN):
            raise NIRError("a reset of all layers; NIR has no word for it")
        shape = np.array(self._shape(source.name))
        self._add(Node(source.name, "Input", {"input_type": {"input": shape}}))
        for layer in network.layers:
            self._layer(layer)
        name = self._free("output")
        shape = np.array(self._shape(network.output.name))
        self._add(Node(name, "Output", {"input_type": {"input": shape}}))
        self.edges.append((network.output.name, name))
        record = {
            "schema": SCHEMA,
            "sha256": network.sha256,
            "numSteps": network.num_steps,
            "task": network.task,
            "provenance": dict(network.provenance),
            "reset": network.reset is not None,
            "input": {
                "name": source.name,
                "shape": source.shape,
                "range": [source.minimum, source.maximum],
                "scale": source.scale,
            },
            "layers": self.layers,
        }
        metadata = {OURS: json.dumps(record, sort_keys=True)}
        return Graph(nodes=self.nodes, edges=tuple(self.edges), metadata=metadata)

    def _shape(self, name: str) -> tuple[int, ...]:
        shape = self.network.nodes[name].shape
        return shape[:1] if name in self.flat else shape

    def _free(self, name: str) -> str:
        while name in self.nodes or name in self.taken:
            name += "'"
        return name

    def _add(self, node: Node) -> None:
        self.nodes[node.name] = node

    def _layer(self, layer: StockLayer) -> None:
        where = f"layer '{layer.name}'"
        if not isinstance(layer.compartment, CUBA):
            kind = type(layer.compartment).__name__
            raise NIRError(f"{where}: {kind}; NIR has no graded spikes")
        node, bias = neuron_node(
            layer, layer.compartment, self._shape(layer.name), self.dt
        )
        synapses = []
        for i, connection in enumerate(layer.connections):
            synapse = connection.synapse
            if not isinstance(synapse, Conv | Dense):
                kind = type(synapse).__name__
                raise NIRError(f"{where}: {kind}; NIR has no word for it")
            if isinstance(synapse, Conv) == (layer.name in self.flat):
                raise NIRError(f"{where}: a convolution beside a dense synapse")
            if isinstance(synapse, Conv) and connection.source in self.flat:
                raise NIRError(f"{where}: a convolution after a dense layer")
            extra = bias if i == 0 else np.zeros(len(bias))
            synapses.append(self._connection(layer, connection, synapse, extra))
        self._add(node)
        delay = None if layer.delay is None else layer.delay.tolist()
        self.layers.append(
            {
                "name": layer.name,
                "shape": layer.shape,
                "scale": layer.scale,
                "delay": delay,
                "connections": synapses,
            }
        )

    def _connection(
        self,
        layer: StockLayer,
        connection: StockConnection,
        synapse: Conv | Dense,
        bias: npt.NDArray[Any],
    ) -> dict[str, Any]:
        before, after = self._delays(layer, connection, synapse)
        last = connection.source
        last = self._delayed(last, before, self._shape(last), f"{last} held")
        dense = isinstance(synapse, Dense)
        if dense and connection.source not in self.flat:
            name = self._free(f"{connection.source} flat")
            flat = np.array(self._shape(connection.source))
            values = {"input_type": {"input": flat}, "start_dim": 0, "end_dim": -1}
            self._add(Node(name, "Flatten", values))
            self.edges.append((last, name))
            last = name
        name = self._free(f"{layer.name} from {connection.source}")
        shape = self.network.nodes[connection.source].shape
        self._add(synapse_node(name, synapse, bias, shape))
        self.edges.append((last, name))
        last = self._delayed(name, after, self._shape(layer.name), f"{name} held")
        self.edges.append((last, layer.name))
        return {"source": connection.source, "node": name}

    def _delayed(
        self,
        last: str,
        steps: npt.NDArray[Any] | None,
        shape: tuple[int, ...],
        name: str,
    ) -> str:
        if steps is None or not steps.any():
            return last
        name = self._free(name)
        full = np.broadcast_to(steps.reshape(-1, *[1] * (len(shape) - 1)), shape)
        if steps.size == int(np.prod(shape)):
            full = steps.reshape(shape)
        self._add(Node(name, "Delay", {"delay": full * self.dt}))
        self.edges.append((last, name))
        return name

    def _delays(
        self, layer: StockLayer, connection: StockConnection, synapse: Conv | Dense
    ) -> tuple[npt.NDArray[Any] | None, npt.NDArray[Any] | None]:
        """Steps before and after a synapse, beyond what aligns it."""
        source = self.network.nodes[connection.source]
        recurrent = connection.source == layer.name
        axons = None if recurrent else getattr(source, "delay", None)
        channels = source.shape[0]
        held = np.zeros(channels, dtype=np.int64) if axons is None else axons
        stages = self.network.stages
        slack = 0 if recurrent else stages[layer.name] - stages[connection.source] - 1
        before, after = held.astype(np.int64) - slack, None
        if isinstance(synapse, Dense) and synapse.delay is not None:
            each = np.repeat(before, source.shape[1] * source.shape[2])
            total = synapse.delay + each
            before = total.min(axis=0)
            after = total[:, 0] - before[0]
            if (total != before + after[:, None]).any():
                raise NIRError(
                    f"layer '{layer.name}': delays of single synapses; NIR delays what "
                    "a neuron sends, or receives"
                )
        if (before < 0).any():
            raise NIRError(
                f"layer '{layer.name}': what '{connection.source}' sends arrives "
                "before what other layers make of it; NIR has no word for that"
            )
        return before, after


def same(a: Mapping[str, Any], b: Mapping[str, Any]) -> str | None:
    """Return the first field of ``a`` that ``b`` has otherwise, or None."""
    for key, value in a.items():
        if key == "input_type":
            mine, theirs = value["input"], (b.get(key) or {}).get("input")
        else:
            mine, theirs = value, b.get(key)
        if theirs is None or not np.array_equal(np.asarray(mine), np.asarray(theirs)):
            return key
    return None
