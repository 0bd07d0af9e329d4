# SPDX-License-Identifier: BSD-3-Clause
"""NIR's linear nodes on arrays: plain NumPy, float64, leading axes kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from loihi_unet.frontend.nir.graph import Float, Node
from loihi_unet.frontend.nir.shapes import NirShape, conv_padding, three


def apply(node: Node, x: Float, before: NirShape, bias: bool = True) -> Float:
    """What a linear node makes of its input; a Delay hands it on.

    Parameters
    ----------
    node : Node
        Of a kind in `primitives.LINEAR`.
    x : ndarray, shape (runs, *before)
        What enters.
    before : tuple of int
        Shape of one input.
    bias : bool
        Whether to add the node's bias.

    Returns
    -------
    ndarray, shape (runs, *after)
    """
    match node.kind:
        case "Affine" | "Linear":
            y: Float = x.reshape(len(x), -1) @ node.array("weight").T
            if bias and node.kind == "Affine":
                y = y + node.array("bias")
            return y
        case "Conv1d" | "Conv2d":
            return _conv(node, x, before, bias)
        case "SumPool2d" | "AvgPool2d":
            return _pool(node, x)
        case "Scale":
            scale = node.array("scale")
            full = scale.reshape(before) if scale.size > 1 else scale.reshape(())
            return x * full
        case "Flatten":
            first = node.axis("start_dim", len(before))
            last = node.axis("end_dim", len(before))
            return x.reshape(len(x), *before[:first], -1, *before[last + 1 :])
        case _:
            return x


def geometry(node: Node) -> dict[str, Any]:
    """Stride, padding, dilation and groups of a convolution, along (H, W)."""
    return {
        "stride": node.pair("stride", 1),
        "padding": conv_padding(node),
        "dilation": node.pair("dilation", 1),
        "groups": node.pair("groups", 1)[1],
    }


def kernel(node: Node) -> Float:
    """Weight of a convolution, shape (O, I / groups, K_h, K_w)."""
    weight = node.array("weight")
    return weight[:, :, None, :] if weight.ndim == 3 else weight


def convolve(
    x: Float,
    weight: Float,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> Float:
    """Cross-correlation of (runs, C, H, W) in float64, tap by tap."""
    (ph, pw), (kh, kw) = padding, weight.shape[2:]
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    size = [
        (n - d * (k - 1) - 1) // s + 1
        for n, d, k, s in zip(x.shape[2:], dilation, (kh, kw), stride, strict=True)
    ]
    parts = x.reshape(len(x), groups, -1, *x.shape[2:])
    kernels = weight.reshape(groups, -1, *weight.shape[1:])
    total = np.zeros((len(x), groups, kernels.shape[1], *size))
    for i in range(kh):
        for j in range(kw):
            top, left = i * dilation[0], j * dilation[1]
            rows = slice(top, top + (size[0] - 1) * stride[0] + 1, stride[0])
            columns = slice(left, left + (size[1] - 1) * stride[1] + 1, stride[1])
            tap = kernels[..., i, j]
            total += np.einsum("goi,bgihw->bgohw", tap, parts[..., rows, columns])
    return total.reshape(len(x), -1, *size)


def _conv(node: Node, x: Float, before: NirShape, bias: bool) -> Float:
    y = convolve(x.reshape(len(x), *three(before)), kernel(node), **geometry(node))
    if bias and node.values.get("bias") is not None:
        y = y + node.array("bias").reshape(-1, 1, 1)
    return y[:, :, 0] if node.kind == "Conv1d" else y


def _pool(node: Node, x: Float) -> Float:
    channels = x.shape[1]
    size = node.pair("kernel_size", 1)
    weight = np.full((channels, 1, *size), pool_weight(node))
    stride, padding = node.pair("stride", 1), node.pair("padding", 0)
    return convolve(x, weight, stride, padding, (1, 1), channels)


def pool_weight(node: Node) -> float:
    """What a pool multiplies each value of its window by, padding included."""
    height, width = node.pair("kernel_size", 1)
    return 1.0 if node.kind == "SumPool2d" else 1 / (height * width)
