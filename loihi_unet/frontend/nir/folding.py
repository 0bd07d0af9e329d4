# SPDX-License-Identifier: BSD-3-Clause
"""Convolutions, pools and scales, one after the other, as one convolution."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from export.synapse import Pair, Shape
from loihi_unet.frontend.nir.apply import apply, geometry, kernel, pool_weight
from loihi_unet.frontend.nir.graph import Float, Ints, Node
from loihi_unet.frontend.nir.shapes import NirShape, three


@dataclass(frozen=True, eq=False)
class Kernel:
    """A convolution in floats; see `export.synapse.Conv`."""

    weight: Float
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1


def sources_of(nodes: list[Node], first: str) -> list[str]:
    """Node before each of these, the first of which comes after ``first``."""
    return [first, *(node.name for node in nodes)][: len(nodes)]


def fold(nodes: list[Node], shapes: dict[str, NirShape], source: str) -> Kernel | None:
    """Return linear nodes after a source as one kernel; None if they are none.

    Parameters
    ----------
    nodes : list of Node
        In order; delays are passed over.
    shapes : dict
        What every node gives.
    source : str
        Node before the first of them.
    """
    channels = three(shapes[source])[0]
    kernel = Kernel(np.ones((channels, 1, 1, 1)), groups=channels)
    for node, before in zip(nodes, sources_of(nodes, source), strict=True):
        if node.kind == "Delay":
            continue
        step = _as_kernel(node, shapes[before])
        joined = None if step is None else _join(kernel, step, three(shapes[source]))
        if joined is None:
            return None
        kernel = joined
    return kernel


def _as_kernel(node: Node, before: NirShape) -> Kernel | None:
    channels = three(before)[0]
    if node.kind in ("Conv1d", "Conv2d"):
        return Kernel(kernel(node), **geometry(node))
    if node.kind == "Scale":
        scale = np.broadcast_to(
            apply(node, np.ones((1, *before)), before)[0].reshape(three(before)),
            three(before),
        )
        each = scale[:, :1, :1]
        if (scale != each).any():
            return None
        return Kernel(each[:, None], groups=channels)
    size, weight = node.pair("kernel_size", 1), pool_weight(node)
    return Kernel(
        np.full((channels, 1, *size), weight),
        stride=node.pair("stride", 1),
        padding=node.pair("padding", 0),
        groups=channels,
    )


def _join(first: Kernel, then: Kernel, shape: Shape) -> Kernel | None:
    """The second after the first as one kernel, if there is one."""
    if _pointwise(then):
        return dataclasses.replace(first, weight=first.weight * then.weight)
    if not _borders(first, then, shape):
        return None
    if first.weight.shape[1] == 1 and first.groups == len(first.weight):
        groups = then.groups
        # One channel of the source for every weight [o, i].
        spread = first.weight[_channels_read(then), 0]
        tap_by = "oi,oihw->oihw"
    else:
        groups, spread = 1, _ungrouped(first)
        then = Kernel(_ungrouped(then), then.stride, then.padding, then.dilation)
        tap_by = "om,mihw->oihw"
    (kh, kw), (ph, pw) = then.weight.shape[2:], first.weight.shape[2:]
    (sh, sw), (fh, fw) = first.stride, first.dilation
    (dh, dw) = then.dilation
    reach = ((ph - 1) * fh + 1, (pw - 1) * fw + 1)
    size = ((kh - 1) * dh * sh + reach[0], (kw - 1) * dw * sw + reach[1])
    weight = np.zeros((len(then.weight), spread.shape[1], *size))
    for i in range(kh):
        for j in range(kw):
            top, left = i * dh * sh, j * dw * sw
            rows = slice(top, top + reach[0], fh)
            columns = slice(left, left + reach[1], fw)
            tap = np.einsum(tap_by, then.weight[:, :, i, j], spread)
            weight[:, :, rows, columns] += tap
    return Kernel(
        weight,
        stride=(sh * then.stride[0], sw * then.stride[1]),
        padding=(
            first.padding[0] + then.padding[0] * sh,
            first.padding[1] + then.padding[1] * sw,
        ),
        groups=groups,
    )


def _channels_read(kernel: Kernel) -> Ints:
    """Input channel of every weight [o, i]."""
    outputs, inputs = kernel.weight.shape[:2]
    group = np.arange(outputs) // (outputs // kernel.groups)
    channels: Ints = group[:, None] * inputs + np.arange(inputs)
    return channels


def _ungrouped(kernel: Kernel) -> Float:
    """Weights of one group, with zeros where groups have none."""
    outputs, inputs, *size = kernel.weight.shape
    weight = np.zeros((outputs, inputs * kernel.groups, *size))
    weight[np.arange(outputs)[:, None], _channels_read(kernel)] = kernel.weight
    return weight


def _pointwise(then: Kernel) -> bool:
    ones = then.weight.shape[1:] == (1, 1, 1)
    return ones and then.stride == (1, 1) and then.padding == (0, 0)


def _borders(first: Kernel, then: Kernel, shape: Shape) -> bool:
    """Whether zeros around what the first gives are zeros around its source."""
    dilated = first.dilation
    for axis in (0, 1):
        if not then.padding[axis]:
            continue
        n, k = shape[1 + axis], first.weight.shape[2 + axis]
        k = (k - 1) * dilated[axis] + 1
        stride, padding = first.stride[axis], first.padding[axis]
        outputs = (n + 2 * padding - k) // stride + 1
        if padding or k > stride or outputs * stride < n:
            return False
    return True
