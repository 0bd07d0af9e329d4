# SPDX-License-Identifier: BSD-3-Clause
"""Moving values: concatenation, slices, padding, views, upsampling, shuffles."""

from typing import Any

import torch
from torch import Tensor

from loihi_unet.frontend.module.call import Call, RefusedError, as_value, operation
from loihi_unet.frontend.module.ops_linear import image, mapped
from loihi_unet.frontend.module.taps import Taps, convolution, pointwise, transposed
from loihi_unet.frontend.module.value import Value


@operation("cat", "concat", "concatenate")
def cat(call: Call, tensors: Any, dim: int = 0) -> Value:
    """Along the channels."""
    first = next(item for item in tensors if isinstance(item, Value))
    if dim % (2 if first.flat else 4) != 1:
        raise RefusedError(f"concatenation along axis {dim}, not along the channels")
    parts = []
    for item in tensors:
        if isinstance(item, Value):
            parts.append(item)
            continue
        shape = (item.shape[1], *first.size)
        like = Value(shape, {}, torch.zeros(shape[0]), first.name, first.flat)
        bias = as_value(call, item, like)
        assert isinstance(bias, Tensor)  # it was no value
        parts.append(Value(shape, {}, bias, first.name, first.flat))
    return call.builder.concatenated(parts)


def channels(call: Call, value: Value, chosen: list[int]) -> Value:
    """Return some channels of a value."""
    rows = torch.eye(value.shape[0])[chosen]
    return call.builder.linear(
        value, pointwise(rows), value.size, name=value.name, flat=value.flat
    )


@operation("chunk", "split", "split_with_sizes", "tensor_split")
def chunk(call: Call, input: Value, *_: Any, dim: int = 0, **__: Any) -> list[Value]:
    """Along the channels, as torch has split them."""
    parts, start = [], 0
    if sum(part.shape[1] for part in call.result) != input.shape[0]:
        raise RefusedError("a split along another axis than the channels")
    for part in call.result:
        count = part.shape[1]
        parts.append(channels(call, input, list(range(start, start + count))))
        start += count
    return parts


@operation("narrow")
def narrow(call: Call, input: Value, dim: int, start: int, length: int) -> Value:
    """Some channels, rows or columns."""
    index: list[Any] = [slice(None)] * 4
    index[dim] = slice(start, start + length)
    part: Value = getitem(call, input, tuple(index))
    return part


@operation("getitem")
def getitem(call: Call, input: Value, index: Any) -> Value:
    """Slices along channels, height and width."""
    items = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in [item for item in items if not isinstance(item, Tensor)]:
        at = next(n for n, item in enumerate(items) if item is Ellipsis)
        missing = (2 if input.flat else 4) - (len(items) - 1)
        items[at : at + 1] = [slice(None)] * missing
    items += [slice(None)] * (4 - len(items))
    batch, chosen, *spatial = items
    if batch != slice(None) or not all(isinstance(n, slice) for n in items):
        raise RefusedError("an index that is no slice of channels, height or width")
    if input.flat and input.size != (1, 1):
        raise RefusedError("a slice of a flattened map")
    value = channels(call, input, list(range(input.shape[0])[chosen]))
    ranges = [range(n)[part] for n, part in zip(input.size, spatial, strict=True)]
    if all(len(r) == n for r, n in zip(ranges, input.size, strict=True)):
        return value
    taps = Taps(
        weight=torch.eye(value.shape[0]).double()[:, :, None, None],
        offset=(-ranges[0].start, -ranges[1].start),
        down=(ranges[0].step, ranges[1].step),
    )
    call.fixed = True
    return mapped(call, value, taps)


@operation("pad", "constant_pad_nd")
def pad(
    call: Call, input: Value, pad: Any, mode: str = "constant", value: Any = None
) -> Value:
    """Zeros or another constant; negative numbers crop."""
    if mode != "constant":
        raise RefusedError(
            f"padding with mode {mode!r}: zeros or a constant are allowed"
        )
    sides = list(pad) + [0] * (4 - len(pad))
    if len(sides) > 4 and any(sides[4:]):
        raise RefusedError("padding along other axes than height and width")
    left, _, top, _ = sides[:4]
    eye = torch.eye(input.shape[0]).double()[:, :, None, None]
    taps = Taps(weight=eye, offset=(top, left))
    border = torch.full((input.shape[0],), float(value or 0))
    builder = call.builder
    moved = mapped(call, builder.shifted(image(input), -border), taps)
    return builder.shifted(moved, border)


@operation("flatten", "unflatten", "view", "reshape", "squeeze", "unsqueeze")
def view(call: Call, input: Value, *_: Any, **__: Any) -> Value:
    """To a flat tensor, and from one to a map."""
    shape = tuple(call.result.shape)
    same = Value(
        input.shape, dict(input.terms), input.bias, input.name, len(shape) == 2
    )
    count = input.shape[0] * input.shape[1] * input.shape[2]
    if len(shape) == 2 and shape[1] == count:
        return same
    if len(shape) == 4 and shape[1:] == input.shape:
        return same
    if len(shape) == 4 and input.size == (1, 1) and input.flat:
        return _unflattened(call, input, (shape[1], shape[2], shape[3]))
    raise RefusedError(
        f"a view as {shape}: allowed are flattening a map and the way back"
    )


def _unflattened(call: Call, input: Value, shape: tuple[int, int, int]) -> Value:
    count = input.shape[0]
    weight = torch.eye(count).reshape(count, *shape)
    call.fixed = True
    taps = transposed(weight, shape[1:], (0, 0), (1, 1), 1)
    return call.builder.linear(input, taps, shape[1:], name=input.name)


@operation("pixel_shuffle")
def pixel_shuffle(call: Call, input: Value, upscale_factor: int) -> Value:
    """Channels become pixels."""
    r, count = upscale_factor, input.shape[0]
    weight = torch.eye(count).reshape(count, count // r**2, r, r)
    return mapped(call, input, transposed(weight, (r, r), (0, 0), (1, 1), 1))


@operation("pixel_unshuffle")
def pixel_unshuffle(call: Call, input: Value, downscale_factor: int) -> Value:
    """Pixels become channels."""
    r = downscale_factor
    count = input.shape[0] * r**2
    weight = torch.eye(count).reshape(count, input.shape[0], r, r)
    return mapped(call, input, convolution(weight, (r, r), (0, 0), (1, 1), 1))


@operation("interpolate", "upsample", "upsample_nearest", "upsample_bilinear")
def interpolate(
    call: Call,
    input: Value,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    *_: Any,
    **__: Any,
) -> Value:
    """Nearest neighbours; bilinear by consent."""
    if call.size == image(input).size:
        return input
    if any(m % n for n, m in zip(input.size, call.size, strict=True)):
        raise RefusedError(f"resampling from {input.size} to {call.size}")
    times = [m // n for n, m in zip(input.size, call.size, strict=True)]
    factor = (times[0], times[1])
    depth = input.shape[0]
    if mode in ("nearest", "nearest-exact"):
        weight = torch.ones(depth, 1, *factor)
        taps = transposed(weight, factor, (0, 0), (1, 1), depth)
        return mapped(call, input, taps)
    if mode != "bilinear":
        raise RefusedError(f"resampling with mode {mode!r}")
    call.consent("bilinear")
    if align_corners:
        call.how += "; align_corners=True here"
    rows, columns = (_triangle(n) for n in factor)
    weight = torch.outer(rows, columns).expand(depth, 1, -1, -1)
    padding = (_start(factor[0]), _start(factor[1]))
    taps = transposed(weight, factor, padding, (1, 1), depth)
    return mapped(call, input, taps)


def _start(times: int) -> int:
    """Taps before the first pixel of a bilinear kernel."""
    return times // 2


def _triangle(times: int) -> Tensor:
    """Weights of bilinear interpolation by an integer factor, centres kept."""
    taps = torch.arange(2 * times - times % 2, dtype=torch.float64)
    middle = (taps - _start(times) + 0.5) / times - 0.5
    weights: Tensor = (1 - middle.abs()).clamp(min=0)
    return weights


@operation("repeat", "expand")
def repeat(call: Call, input: Value, *_: Any) -> Value:
    """Channels again and again."""
    shape = tuple(call.result.shape)
    if len(shape) != 4 or shape[2:] != input.size or shape[1] % input.shape[0]:
        raise RefusedError(f"repeated to {shape}: channels only are allowed")
    times = shape[1] // input.shape[0]
    return channels(call, input, list(range(input.shape[0])) * times)


@operation(
    "dropout",
    "dropout2d",
    "alpha_dropout",
    "feature_dropout",
    "feature_alpha_dropout",
    "contiguous",
    "clone",
    "detach",
    "to",
    "float",
    "double",
    "cpu",
    "requires_grad",
    "alias",
    "type_as",
)
def unchanged(call: Call, input: Value, *_: Any, **more: Any) -> Value:
    """Nothing changes."""
    if more.get("training"):
        raise RefusedError("dropout that stays active")
    return input
