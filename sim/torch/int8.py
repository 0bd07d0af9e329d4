# SPDX-License-Identifier: BSD-3-Clause
"""oneDNN's convolutions on the CPU, int8 and float32, taken where they are exact.

They are right for the usual geometries. For some others they give wrong integers
without a word, or end the process (docs/upstream.md), and which ones depends on torch's
version, the processor, the number of images and of threads. So nothing is trusted:

- Geometries of which an output reads the padding alone are those that end the process:
  more padding than a kernel reaches, ``padding > dilation * (kernel - 1)`` on an axis,
  or a small picture between two taps of a dilated kernel. They are never tried
  (`sim.torch.onednn.may_be_tried`, `every_output_reads`).
- Every other one is run once, in the very shape, before it is used (`is_exact`).

Elsewhere float32 does the work, after the same trial, with such padding written beside
the values (`convolve`); and where float32 is wrong, too, float64, tap by
tap, since torch's own float64 convolution is wrong in some shapes as well.

Why one run is enough
---------------------
oneDNN makes a program for a shape; the values have no influence on it. If no step of it
saturates, it computes, of each output, a sum of products ``level * payload`` with fixed
places. If those are not the right ones, the difference from the right sum is a
polynomial of degree 2 in random levels and payloads, and not zero: of levels -a..a and
payloads 0..p it vanishes with a probability of 1 / (2 * a + 1) + 1 / (p + 1) at most,
and that for each wrong output. All channels of a pixel are compared at once, through a
sum with random factors (Freivalds' check), which adds 1 / 4096.

Saturation can only come from adding two products in int16. The largest sums are those
of equal signs with all payloads at the limit: a second run, of levels 127 and -128 only
and such payloads, is compared value by value with the closed form.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from export.synapse import Pair
from sim.backend import BackendError
from sim.torch.onednn import (
    CPU,
    Geometry,
    OneDnnConv,
    by_taps,
    conv2d,
    every_output_reads,
)

#: Largest payload that no processor saturates with; see `sim.torch.exact`.
INT8_PAYLOAD = 127
#: Largest payload that uint8 holds.
UINT8_PAYLOAD = 255
#: Random factors of the sum over a pixel's channels.
FACTORS = 4096


def is_exact(geometry: Geometry, shape: tuple[int, ...], limit: int) -> bool:
    """Whether `OneDnnConv` is exact in this shape, with this number of threads.

    Parameters
    ----------
    geometry : Geometry
        One that `may_be_tried`.
    shape : tuple of int
        (N, C_in, H, W) of the payload.
    limit : int
        Largest payload, 127 or 255.
    """
    return _is_exact(geometry, shape, limit, torch.get_num_threads())


@functools.lru_cache(maxsize=4096)
def _is_exact(
    geometry: Geometry, shape: tuple[int, ...], limit: int, _threads: int
) -> bool:
    if not every_output_reads(geometry, shape[2:]):
        return False
    try:
        return _adds_products(
            geometry, shape, limit, functools.partial(_int8, geometry)
        ) and not _saturates(geometry, shape, limit)
    except (AttributeError, RuntimeError, TypeError):
        return False  # oneDNN has nothing for this shape


def rounds_exactly(geometry: Geometry, shape: tuple[int, ...], limit: int) -> bool:
    """Whether `OneDnnConv` is exact in this shape when it writes uint8, too.

    Parameters
    ----------
    geometry, shape, limit
        As for `is_exact`.
    """
    threads = torch.get_num_threads()
    return is_exact(geometry, shape, limit) and _rounds_exactly(
        geometry, shape, limit, threads
    )


@functools.lru_cache(maxsize=4096)
def _rounds_exactly(
    geometry: Geometry, shape: tuple[int, ...], limit: int, _threads: int
) -> bool:
    """Compare with float64 what is made of the same sums in float32.

    Thresholds differ from channel to channel; results lie on both sides of 0..255.
    """
    generator = torch.Generator(CPU).manual_seed(1)
    levels = _random(generator, -127, 127, geometry.weight).to(torch.int8)
    payload = _random(generator, 0, limit, shape).to(torch.uint8)
    payload = payload.contiguous(memory_format=torch.channels_last)
    steps = (geometry.stride, geometry.padding, geometry.dilation)
    try:
        sums = OneDnnConv(levels, 1, None, steps, geometry.groups)(payload).double()
        spread = int(sums.abs().max()) // 200 + 1
        theta = _random(generator, 1, 9, (len(levels),)).double() * spread + 1
        bias = _random(generator, -99, 99, (len(levels),)).double() * spread
        fast = OneDnnConv(
            levels, (1 / theta).float(), None, steps, geometry.groups, dtype=torch.uint8
        )
        found = fast(payload, ((bias + 0.5) / theta - 0.5).float())
    except (AttributeError, RuntimeError, TypeError):
        return False  # oneDNN has nothing for this shape
    quotient = (sums + bias[:, None, None]).div(theta[:, None, None])
    return torch.equal(found, quotient.floor().clamp(0, 255).to(torch.uint8))


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Tensor:
    """Convolution as ``torch.nn.functional.conv2d``, where that is right.

    Parameters
    ----------
    x, weight, bias : Tensor
        float32 or float64, in which all sums are exact.
    stride, padding, dilation, groups
        As there.
    """
    c_out, c_in, height, width = weight.shape
    geometry = Geometry(
        weight=(c_out, c_in, height, width),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    if x.device.type != "cpu":
        return conv2d(geometry, x, weight, bias)
    if x.dtype == torch.float32 and _float32_is_exact(
        geometry, tuple(x.shape), torch.get_num_threads()
    ):
        return conv2d(geometry, x, weight, bias)
    sums = by_taps(geometry, x.double(), weight.double())
    if bias is not None:
        sums += bias.double()[:, None, None]
    return sums.to(x.dtype)


@functools.lru_cache(maxsize=4096)
def _float32_is_exact(
    geometry: Geometry, shape: tuple[int, ...], _threads: int
) -> bool:
    def make(levels: Tensor) -> Callable[[Tensor], Tensor]:
        weight = levels.float().contiguous(memory_format=torch.channels_last)
        return lambda payload: conv2d(geometry, payload.float(), weight, None)

    return _adds_products(geometry, shape, UINT8_PAYLOAD, make)


def _random(
    generator: torch.Generator, low: int, high: int, shape: Sequence[int]
) -> Tensor:
    """Integers low..high, int16."""
    return torch.randint(
        low,
        high + 1,
        list(shape),
        generator=generator,
        dtype=torch.int16,
        device=CPU,
    )


def _int8(geometry: Geometry, levels: Tensor) -> OneDnnConv:
    steps = (geometry.stride, geometry.padding, geometry.dilation)
    return OneDnnConv(levels.to(torch.int8), 1, None, steps, geometry.groups)


def _adds_products(
    geometry: Geometry,
    shape: tuple[int, ...],
    limit: int,
    make: Callable[[Tensor], Callable[[Tensor], Tensor]],
) -> bool:
    """Compare with float64: random levels, and two random pictures in random order.

    Instead of adding up every output, a picture's channels are first joined by each
    place in the kernel, weighted by that place's levels and the random factors of all
    the outputs that they reach: one matrix product, whose results are then moved to
    where they belong. These are the same products in another order, all of them
    integers below 2**53, and nothing of the comparison is left out.
    """
    generator = torch.Generator(CPU).manual_seed(0)
    # Small enough that every sum stays below 2**24, which float32 holds.
    size = min(127, (2**24 - 1) // (limit * geometry.terms))
    if size == 0:
        return False  # nothing to tell right from wrong with
    levels = _random(generator, -size, size, geometry.weight)
    order = _random(generator, 0, 1, (shape[0],)).tolist()
    factors = _random(generator, 1, FACTORS, (len(levels),)).double()
    pictures = {number: _picture(number, limit, shape[1:]) for number in set(order)}
    payload = torch.stack([pictures[number] for number in order]).permute(0, 3, 1, 2)
    found = make(levels)(payload)
    weighted = levels.double() * factors[:, None, None, None]
    weighted = weighted.view(geometry.groups, -1, *geometry.weight[1:])
    kernel = weighted.sum(1).flatten(0, 1)
    expected = {
        number: _joined(geometry, picture, kernel)
        for number, picture in pictures.items()
    }
    return all(
        torch.equal(sums.permute(1, 2, 0).double() @ factors, expected[number])
        for sums, number in zip(found, order, strict=True)
    )


def _picture(seed: int, limit: int, shape: Sequence[int]) -> Tensor:
    """Random payloads 0..limit, which is 127 or 255: (C, H, W) as (H, W, C), uint8."""
    channels, height, width = shape
    values = np.random.default_rng(seed).bytes(channels * height * width)
    picture = np.frombuffer(values, np.uint8).reshape(height, width, channels)
    return torch.from_numpy(picture & limit)


def _joined(geometry: Geometry, picture: Tensor, kernel: Tensor) -> Tensor:
    """Convolution of a picture (H, W, C) by a kernel (C, K_h, K_w), in float64."""
    (ph, pw), (sh, sw) = geometry.padding, geometry.stride
    (dh, dw), (kh, kw) = geometry.dilation, geometry.weight[2:]
    channels = picture.flatten(0, 1).double().T
    sums: Tensor | None = None
    for ky in range(kh):
        maps = (kernel[:, ky].T @ channels).view(kw, *picture.shape[:2])
        maps = functional.pad(maps, (pw, pw, ph, ph))
        height = (maps.shape[1] - dh * (kh - 1) - 1) // sh + 1
        width = (maps.shape[2] - dw * (kw - 1) - 1) // sw + 1
        rows = slice(ky * dh, ky * dh + (height - 1) * sh + 1, sh)
        for kx in range(kw):
            columns = slice(kx * dw, kx * dw + (width - 1) * sw + 1, sw)
            tap = maps[kx, rows, columns]
            sums = tap.clone() if sums is None else sums.add_(tap)
    assert sums is not None  # a kernel has a place
    return sums


def _saturates(geometry: Geometry, shape: tuple[int, ...], limit: int) -> bool:
    """Whether the largest sums, positive or negative, differ from the closed form."""
    levels = torch.full(geometry.weight, 127, dtype=torch.int8, device=CPU)
    levels[1::2] = -128
    payload = torch.full(shape, limit, dtype=torch.uint8, device=CPU)
    found = _int8(geometry, levels)(
        payload.contiguous(memory_format=torch.channels_last)
    )
    rows, columns = (_taps_inside(shape[2 + axis], geometry, axis) for axis in range(2))
    products = rows[:, None] * columns * (geometry.weight[1] * limit)
    expected = levels[:, 0, 0, 0, None, None].double() * products
    # Beyond 2**24 both round to float32, once, to the nearest.
    return not torch.equal(found, expected.float().expand(found.shape))


def _taps_inside(size: int, geometry: Geometry, axis: int) -> Tensor:
    """Kernel positions that fall on the source, of every output along an axis."""
    kernel, stride = geometry.weight[2 + axis], geometry.stride[axis]
    padding, dilation = geometry.padding[axis], geometry.dilation[axis]
    count = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    first = torch.arange(count, device=CPU)[:, None] * stride - padding
    place = first + torch.arange(kernel, device=CPU) * dilation
    return ((place >= 0) & (place < size)).sum(1).double()


@functools.cache
def has_onednn_int8() -> bool:
    """Whether `OneDnnConv` works here; tried once, against a float64 convolution.

    Raises
    ------
    BackendError
        If it works but gives other integers with payloads to 127.
    """
    right = _self_test(INT8_PAYLOAD)
    if right is False:
        raise BackendError(
            f"backend 'torch': the int8 convolution of torch {torch.__version__} "
            "is not exact on this processor"
        )
    return right is not None


@functools.cache
def payload_limit() -> int:
    """Largest payload of an int8 convolution here; 0: there is none.

    255 where four products are added in int32 (VNNI, AMX), as a trial shows; 127 where
    two are added in int16 first, which 255 would saturate.
    """
    if not has_onednn_int8():
        return 0
    return UINT8_PAYLOAD if _self_test(UINT8_PAYLOAD) else INT8_PAYLOAD


def _self_test(limit: int) -> bool | None:
    """Whether payloads to ``limit`` are exact; None: there is no such convolution."""
    generator = torch.Generator(CPU).manual_seed(0)
    last = torch.channels_last
    for c_in, c_out, groups in ((16, 32, 1), (3, 1, 1), (16, 16, 16)):
        levels = _random(generator, -128, 127, (c_out, c_in // groups, 3, 3))
        payload = _random(generator, 0, limit, (2, c_in, 7, 9))
        # Runs of extreme values are what saturating arithmetic gets wrong.
        levels[0], payload[0] = -128, limit
        bias = torch.arange(c_out, device=CPU) * 37 - 501
        steps = ((2, 1), (1, 0), (1, 2))
        try:
            conv = OneDnnConv(levels.to(torch.int8), 2, bias.float(), steps, groups)
            found = conv(payload.to(torch.uint8).contiguous(memory_format=last))
        except (AttributeError, RuntimeError, TypeError):
            return None  # this torch, or this processor, does not have it
        sums = functional.conv2d(
            payload.double(), levels.double(), None, *steps, groups
        )
        if not torch.equal(found.double(), 2 * sums + bias[:, None, None]):
            return False
    return True
