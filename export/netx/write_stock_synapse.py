# SPDX-License-Identifier: BSD-3-Clause
"""Synapses of a StockNetwork -> keys of an entry of ``layer``."""

from __future__ import annotations

from typing import Any

import numpy as np
from typing_extensions import assert_never

from export.errors import UnsupportedLayerError
from export.netx.dense import mangled
from export.stock_network import StockConnection, StockLayer
from export.synapse import (
    Conv,
    ConvTranspose,
    Dense,
    Injection,
    IntArray,
    Shape,
    StockSynapse,
)


def new_group(layers: Any, kind: str) -> Any:
    """Next entry, or part of one, of that type."""
    group = layers.create_group(str(len(layers)))
    group.create_dataset("type", data=np.array([kind.encode()], dtype="S10"))
    return group


def written_shape(shape: Shape, flat: bool) -> IntArray:
    """(C, H, W), or one number for a flat entry."""
    return np.array(shape[:1] if flat else shape)


def joined_synapse(connections: list[StockConnection]) -> StockSynapse | None:
    """The one synapse whose inputs are all sources, one behind the other; or None."""
    first, *rest = [c.synapse for c in connections]
    if not rest:
        return first
    match first:
        case Conv() | ConvTranspose():
            return _joined_kernels(first, rest)
        case Dense():
            return _joined_dense([first, *rest])
        case Injection():
            return None
        case _:
            assert_never(first)


def _joined_kernels(
    first: Conv | ConvTranspose, rest: list[StockSynapse]
) -> Conv | ConvTranspose | None:
    parts = [first, *(synapse for synapse in rest if type(synapse) is type(first))]
    names = ["stride", "padding", "dilation", "groups"]
    names += ["output_padding"] if isinstance(first, ConvTranspose) else []
    fields = [{name: getattr(part, name) for name in names} for part in parts]
    alike = len(parts) == 1 + len(rest) and fields == fields[:1] * len(fields)
    kernels = {part.weight.shape[2:] for part in parts}
    if first.groups > 1 or len(kernels) > 1 or not alike:
        return None
    axis = 0 if isinstance(first, ConvTranspose) else 1
    weight = np.concatenate([part.weight for part in parts], axis=axis)
    return type(first)(weight=weight, **fields[0])


def _joined_dense(synapses: list[StockSynapse]) -> Dense | None:
    parts = [synapse for synapse in synapses if isinstance(synapse, Dense)]
    delays = [part.delay for part in parts if part.delay is not None]
    if len(parts) < len(synapses) or len(delays) not in (0, len(parts)):
        return None
    return Dense(
        weight=np.concatenate([part.weight for part in parts], axis=1),
        delay=np.concatenate(delays, axis=1) if delays else None,
    )


def own_synapse(layer: StockLayer) -> StockSynapse | None:
    """The synapse by which a layer reads itself."""
    return next((c.synapse for c in layer.connections if c.source == layer.name), None)


def is_entry(
    layer: StockLayer, joined: StockSynapse, recurrent: StockSynapse | None
) -> bool:
    """Whether slayer has a word for a layer of these synapses.

    A ``dense`` has delays of synapses, all others those of axons; a ``dense_rec``
    reads itself by one plain dense synapse.
    """
    times = sum(c.source == layer.name for c in layer.connections)
    if recurrent is None:
        return not isinstance(joined, Dense) or layer.delay is None
    plain = all(isinstance(s, Dense) and s.delay is None for s in (joined, recurrent))
    last = layer.connections[-1].source == layer.name
    return plain and times == 1 and last


def write_synapse(
    layers: Any,
    layer: StockLayer,
    synapse: StockSynapse,
    recurrent: StockSynapse | None,
) -> Any:
    """Write an entry and its weights; ``recurrent`` reads the layer itself."""
    match synapse:
        case Conv() | ConvTranspose():
            group = new_group(layers, "conv" if isinstance(synapse, Conv) else "convT")
            channels = synapse.weight.shape[1] * synapse.groups
            if isinstance(synapse, ConvTranspose):
                channels = len(synapse.weight)
            group.create_dataset("inChannels", data=channels)
            group.create_dataset("outChannels", data=layer.shape[0])
            group.create_dataset("kernelSize", data=np.array(synapse.weight.shape[2:]))
            for key in ("stride", "padding", "dilation"):
                group.create_dataset(key, data=np.array(getattr(synapse, key)))
            group.create_dataset("groups", data=synapse.groups)
            if isinstance(synapse, ConvTranspose) and synapse.output_padding != (0, 0):
                padding = np.array(synapse.output_padding)
                group.create_dataset("outputPadding", data=padding)
        case Dense():
            group = _write_dense(layers, layer, synapse, recurrent)
        case Injection():
            raise AssertionError("an injection is no entry of its own")
        case _:
            assert_never(synapse)
    shape = written_shape(layer.shape, isinstance(synapse, Dense))
    group.create_dataset("shape", data=shape)
    _write_weight(group, "weight", synapse.weight)
    if isinstance(recurrent, Dense):
        _write_weight(group, "weight_rec", recurrent.weight)
    return group


def _write_dense(
    layers: Any, layer: StockLayer, synapse: Dense, own: StockSynapse | None
) -> Any:
    recurrent = own.weight if isinstance(own, Dense) else None
    if why := mangled(synapse.weight, recurrent):
        raise UnsupportedLayerError(f"layer '{layer.name}': {why}")
    group = new_group(layers, "dense" if recurrent is None else "dense_rec")
    group.create_dataset("inFeatures", data=synapse.weight.shape[1])
    group.create_dataset("outFeatures", data=synapse.weight.shape[0])
    if synapse.delay is not None:
        delay = synapse.delay.astype(np.int8)
        group.create_dataset("delay", data=delay, compression="gzip")
    return group


def _write_weight(group: Any, key: str, weight: IntArray) -> None:
    mantissas = weight.astype(np.int16)
    group.create_dataset(key, data=mantissas, compression="gzip", shuffle=True)
