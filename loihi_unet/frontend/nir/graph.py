# SPDX-License-Identifier: BSD-3-Clause
"""A NIR graph as plain arrays: no nesting, every shape known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from loihi_unet.frontend.nir.primitives import LINEAR, NEURONS, NIRError

Float = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Edge = tuple[str, str]

# Of a kernel, stride, padding or number of groups.
_LARGEST = 1 << 16


@dataclass(frozen=True, eq=False)
class Node:
    """One node.

    Attributes
    ----------
    name, kind : str
        In its graph, and NIR's word for it.
    values : mapping
        NIR's fields of it.
    metadata : mapping
        What its writer kept beside them.
    """

    name: str
    kind: str
    values: Mapping[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """The node, for an error."""
        return f"node '{self.name}' ({self.kind})"

    def array(self, key: str) -> Float:
        """Return a field as float64.

        Raises
        ------
        NIRError
            If it is missing, no number, or not finite.
        """
        try:
            values = np.asarray(self.values[key], dtype=np.float64)
        except (KeyError, TypeError, ValueError):
            raise NIRError(f"{self.where}: {key} missing or no number") from None
        if not np.isfinite(values).all():
            raise NIRError(f"{self.where}: {key} holds a value that is not finite")
        return values

    def axis(self, key: str, axes: int) -> int:
        """Return a field that counts axes, from the front."""
        value = self.array(key)
        if value.size != 1 or not -axes <= value.flat[0] < axes:
            raise NIRError(
                f"{self.where}: {key} {self.values[key]} found, {-axes}..{axes - 1} "
                "needed"
            )
        return int(value.flat[0]) % axes

    def pair(self, key: str, minimum: int) -> tuple[int, int]:
        """Return a field of one or two whole numbers as (along H, along W)."""
        values = self.array(key).reshape(-1)
        flat = values.size in (1, 2) and (values == np.round(values)).all()
        if not flat or (values < minimum).any() or (values > _LARGEST).any():
            raise NIRError(
                f"{self.where}: {key} {self.values[key]} found, whole numbers "
                f"{minimum}..{_LARGEST} needed"
            )
        first, last = int(values[0]), int(values[-1])
        if values.size == 1 and self.kind == "Conv1d":
            first = {"padding": 0}.get(key, 1)
        return first, last


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes and edges of one flat graph.

    Attributes
    ----------
    nodes : mapping of str to Node
    edges : tuple of (source, target)
        An edge that is there twice adds twice.
    metadata : mapping
        Of the outermost graph.
    """

    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def sources(self, name: str) -> list[str]:
        """Nodes that an edge leads from into this one."""
        return [a for a, b in self.edges if b == name]

    def targets(self, name: str) -> list[str]:
        """Nodes that an edge leads to from this one."""
        return [b for a, b in self.edges if a == name]

    def of_kind(self, *kinds: str) -> list[Node]:
        """Nodes of these kinds, in order."""
        return [node for node in self.nodes.values() if node.kind in kinds]

    @property
    def input(self) -> Node:
        """The only Input."""
        return self._only("Input")

    @property
    def output(self) -> Node:
        """The only Output."""
        return self._only("Output")

    def _only(self, kind: str) -> Node:
        nodes = self.of_kind(kind)
        if len(nodes) != 1:
            names = ", ".join(repr(node.name) for node in nodes) or "none"
            raise NIRError(f"{kind} nodes: {names} found, one needed")
        return nodes[0]


def checked(graph: Graph) -> Graph:
    """Return the graph itself, if its edges and kinds are right.

    Raises
    ------
    NIRError
        For a kind that is refused, a loose end, or an edge into nowhere.
    """
    for node in graph.nodes.values():
        if node.kind not in NEURONS | LINEAR | {"Input", "Output"}:
            raise NIRError(f"{node.where}: not read; see docs/nir.md for what is")
    for a, b in graph.edges:
        for name in (a, b):
            if name not in graph.nodes:
                raise NIRError(f"edge '{a}' -> '{b}': there is no node '{name}'")
        if b == graph.input.name or a == graph.output.name:
            raise NIRError(f"edge '{a}' -> '{b}': into the input or out of the output")
    for node in graph.nodes.values():
        if node.kind != "Input" and not graph.sources(node.name):
            raise NIRError(f"{node.where}: nothing enters it")
    return graph
