# SPDX-License-Identifier: BSD-3-Clause
"""Torch's functions by what they are to the tracer: questions, constants, refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: Questions about a tensor that no picture changes the answer of.
QUESTIONS = frozenset(
    (
        "size",
        "dim",
        "numel",
        "nelement",
        "ndimension",
        "is_floating_point",
        "is_complex",
        "get_device",
        "is_contiguous",
        "stride",
        "len",
        "element_size",
        "storage_offset",
        "is_cuda",
        "dtype",
        "device",
        "shape",
        "ndim",
        "is_same_size",
        "layout",
        "requires_grad",
        "is_leaf",
        "hash",
        "repr",
        "format",
    )
)
#: Give constants of a tensor's shape.
CONSTANTS = frozenset(
    (
        "zeros_like",
        "ones_like",
        "full_like",
        "new_zeros",
        "new_ones",
        "new_full",
        "new_tensor",
        "new_empty",
        "empty_like",
    )
)
#: Why a function is refused that no operation stands for.
REASONS = {
    "scaled_dot_product_attention": "attention multiplies values of the network",
    "multi_head_attention_forward": "attention multiplies values of the network",
    "native_multi_head_attention": "attention multiplies values of the network",
    "matmul": "a product of two values of the network (as in attention)",
    "bmm": "a product of two values of the network (as in attention)",
    "max_unpool2d": "it needs the places of the maxima, which no spike carries",
    "lstm": "a recurrent layer: the network is shown one picture, without memory",
    "gru": "a recurrent layer: the network is shown one picture, without memory",
    "rnn_tanh": "a recurrent layer: the network is shown one picture, without memory",
    "rnn_relu": "a recurrent layer: the network is shown one picture, without memory",
    "lstm_cell": "a recurrent layer: the network is shown one picture, without memory",
    "gru_cell": "a recurrent layer: the network is shown one picture, without memory",
    "layer_norm": "statistics of each picture; GroupNorm and BatchNorm are allowed",
    "grid_sample": "places that depend on the picture",
}
#: Take a number from a tensor.
CONTROL = frozenset(
    ("bool", "int", "float", "index", "item", "tolist", "numpy", "array", "contains")
)


def name_of(func: Callable[..., Any]) -> str:
    """Return the name that a function is registered under."""
    name = getattr(func, "__name__", str(func))
    if name == "__get__":
        name = getattr(getattr(func, "__self__", None), "__name__", name)
        return "detach" if name == "data" else str(name)
    if name.startswith("__") and name.endswith("__"):
        return str(name[2:-2])
    return str(name).rstrip("_").lstrip("_")


def no_tensor(name: str) -> str:
    """Return why a function of the network is refused that gives no tensor."""
    if name in CONTROL:
        return "control flow or a number that depends on the picture"
    return "something other than a tensor is made of a value of the network"
