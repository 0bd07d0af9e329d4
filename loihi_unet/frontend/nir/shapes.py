# SPDX-License-Identifier: BSD-3-Clause
"""Shapes of what flows along the edges of a graph."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from export.synapse import Shape
from loihi_unet.frontend.nir.graph import Graph, Node
from loihi_unet.frontend.nir.primitives import NEURONS, NIRError

#: As NIR has it: (N,), (C, L) or (C, H, W).
NirShape = tuple[int, ...]
#: Neurons of one layer.
LARGEST = 1 << 24


def three(shape: NirShape) -> Shape:
    """Shape as (C, H, W): (N,) is (N, 1, 1), (C, L) is (C, 1, L)."""
    if len(shape) == 1:
        return (shape[0], 1, 1)
    if len(shape) == 2:
        return (shape[0], 1, shape[1])
    return (shape[0], shape[1], shape[2])


def infer(graph: Graph) -> Mapping[str, NirShape]:
    """Shape that every node gives, by its name.

    Raises
    ------
    NIRError
        If a node cannot take what enters it, or nothing reaches it.
    """
    known: dict[str, NirShape] = {}
    waiting = [graph.input.name]
    known[graph.input.name] = _declared(graph.input)
    while waiting:
        name = waiting.pop()
        for target in graph.targets(name):
            node = graph.nodes[target]
            shape = _after(node, known[name])
            if math.prod(shape) > LARGEST:
                raise NIRError(
                    f"{node.where}: it gives {shape}, at most {LARGEST} values"
                )
            if target not in known:
                known[target] = shape
                waiting.append(target)
            elif known[target] != shape:
                raise NIRError(
                    f"{node.where}: it gives {known[target]}, or {shape} from "
                    f"'{name}' of shape {known[name]}"
                )
    for node in graph.nodes.values():
        if node.name not in known:
            raise NIRError(f"{node.where}: the input does not reach it")
    return known


def _declared(node: Node) -> NirShape:
    given = node.values["input_type"]
    shape = given.get("input") if isinstance(given, Mapping) else given
    try:
        sides = tuple(int(n) for n in np.asarray(shape).reshape(-1))
    except (TypeError, ValueError):
        raise NIRError(f"{node.where}: shape {shape} found") from None
    if not 1 <= len(sides) <= 3 or min(sides) < 1 or math.prod(sides) > LARGEST:
        raise NIRError(
            f"{node.where}: shape {sides} found, (N,), (C, L) or (C, H, W) needed"
        )
    return sides


def _after(node: Node, shape: NirShape) -> NirShape:
    kind = node.kind
    if kind in ("Affine", "Linear"):
        return _dense(node, shape)
    if kind in ("Conv1d", "Conv2d"):
        return _conv(node, shape)
    if kind in ("SumPool2d", "AvgPool2d"):
        return _pool(node, shape)
    if kind == "Flatten":
        return _flat(node, shape)
    if kind == "Scale" or kind == "Delay" or kind in NEURONS:
        return _same(node, shape)
    return shape


def _same(node: Node, shape: NirShape) -> NirShape:
    key = {"Scale": "scale", "Delay": "delay"}.get(node.kind, "r")
    value_shape = node.array(key).shape
    if int(np.prod(value_shape)) not in (1, int(np.prod(shape))):
        raise NIRError(
            f"{node.where}: {key} of shape {value_shape} found, {shape} enters"
        )
    return (
        value_shape
        if len(value_shape) == 1 and value_shape[0] == int(np.prod(shape)) > 1
        else shape
    )


def _dense(node: Node, shape: NirShape) -> NirShape:
    weight = node.array("weight")
    if weight.ndim != 2:
        raise NIRError(f"{node.where}: weight of {weight.ndim} axes found, 2 needed")
    if int(np.prod(shape)) != max(shape) or weight.shape[1] != max(shape):
        raise NIRError(
            f"{node.where}: {shape} enters, ({weight.shape[1]},) needed (a Flatten?)"
        )
    _check_bias(node, len(weight))
    return (weight.shape[0],)


def _check_bias(node: Node, outputs: int) -> None:
    if node.values.get("bias") is None:
        return
    bias_shape = node.array("bias").shape
    if bias_shape != (outputs,):
        raise NIRError(
            f"{node.where}: bias of shape {bias_shape} found, ({outputs},) needed"
        )


def _conv(node: Node, shape: NirShape) -> NirShape:
    weight, axes = node.array("weight"), 1 if node.kind == "Conv1d" else 2
    groups = node.pair("groups", 1)[1]
    fits = weight.ndim == axes + 2 and len(shape) == axes + 1
    if not fits or weight.shape[1] * groups != shape[0] or weight.shape[0] % groups:
        raise NIRError(
            f"{node.where}: {shape} enters, weight {weight.shape} with {groups} groups"
        )
    _check_bias(node, len(weight))
    padding, stride = conv_padding(node), node.pair("stride", 1)
    dilation = node.pair("dilation", 1)
    sides = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(
            shape[1:],
            padding[-axes:],
            dilation[-axes:],
            weight.shape[2:],
            stride[-axes:],
            strict=True,
        )
    ]
    return _positive(node, (weight.shape[0], *sides), shape)


def conv_padding(node: Node) -> tuple[int, int]:
    """Padding of a convolution in whole numbers, words of NIR included."""
    word = node.values.get("padding")
    if isinstance(word, bytes):
        word = word.decode()
    if not isinstance(word, str):
        return node.pair("padding", 0)
    if word == "valid":
        return (0, 0)
    kernel = (1, 1, *node.array("weight").shape[2:])[-2:]
    pairs = zip(kernel, node.pair("dilation", 1), strict=True)
    total = [d * (k - 1) for k, d in pairs]
    if word != "same" or any(n % 2 for n in total):
        raise NIRError(
            f"{node.where}: padding '{word}' found; valid, same with an odd kernel, or "
            "numbers needed"
        )
    return total[0] // 2, total[1] // 2


def _pool(node: Node, shape: NirShape) -> NirShape:
    if len(shape) != 3:
        raise NIRError(f"{node.where}: {shape} enters, (C, H, W) needed")
    sides = [
        (n + 2 * p - k) // s + 1
        for n, p, k, s in zip(
            shape[1:],
            node.pair("padding", 0),
            node.pair("kernel_size", 1),
            node.pair("stride", 1),
            strict=True,
        )
    ]
    return _positive(node, (shape[0], *sides), shape)


def _flat(node: Node, shape: NirShape) -> NirShape:
    first, last = node.axis("start_dim", len(shape)), node.axis("end_dim", len(shape))
    if first > last:
        raise NIRError(f"{node.where}: axes {first}..{last} found")
    middle = int(np.prod(shape[first : last + 1]))
    return (*shape[:first], middle, *shape[last + 1 :])


def _positive(node: Node, result: NirShape, shape: NirShape) -> NirShape:
    if min(result) < 1:
        raise NIRError(f"{node.where}: {shape} enters, no output is left")
    return result
