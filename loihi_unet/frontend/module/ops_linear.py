# SPDX-License-Identifier: BSD-3-Clause
"""Convolutions, fully connected layers, batch normalisation, average pools."""

from typing import Any

import torch
from torch import Tensor

from loihi_unet.frontend.module.call import Call, RefusedError, operation, pair
from loihi_unet.frontend.module.taps import Taps, convolution, transposed
from loihi_unet.frontend.module.value import Value


def mapped(
    call: Call, value: Value, taps: Taps, bias: Tensor | None = None, **more: Any
) -> Value:
    """Return a linear map of a value, and a bias."""
    result = call.builder.linear(value, taps, call.size, name=call.name, **more)
    return result if bias is None else call.builder.shifted(result, bias.detach())


def image(value: Value) -> Value:
    """Refuse a flat tensor where torch takes any."""
    if value.flat:
        raise RefusedError("a tensor without height and width")
    return value


@operation("conv2d")
def conv2d(
    call: Call,
    input: Value,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Value:
    """Any geometry."""
    dilation = pair(dilation)
    if padding == "same":
        spans = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        padding = (spans[0] // 2, spans[1] // 2)
    elif padding == "valid":
        padding = 0
    taps = convolution(weight.detach(), pair(stride), pair(padding), dilation, groups)
    return mapped(call, image(input), taps, bias)


@operation("conv_transpose2d")
def conv_transpose2d(
    call: Call,
    input: Value,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Value:
    """Any geometry."""
    taps = transposed(
        weight.detach(), pair(stride), pair(padding), pair(dilation), groups
    )
    return mapped(call, image(input), taps, bias)


@operation("linear")
def linear(
    call: Call, input: Value, weight: Tensor, bias: Tensor | None = None
) -> Value:
    """A convolution of the map's size."""
    if not input.flat:
        raise RefusedError("a Linear along the width of a map")
    full = weight.detach().reshape(len(weight), *input.shape)
    return whole(call, input, full, bias)


def whole(
    call: Call, input: Value, weight: Tensor, bias: Tensor | None = None
) -> Value:
    """Return a map of all places to one, flat."""
    if input.size != (1, 1):
        call.fixed = True
    taps = convolution(weight, input.size, (0, 0), (1, 1), 1)
    result = call.builder.linear(input, taps, (1, 1), name=call.name, flat=True)
    return result if bias is None else call.builder.shifted(result, bias.detach())


@operation("batch_norm")
def batch_norm(
    call: Call,
    input: Value,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Value:
    """Folded into what comes before."""
    if training or running_mean is None or running_var is None:
        raise RefusedError("statistics of the batch, not those of training")
    call.how = "folded into the weights before it"
    factor = (running_var.detach().double() + eps).rsqrt()
    if weight is not None:
        factor = factor * weight.detach().double()
    shift = -running_mean.detach().double() * factor
    if bias is not None:
        shift = shift + bias.detach().double()
    if input.flat and input.size != (1, 1):
        raise RefusedError("batch normalisation of a flattened map")
    builder = call.builder
    return builder.shifted(builder.linear_channels(input, factor), shift)


def means(channels: int, kernel: tuple[int, int]) -> Tensor:
    """Return weights of shape (C, 1, kh, kw) that take means."""
    return torch.full((channels, 1, *kernel), 1 / (kernel[0] * kernel[1])).double()


@operation("avg_pool2d")
def avg_pool2d(
    call: Call,
    input: Value,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Value:
    """A convolution of equal weights."""
    kernel, padding = pair(kernel_size), pair(padding)
    steps = kernel if stride is None or stride == [] else pair(stride)
    if ceil_mode or (padding != (0, 0) and not count_include_pad):
        raise RefusedError("an average over fewer pixels at the border")
    weight = means(input.shape[0], kernel)
    if divisor_override is not None:
        weight = weight * (kernel[0] * kernel[1] / divisor_override)
    taps = convolution(weight, steps, padding, (1, 1), input.shape[0])
    return mapped(call, image(input), taps)


@operation("adaptive_avg_pool2d")
def adaptive_avg_pool2d(call: Call, input: Value, output_size: Any) -> Value:
    """An average pool whose window divides the map."""
    kernel = [n // m for n, m in zip(input.size, call.size, strict=True)]
    if any(n % m for n, m in zip(input.size, call.size, strict=True)):
        raise RefusedError(f"windows of different sizes, {input.size} to {call.size}")
    call.fixed = True
    window = (kernel[0], kernel[1])
    weight = means(input.shape[0], window)
    taps = convolution(weight, window, (0, 0), (1, 1), input.shape[0])
    return mapped(call, image(input), taps)


@operation("mean")
def mean(call: Call, input: Value, dim: Any = None, keepdim: bool = False) -> Value:
    """The mean over height and width."""
    axes = (dim,) if isinstance(dim, int) else dim
    if input.flat or axes is None or {n % 4 for n in axes} != {2, 3}:
        raise RefusedError("a mean over other axes than height and width")
    window = input.size
    weight = means(input.shape[0], window)
    call.fixed = True
    taps = convolution(weight, window, (0, 0), (1, 1), input.shape[0])
    flat = not keepdim
    return call.builder.linear(input, taps, (1, 1), name=call.name, flat=flat)
