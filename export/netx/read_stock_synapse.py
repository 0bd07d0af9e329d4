# SPDX-License-Identifier: BSD-3-Clause
"""Synapses of stock layers, as lava-dl 0.6.0's slayer writes and computes them."""

from __future__ import annotations

import math

import numpy as np
from typing_extensions import assert_never

from export.files.hdf5_group import Group
from export.netx.dense import mangled
from export.synapse import (
    Conv,
    ConvTranspose,
    Dense,
    Injection,
    IntArray,
    Pair,
    Shape,
    StockSynapse,
)

# Neurons of a layer, and weights that a file's few numbers may stand for: far beyond
# any chip, and what memory holds.
LARGEST = 2**26


def read_shape(group: Group) -> Shape:
    """(C, H, W); stock files give flat layers one number."""
    values = group.integers("shape", ndim=1).tolist()
    c, h, w = (values[0], 1, 1) if len(values) == 1 else group.tuple("shape", 3)
    if min(c, h, w) < 1 or c * h * w > LARGEST:
        raise group.error(
            "shape", f"{(c, h, w)} found, up to {LARGEST:,} neurons allowed"
        )
    return (c, h, w)


def _check_room(group: Group, key: str, *sizes: int) -> None:
    """Refuse weights that are written short but would fill the memory."""
    if min(sizes) < 1 or math.prod(sizes) > LARGEST:
        raise group.error(
            key, f"weights of shape {sizes} found, up to {LARGEST:,} allowed"
        )


def read_pair(group: Group, key: str, default: int) -> Pair:
    """Along (H, W); one number stands for both."""
    if key not in group:
        return (default, default)
    values = group.integers(key).reshape(-1).tolist()
    if len(values) not in (1, 2):
        raise group.error(key, f"{len(values)} values found, one or two needed")
    return (values[0], values[-1])


def _kernels(group: Group) -> IntArray:
    """Weights of a layer on images: four axes, of which slayer adds one for time."""
    _refuse_complex(group)
    weight = group.integers("weight")
    if weight.ndim == 5 and weight.shape[4] == 1:
        weight = weight[..., 0]
    return weight


def _refuse_complex(group: Group) -> None:
    if "weight" in group and not group.is_array("weight"):
        raise group.unsupported("weight", "complex weights are not supported")


def read_conv(group: Group) -> Conv:
    """Synapse of a ``conv``."""
    return Conv(
        weight=_kernels(group),
        stride=read_pair(group, "stride", 1),
        padding=read_pair(group, "padding", 0),
        dilation=read_pair(group, "dilation", 1),
        groups=group.integer("groups") if "groups" in group else 1,
    )


def read_conv_transpose(group: Group) -> ConvTranspose:
    """Synapse of a ``convT``; ``outputPadding`` is ours."""
    return ConvTranspose(
        weight=_kernels(group),
        stride=read_pair(group, "stride", 1),
        padding=read_pair(group, "padding", 0),
        output_padding=read_pair(group, "outputPadding", 0),
        groups=group.integer("groups") if "groups" in group else 1,
        dilation=read_pair(group, "dilation", 1),
    )


def _shared_kernel(group: Group) -> IntArray:
    """The one kernel (K_h, K_w) of a ``pool`` or ``unpool``."""
    weight = _kernels(group)
    if weight.size == 1:
        _check_room(group, "kernelSize", *read_pair(group, "kernelSize", 1))
        return np.full(read_pair(group, "kernelSize", 1), int(weight.reshape(-1)[0]))
    if not weight.size or weight.ndim < 2 or math.prod(weight.shape[:-2]) != 1:
        raise group.error(
            "weight", f"shape {weight.shape} found, one kernel (1, 1, H, W) needed"
        )
    return weight.reshape(weight.shape[-2:])


def _apart(group: Group, height: int) -> None:
    """Refuse what makes slayer's pool and unpool add up rows of different channels.

    Both lay the channels' rows one below the other.
    """
    stride = read_pair(group, "stride", height)[0]
    padding = read_pair(group, "padding", 0)[0]
    dilation = read_pair(group, "dilation", 1)[0]
    if (stride, padding, dilation) != (height, 0, 1):
        raise group.unsupported(
            "stride",
            f"stride {stride}, padding {padding} and dilation {dilation} along the "
            f"height found: slayer adds up rows of different channels unless they are "
            f"{height} (the kernel's height), 0 and 1",
        )


def read_pool(group: Group, source: Shape) -> Conv:
    """Synapse of a ``pool``: each channel by itself, all with one kernel.

    slayer appends ``side % kernel`` rows and columns of zeros. Here the kernel gets
    as many leading zeros, and the padding grows as much.
    """
    kernel = _shared_kernel(group)
    height, width = kernel.shape
    _apart(group, height)
    rows, columns = source[1] % height, source[2] % width
    if (source[1] + rows) % height:
        raise group.unsupported(
            "kernelSize",
            f"height {height} found for a source of {source[1]} rows: slayer adds up "
            "rows of different channels",
        )
    dilation = (1, read_pair(group, "dilation", 1)[1])
    span = dilation[1] * (width - 1) + 1
    _check_room(group, "dilation", source[0], height + rows, span + columns)
    if columns and dilation[1] > 1:
        spread = np.zeros((height, span), dtype=np.int32)
        spread[:, :: dilation[1]] = kernel
        kernel, dilation = spread, (1, 1)
    kernel = np.pad(kernel, ((rows, 0), (columns, 0)))
    padding = read_pair(group, "padding", 0)[1]
    return Conv(
        weight=np.broadcast_to(kernel, (source[0], 1, *kernel.shape)),
        stride=(height, read_pair(group, "stride", width)[1]),
        padding=(rows, padding + columns),
        dilation=dilation,
        groups=source[0],
    )


def read_unpool(group: Group, source: Shape) -> ConvTranspose:
    """Synapse of an ``unpool``: each channel by itself, all with one kernel."""
    kernel = _shared_kernel(group)
    _apart(group, len(kernel))
    _check_room(group, "weight", source[0], *kernel.shape)
    return ConvTranspose(
        weight=np.broadcast_to(kernel, (source[0], 1, *kernel.shape)),
        stride=(len(kernel), read_pair(group, "stride", kernel.shape[1])[1]),
        padding=(0, read_pair(group, "padding", 0)[1]),
        output_padding=(0, 0),
        groups=source[0],
        dilation=(1, read_pair(group, "dilation", 1)[1]),
    )


def dense_weight(group: Group, key: str = "weight") -> IntArray:
    """Weights of a layer on flat inputs: (N_out, N_in)."""
    _refuse_complex(group)
    weight = group.integers(key)
    if weight.ndim == 1:
        rows = math.prod(read_shape(group))
        if weight.size % rows:
            raise group.error(key, f"{weight.size} values found for {rows} rows")
        weight = weight.reshape(rows, -1)
    if weight.ndim != 2 or not weight.size:
        raise group.error(key, f"shape {weight.shape} found, two non-empty axes needed")
    return weight


def read_dense(group: Group) -> Dense:
    """Synapse of a ``dense``; delays as netx.hdf5.Network.create_dense spreads them."""
    weight = dense_weight(group)
    if why := mangled(weight):
        raise group.unsupported("weight", why)
    if "delay" not in group:
        return Dense(weight=weight)
    delay = group.integers("delay")
    # One number, one per output, one per input.
    if delay.size == 1:
        delay = delay.reshape(1, 1)
    elif delay.ndim == 1 and len(delay) == weight.shape[0]:
        delay = delay[:, None]
    elif delay.ndim == 1 and len(delay) == weight.shape[1]:
        delay = delay[None, :]
    elif delay.shape != weight.shape:
        raise group.error(
            "delay", f"shape {delay.shape} found, one per output or input needed"
        )
    return Dense(weight=weight, delay=np.broadcast_to(delay, weight.shape))


def read_recurrent(group: Group) -> tuple[Dense, Dense]:
    """Synapses of a ``dense_rec``: from its source, and from itself."""
    weight, recurrent = dense_weight(group), dense_weight(group, "weight_rec")
    if recurrent.shape != (len(weight), len(weight)):
        raise group.error(
            "weight_rec", f"shape {recurrent.shape} found, {(len(weight),) * 2} needed"
        )
    if why := mangled(weight, recurrent):
        raise group.unsupported("weight", why)
    return Dense(weight=weight), Dense(weight=recurrent)


def read_axons(group: Group, channels: int) -> IntArray | None:
    """Delay of each channel's axons, which slayer calls ``delay``."""
    if "delay" not in group:
        return None
    delay = group.integers("delay").reshape(-1)
    if len(delay) not in (1, channels):
        raise group.error(
            "delay", f"{len(delay)} values found, one or {channels} needed"
        )
    return np.broadcast_to(delay, (channels,))


def split(
    group: Group, synapse: StockSynapse, sources: list[Shape], flat: bool
) -> list[StockSynapse]:
    """Parts of a synapse, one for each source of a concatenation.

    Parameters
    ----------
    group : Group
        The layer, for errors.
    synapse : StockSynapse
        Reads all sources, one behind the other along the channels.
    sources : list of (C, H, W)
        Their shapes.
    flat : bool
        Whether each is flattened first.

    Raises
    ------
    NetworkError
        If the synapse reads another number of channels.
    """
    sizes = [math.prod(shape) if flat else shape[0] for shape in sources]
    fields: tuple[str, ...] = _FIELDS
    match synapse:
        case Conv():
            weight, axis = _ungrouped(group, synapse), 1
        case ConvTranspose():
            weight, axis = _ungrouped(group, synapse), 0
            fields = (*_FIELDS, "output_padding")
        case Dense():
            weight, axis, fields = synapse.weight, 1, ()
        case Injection():
            raise AssertionError("an injection has one source")
        case _:
            assert_never(synapse)
    if weight.shape[axis] != sum(sizes):
        raise group.error(
            "weight",
            f"{weight.shape[axis]} inputs found, the concatenation has {sum(sizes)}",
        )
    ends = np.cumsum(sizes)[:-1].tolist()
    kept = {name: getattr(synapse, name) for name in fields}
    parts: list[StockSynapse] = []
    delays: list[IntArray | None] = [None] * len(sizes)
    if isinstance(synapse, Dense) and synapse.delay is not None:
        delays = list(np.split(synapse.delay, ends, axis=1))
    for part, delay in zip(np.split(weight, ends, axis=axis), delays, strict=True):
        if isinstance(synapse, Dense):
            parts.append(Dense(weight=part, delay=delay))
        else:
            parts.append(type(synapse)(weight=part, **kept))
    return parts


_FIELDS = ("stride", "padding", "dilation")


def _ungrouped(group: Group, synapse: Conv | ConvTranspose) -> IntArray:
    """Weights of the same synapse without groups."""
    groups, weight = synapse.groups, synapse.weight
    if groups == 1:
        return weight
    first, second, kh, kw = weight.shape
    _check_room(group, "groups", first, second * groups, kh, kw)
    size = first // groups
    wide = np.zeros((first, second * groups, kh, kw), dtype=weight.dtype)
    for g in range(groups):
        rows = slice(g * size, (g + 1) * size)
        wide[rows, g * second : (g + 1) * second] = weight[rows]
    return wide
