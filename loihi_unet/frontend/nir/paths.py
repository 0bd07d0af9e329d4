# SPDX-License-Identifier: BSD-3-Clause
"""Linear nodes between two neurons as one synapse, in floats.

A pool or a convolution before a convolution becomes a larger convolution. All that
is flat, and whatever ends flat and does not fold, becomes a matrix. Both are exact.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from loihi_unet.frontend.nir.apply import apply
from loihi_unet.frontend.nir.folding import Kernel, fold, sources_of
from loihi_unet.frontend.nir.graph import Float, Graph, Ints, Node
from loihi_unet.frontend.nir.neurons import delay_steps, is_neuron
from loihi_unet.frontend.nir.primitives import NIRError
from loihi_unet.frontend.nir.shapes import NirShape, three

#: Elements of a matrix that stands for what does not fold.
LARGEST_MATRIX = 1 << 22
#: Linear nodes in a row, and ways into one layer, of a graph that somebody meant.
LONGEST, MOST = 64, 1024


@dataclass(frozen=True)
class Path:
    """A way from a neuron, or the input, over linear nodes only.

    Attributes
    ----------
    source : str
        Where it begins.
    nodes : tuple of str
        Linear nodes in order; may be empty.
    """

    source: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Matrix:
    """A dense synapse in floats, and the delay of each weight where any has one."""

    weight: Float
    delay: Ints | None = None


@dataclass(frozen=True, eq=False)
class Link:
    """One connection in floats.

    Attributes
    ----------
    source : str
        Neuron, or the input.
    synapse : Kernel or Matrix
    delay : ndarray of shape (C,) or None
        Steps that a Kernel's source channels are held back by.
    """

    source: str
    synapse: Kernel | Matrix
    delay: Ints | None = None


def paths_into(graph: Graph, target: str) -> list[Path]:
    """All paths that end in a node.

    Raises
    ------
    NIRError
        If linear nodes form a loop without a neuron, or are too many.
    """
    paths: list[Path] = []

    def walk(name: str, after: tuple[str, ...]) -> None:
        node = graph.nodes[name]
        if is_neuron(node) or node.kind == "Input":
            paths.append(Path(name, after))
            if len(paths) > MOST:
                raise NIRError(f"node '{target}': more than {MOST} ways into it found")
            return
        if len(after) == LONGEST:
            raise NIRError(
                f"node '{target}': more than {LONGEST} nodes without a neuron before it"
            )
        if name in after:
            raise NIRError(f"{node.where}: a loop without a neuron found")
        for source in graph.sources(name):
            walk(source, (name, *after))

    for source in graph.sources(target):
        walk(source, ())
    return paths


def constant(graph: Graph, target: str, shapes: dict[str, NirShape]) -> Float:
    """What biases of linear nodes add to a node's input, shape (C, H, W)."""

    @functools.cache
    def value(name: str) -> Float:
        node = graph.nodes[name]
        if is_neuron(node) or node.kind == "Input":
            return np.zeros((1, *shapes[name]))
        sources = graph.sources(name)
        before = shapes[sources[0]]
        total = sum(value(source).reshape(1, *before) for source in sources)
        return apply(node, total, before)  # type: ignore[arg-type]

    shape = three(shapes[target])
    sources = graph.sources(target)
    return sum((value(s).reshape(shape) for s in sources), np.zeros(shape))


def link(
    graph: Graph, path: Path, target: str, shapes: dict[str, NirShape], dt: float
) -> Link:
    """One path as a connection.

    Raises
    ------
    NIRError
        If it folds into no convolution and its matrix would be too large.
    """
    nodes = [graph.nodes[name] for name in path.nodes]
    source, end = shapes[path.source], shapes[target]
    flat = three(end)[1:] == (1, 1)
    if not (flat and three(source)[1:] == (1, 1)) and not any(map(_flattens, nodes)):
        folded = fold(nodes, shapes, path.source)
        delay = _channel_delay(nodes, shapes, path.source, dt)
        if folded is not None and delay is not None:
            return Link(path.source, folded, delay if delay.any() else None)
    if not flat:
        raise NIRError(
            f"'{path.source}' -> '{target}' over {list(path.nodes)}: this folds into "
            "no convolution"
        )
    return Link(path.source, _matrix(nodes, shapes, path, target, dt))


def _flattens(node: Node) -> bool:
    return node.kind in ("Affine", "Linear", "Flatten")


def _channel_delay(
    nodes: list[Node], shapes: dict[str, NirShape], source: str, dt: float
) -> Ints | None:
    """Steps per source channel; None if they are no such thing."""
    channels = three(shapes[source])[0]
    total, mixed = np.zeros(channels, dtype=np.int64), False
    for node, before in zip(nodes, sources_of(nodes, source), strict=True):
        if node.kind != "Delay":
            mixed |= node.kind != "Scale"
            continue
        steps = delay_steps(node, shapes[before], dt).reshape(three(shapes[before]))
        if (steps != steps.flat[0]).any():
            if mixed or (steps != steps[:, :1, :1]).any():
                return None
            total = total + steps[:, 0, 0]
        else:
            total = total + int(steps.flat[0])
    return total


def _matrix(
    nodes: list[Node],
    shapes: dict[str, NirShape],
    path: Path,
    target: str,
    dt: float,
) -> Matrix:
    source, end = shapes[path.source], shapes[target]
    size = int(np.prod(source)) * int(np.prod(end))
    if size > LARGEST_MATRIX:
        raise NIRError(
            f"'{path.source}' -> '{target}' over {list(path.nodes)}: a matrix of "
            f"{size} weights found, {LARGEST_MATRIX} at most"
        )
    x = np.eye(int(np.prod(source))).reshape(-1, *source)
    for node, before in zip(nodes, sources_of(nodes, path.source), strict=True):
        x = apply(node, x.reshape(len(x), *shapes[before]), shapes[before], bias=False)
    weight = x.reshape(len(x), -1).T.copy()
    delay = _matrix_delay(nodes, shapes, path.source, dt, weight.shape)
    return Matrix(weight, delay if delay.any() else None)


def _matrix_delay(
    nodes: list[Node],
    shapes: dict[str, NirShape],
    source: str,
    dt: float,
    size: tuple[int, ...],
) -> Ints:
    """Steps per weight: those of what it reads, and of what it gives to."""
    total = np.zeros(size, dtype=np.int64)
    mixing = [node.kind not in ("Scale", "Flatten", "Delay") for node in nodes]
    befores = sources_of(nodes, source)
    for i, (node, before) in enumerate(zip(nodes, befores, strict=True)):
        if node.kind != "Delay":
            continue
        steps = delay_steps(node, shapes[before], dt).reshape(-1)
        if (steps == steps[0]).all():
            total += steps[0]
        elif not any(mixing[:i]):
            total += steps
        elif not any(mixing[i:]):
            total += steps[:, None]
        else:
            raise NIRError(
                f"{node.where}: delays that differ between two linear nodes; beside a "
                "neuron they may"
            )
    return total
