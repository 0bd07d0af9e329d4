# SPDX-License-Identifier: BSD-3-Clause
"""NIR file -> `Graph`: read by the package nir, taken apart, checked."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from export.errors import UserError, one_line
from export.files.kind import expect
from loihi_unet.frontend.nir.graph import Edge, Graph, Node, checked
from loihi_unet.frontend.nir.primitives import NIRError


def nir_package() -> Any:
    """Return the package nir.

    Raises
    ------
    UserError
        If it is not installed.
    """
    try:
        import nir
    except ImportError:
        raise UserError(
            "NIR graphs need the package nir: pip install 'loihi-unet[nir]'"
        ) from None
    return nir


def read_graph(path: Path) -> Graph:
    """Read a NIR file.

    Parameters
    ----------
    path : Path
        HDF5 file as ``nir.write`` leaves it.

    Returns
    -------
    Graph
        Flat and checked.

    Raises
    ------
    UserError
        If nir is not installed, or the file is no NIR graph, damaged, or holds
        what is not read: file, node and why.
    """
    expect(path, "nir", error=NIRError)
    nir = nir_package()
    try:
        # Types are checked here: nir's check refuses what its own older files hold.
        nir_graph = nir.read(path, type_check=False)
    except MemoryError:
        raise
    # nir has no error of its own: it asserts, or fails inside on what is missing.
    except Exception as error:
        reason = one_line((str(error).splitlines() or [repr(error)])[0])
        raise NIRError(f"{path}: no readable NIR graph ({reason})") from error
    try:
        return flatten(nir_graph)
    except UserError as error:
        raise NIRError(f"{path}: {error}") from None


def flatten(nir_graph: Any) -> Graph:
    """Return a ``nir.NIRGraph`` without its nesting.

    Parameters
    ----------
    nir_graph : nir.NIRGraph
        Nested graphs have one Input and one Output each.

    Returns
    -------
    Graph
        Nodes of a nested graph are named ``outer.inner``.

    Raises
    ------
    NIRError
        If a graph is not well formed, or holds what is not read.
    """
    if type(nir_graph).__name__ != "NIRGraph":
        raise NIRError(f"{type(nir_graph).__name__} found, a NIRGraph needed")
    nodes: dict[str, Node] = {}
    edges = _collect(nir_graph, "", nodes)
    inner = [n for n in nodes.values() if "." in n.name and n.name in _ports(nir_graph)]
    for node in inner:
        before = [a for a, b in edges if b == node.name]
        after = [b for a, b in edges if a == node.name]
        edges = [e for e in edges if node.name not in e]
        edges += [(a, b) for a in before for b in after]
        del nodes[node.name]
    metadata = dict(nir_graph.metadata)
    return checked(Graph(nodes=nodes, edges=tuple(edges), metadata=metadata))


def _ports(nir_graph: Any, prefix: str = "", depth: int = 0) -> set[str]:
    """Names of the Inputs and Outputs of nested graphs."""
    names: set[str] = set()
    for name, node in nir_graph.nodes.items():
        kind = type(node).__name__
        if kind == "NIRGraph":
            names |= _ports(node, f"{prefix}{name}.", depth + 1)
        elif depth and kind in ("Input", "Output"):
            names.add(f"{prefix}{name}")
    return names


def _collect(nir_graph: Any, prefix: str, nodes: dict[str, Node]) -> list[Edge]:
    """Put all nodes into ``nodes``; return all edges, between inner nodes only."""
    edges: list[Edge] = []
    doors: dict[str, tuple[str, str]] = {}
    for name, node in nir_graph.nodes.items():
        full = f"{prefix}{name}"
        kind = type(node).__name__
        if kind == "NIRGraph":
            edges += _collect(node, f"{full}.", nodes)
            doors[name] = (_port(node, "Input", full), _port(node, "Output", full))
        elif full in nodes:
            raise NIRError(f"node '{full}': the name is there twice")
        else:
            values = {
                f.name: getattr(node, f.name)
                for f in dataclasses.fields(node)
                if f.name not in ("metadata", "output_type")
            }
            if not isinstance(node.metadata, dict):
                raise NIRError(f"node '{full}' ({kind}): metadata that is no group")
            nodes[full] = Node(full, kind, values, node.metadata)
    pairs = [(str(a), str(b)) for a, b in nir_graph.edges]
    for pair in pairs:
        if pairs.count(pair) > 1:
            raise NIRError(f"edge '{pair[0]}' -> '{pair[1]}': there twice")
        if missing := [name for name in pair if name not in nir_graph.nodes]:
            raise NIRError(
                f"edge '{pair[0]}' -> '{pair[1]}': there is no node '{missing[0]}'"
            )
        a, b = pair
        source = doors[a][1] if a in doors else f"{prefix}{a}"
        target = doors[b][0] if b in doors else f"{prefix}{b}"
        edges.append((source, target))
    return edges


def _port(graph: Any, kind: str, full: str) -> str:
    ports = [n for n, node in graph.nodes.items() if type(node).__name__ == kind]
    if len(ports) != 1:
        raise NIRError(
            f"node '{full}' (NIRGraph): {len(ports)} {kind} nodes found, one needed"
        )
    return f"{full}.{ports[0]}"
