# SPDX-License-Identifier: BSD-3-Clause
"""Nonlinearities: those that ReLUs make up, and those that need consent."""

import math
from typing import Any

import torch
from torch import Tensor

from loihi_unet.frontend.module.call import (
    Call,
    RefusedError,
    as_value,
    operation,
    pair,
)
from loihi_unet.frontend.module.ops_linear import image, means
from loihi_unet.frontend.module.relus import clipped, larger
from loihi_unet.frontend.module.taps import Taps, convolution
from loihi_unet.frontend.module.value import Value


@operation("relu")
def relu(call: Call, input: Value, *_: Any, **__: Any) -> Value:
    """A layer of neurons."""
    return call.builder.relu(input)


@operation("relu6")
def relu6(call: Call, input: Value, *_: Any, **__: Any) -> Value:
    """``relu(x) - relu(x - 6)``."""
    call.how = "the difference of two ReLUs"
    return clipped(call.builder, input, 0.0, 6.0)


@operation("hardtanh", "clamp", "clip")
def hardtanh(
    call: Call,
    input: Value,
    min_val: Any = None,
    max_val: Any = None,
    *_: Any,
    **k: Any,
) -> Value:
    """``low + relu(x - low) - relu(x - high)``."""
    low = k.get("min", min_val)
    high = k.get("max", max_val)
    if isinstance(low, Value | Tensor) or isinstance(high, Value | Tensor):
        raise RefusedError("limits that are tensors")
    call.how = "the difference of two ReLUs"
    if low is None and high is not None:
        below = clipped(call.builder, _negative(call, input), -float(high), math.inf)
        return _negative(call, below)
    return clipped(
        call.builder, input, float(low), math.inf if high is None else float(high)
    )


def _negative(call: Call, value: Value) -> Value:
    return call.builder.linear_channels(value, torch.full((value.shape[0],), -1.0))


@operation("clamp_min")
def clamp_min(call: Call, input: Value, min: float) -> Value:
    """``low + relu(x - low)``."""
    return clipped(call.builder, input, float(min), math.inf)


@operation("abs", "absolute")
def absolute(call: Call, input: Value) -> Value:
    """``relu(x) + relu(-x)``."""
    builder = call.builder
    return builder.add(builder.relu(input), builder.relu(_negative(call, input)))


@operation("hardsigmoid")
def hardsigmoid(call: Call, input: Value, *_: Any, **__: Any) -> Value:
    """``clip(x / 6 + 1 / 2, 0, 1)``."""
    builder, ones = call.builder, torch.ones(input.shape[0])
    moved = builder.shifted(builder.linear_channels(input, ones / 6), ones / 2)
    return clipped(builder, moved, 0.0, 1.0)


@operation("maximum")
def maximum(call: Call, input: Value, other: Any) -> Value:
    """``b + relu(a - b)``."""
    second = as_value(call, other, input)
    if isinstance(second, Tensor):
        second = Value(input.shape, {}, second, input.name, input.flat)
    return larger(call.builder, input, second)


@operation("leaky_relu")
def leaky_relu(
    call: Call, input: Value, negative_slope: float = 0.01, *_: Any, **__: Any
) -> Value:
    """A pair of ReLUs, or one."""
    slope = torch.full((input.shape[0],), float(negative_slope))
    return _leaky(call, input, slope, call.consent("leaky_relu"))


@operation("prelu")
def prelu(call: Call, input: Value, weight: Tensor) -> Value:
    """A pair of ReLUs, or one."""
    slope = weight.detach().expand(input.shape[0])
    return _leaky(call, input, slope, call.consent("prelu"))


def _leaky(call: Call, input: Value, slope: Tensor, way: str) -> Value:
    builder = call.builder
    positive = builder.relu(input)
    if way == "relu":
        return positive
    negative = builder.relu(_negative(call, input))
    return builder.add(positive, builder.linear_channels(negative, -slope))


@operation("elu")
def elu(call: Call, input: Value, alpha: float = 1.0, *_: Any, **__: Any) -> Value:
    """A ReLU, or one that is shifted by alpha."""
    if call.consent("elu") == "relu":
        return call.builder.relu(input)
    return clipped(call.builder, input, -float(alpha), math.inf)


def _as_relu(name: str) -> None:
    @operation(name)
    def replaced(call: Call, input: Value, *_: Any, **__: Any) -> Value:
        call.consent(name)
        return call.builder.relu(input)


for _name in ("silu", "gelu", "hardswish", "mish", "softplus"):
    _as_relu(_name)


@operation("tanh")
def tanh(call: Call, input: Value) -> Value:
    """Clipped."""
    call.consent("tanh")
    return clipped(call.builder, input, -1.0, 1.0)


def _head(name: str) -> None:
    @operation(name)
    def left(call: Call, input: Value, *_: Any, **__: Any) -> Value:
        call.consent(name)
        return Value(
            input.shape, dict(input.terms), input.bias, input.name, input.flat, name
        )


for _name in ("sigmoid", "softmax", "log_softmax", "argmax"):
    _head(_name)


@operation("max_pool2d", "max_pool2d_with_indices")
def max_pool2d(
    call: Call,
    input: Value,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Value:
    """Three ways, by consent."""
    way = call.consent("max_pool2d")
    result = call.result[0] if isinstance(call.result, tuple) else call.result
    size = (int(result.shape[2]), int(result.shape[3]))
    kernel = pair(kernel_size)
    steps = kernel if stride is None or stride == [] else pair(stride)
    places, spread = pair(padding), pair(dilation)
    if ceil_mode or (places != (0, 0) and not call.builder.nonnegative(input)):
        raise RefusedError("a maximum over a border that is not zero")
    depth, builder = image(input).shape[0], call.builder
    if way != "exact":
        taps = convolution(means(depth, kernel), steps, places, spread, depth)
        pooled = builder.linear(input, taps, size, name=call.name)
        return builder.carried(pooled) if way == "convolution" else pooled
    wide = (input.size[0], size[1])
    rows = _largest(call, input, wide, 1, kernel[1], (1, steps[1]), places, spread)
    return _largest(call, rows, size, 0, kernel[0], (steps[0], 1), places, spread)


def _largest(
    call: Call,
    value: Value,
    size: tuple[int, int],
    axis: int,
    count: int,
    down: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> Value:
    """The largest of neighbours along one axis."""
    eye = torch.eye(value.shape[0]).double()[:, :, None, None]
    parts = []
    for tap in range(count):
        place = padding[axis] - tap * dilation[axis]
        offset = (place, 0) if axis == 0 else (0, place)
        taps = Taps(weight=eye, offset=offset, down=down)
        parts.append(call.builder.linear(value, taps, size, name=call.name))
    while len(parts) > 1:
        pairs = list(zip(parts[::2], parts[1::2], strict=False))
        rest = parts[-1:] if len(parts) % 2 else []
        parts = [larger(call.builder, a, b) for a, b in pairs] + rest
    # Read by many: one layer of neurons, not a tree of them again.
    return call.builder.carried(parts[0])
