# SPDX-License-Identifier: BSD-3-Clause
"""Sums, differences and products with constants; normalisation by calibration."""

from typing import Any

import torch
from torch import Tensor

from loihi_unet.frontend.module.call import Call, RefusedError, as_value, operation
from loihi_unet.frontend.module.value import Value


def _sum(call: Call, first: Any, second: Any, factor: float) -> Value:
    if not isinstance(first, Value):
        negative = torch.full((second.shape[0],), factor)
        moved = call.builder.linear_channels(second, negative)
        bias = as_value(call, first, second)
        assert isinstance(bias, Tensor)  # it is no value
        return call.builder.shifted(moved, bias)
    other = as_value(call, second, first)
    if isinstance(other, Tensor):
        return call.builder.shifted(first, factor * other)
    if first.shape != other.shape or first.flat != other.flat:
        raise RefusedError(f"a sum of shapes {first.shape} and {other.shape}")
    return call.builder.add(first, other, factor)


@operation("add", "iadd", "radd")
def add(call: Call, input: Any, other: Any, *, alpha: float = 1.0, **_: Any) -> Value:
    """Values, and constants of each channel."""
    return _sum(call, input, other, float(alpha))


@operation("sub", "isub", "subtract")
def sub(call: Call, input: Any, other: Any, *, alpha: float = 1.0, **_: Any) -> Value:
    """As a sum."""
    return _sum(call, input, other, -float(alpha))


@operation("rsub")
def rsub(call: Call, input: Any, other: Any, alpha: float = 1.0) -> Value:
    """As a sum."""
    return _sum(call, other, input, -float(alpha))


@operation("neg", "negative")
def neg(call: Call, input: Value) -> Value:
    """As a product with -1."""
    return call.builder.linear_channels(input, torch.full((input.shape[0],), -1.0))


@operation("mul", "imul", "rmul", "multiply")
def mul(call: Call, input: Any, other: Any) -> Value:
    """With constants of each channel."""
    if isinstance(input, Value) and isinstance(other, Value):
        raise RefusedError("a product of two values of the network (as in attention)")
    value, thing = (input, other) if isinstance(input, Value) else (other, input)
    factor = as_value(call, thing, value)
    assert isinstance(factor, Tensor)  # it is no value
    return call.builder.linear_channels(value, factor)


@operation("div", "truediv", "itruediv", "divide", "true_divide")
def div(call: Call, input: Any, other: Any, **more: Any) -> Value:
    """By constants of each channel."""
    if not isinstance(input, Value) or isinstance(other, Value):
        raise RefusedError("a quotient by a value of the network")
    if more.get("rounding_mode"):
        raise RefusedError("a rounded quotient")
    divisor = as_value(call, other, input)
    assert isinstance(divisor, Tensor)  # it is no value
    if not bool(divisor.all()):
        raise RefusedError("a division by zero")
    return call.builder.linear_channels(input, 1 / divisor)


@operation("group_norm")
def group_norm(
    call: Call,
    input: Value,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    *_: Any,
) -> Value:
    """A scale and a shift, with statistics of the calibration pictures."""
    call.consent("group_norm")
    return _calibrated(call, input, num_groups, weight, bias, eps)


@operation("instance_norm")
def instance_norm(
    call: Call,
    input: Value,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *_: Any,
) -> Value:
    """A scale and a shift, with statistics of the calibration pictures."""
    call.consent("instance_norm")
    return _calibrated(call, input, input.shape[0], weight, bias, eps)


def _calibrated(
    call: Call,
    input: Value,
    groups: int,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> Value:
    real = call.real[0].detach().double()
    parts = real.reshape(len(real), groups, -1)
    # Of each picture, as the layer does it; then the mean over the pictures.
    middle, spread = parts.mean(dim=2).mean(0), parts.var(2, unbiased=False).mean(0)
    each = input.shape[0] // groups
    factor = (spread + eps).rsqrt().repeat_interleave(each)
    shift = -middle.repeat_interleave(each) * factor
    if weight is not None:
        factor, shift = factor * weight.detach(), shift * weight.detach()
    if bias is not None:
        shift = shift + bias.detach()
    return call.builder.shifted(call.builder.linear_channels(input, factor), shift)
