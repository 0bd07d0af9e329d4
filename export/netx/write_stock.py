# SPDX-License-Identifier: BSD-3-Clause
"""Stream -> layers that stock netx.hdf5.Network reads as well."""

from __future__ import annotations

from typing import Any

import numpy as np
from typing_extensions import assert_never

from export.errors import UnsupportedLayerError
from export.files.hdf5 import write_text
from export.netx.dense import mangled
from export.netx.schema import STREAM
from export.stock_compartment import CUBA, Delta, Sigma, SigmaDelta, StockCompartment
from export.stock_network import StockLayer, Stream
from export.synapse import Conv, Dense, Injection, Shape


def write_stream(stream: Stream, ours: Any, layers: Any) -> None:
    """Fill the groups ``loihi_unet`` and ``layer`` of an open file.

    Parameters
    ----------
    stream : Stream
        What to write.
    ours, layers : h5py.Group
        The groups; those of ``ours`` that every network has are written already.

    Raises
    ------
    UnsupportedLayerError
        If netx has no word for it, or would not load it as it is written.
    """
    write_text(ours, "kind", STREAM)
    write_text(ours, "inputName", stream.input.name)
    ours.create_dataset("inputScale", data=stream.input.scale)
    ours.create_dataset("spikeExp", data=_spike_exp(stream))
    if stream.reset is not None:
        ours.create_dataset("resetInterval", data=stream.reset.interval)
        ours.create_dataset("resetOffset", data=stream.reset.offset)
    before: Shape | None = stream.input.shape  # None: flat
    first = stream.layers[0].connections[0].synapse
    reader = stream.layers[1] if isinstance(first, Injection) else stream.layers[0]
    dense = isinstance(reader.connections[0].synapse, Dense)
    if dense and stream.input.shape[1:] == (1, 1):
        before = None
    head = _group(layers, "input")
    head.create_dataset("shape", data=_written(stream.input.shape, before is None))
    for layer in stream.layers:
        synapse = layer.connections[0].synapse
        if isinstance(synapse, Injection):
            group = head
            group.create_dataset("weight", data=synapse.gain)
            group.create_dataset("bias", data=synapse.offset)
        else:
            if isinstance(synapse, Dense) and before is not None:
                flatten = _group(layers, "flatten")
                size = int(np.prod(before))
                flatten.create_dataset("shape", data=np.array((size, 1, 1)))
            group = _write_synapse(layers, layer, before is None)
            before = None if isinstance(synapse, Dense) else layer.shape
        write_text(group, "name", layer.name)
        group.create_dataset("scale", data=layer.scale)
        _write_neuron(group.create_group("neuron"), layer.compartment)


def _group(layers: Any, kind: str) -> Any:
    group = layers.create_group(str(len(layers)))
    group.create_dataset("type", data=np.array([kind.encode()], dtype="S10"))
    return group


def _written(shape: Shape, flat: bool) -> Any:
    return np.array(shape[:1] if flat else shape)


def _spike_exp(stream: Stream) -> int:
    found = {
        layer.compartment.spike_exp
        for layer in stream.layers
        if isinstance(layer.compartment, Delta | SigmaDelta)
    }
    if len(found) > 1:
        raise UnsupportedLayerError(
            f"spike_exp: {sorted(found)} found, netx has one for all layers"
        )
    return found.pop() if found else 6


def _write_synapse(layers: Any, layer: StockLayer, flat: bool) -> Any:
    synapse = layer.connections[0].synapse
    where = f"layer '{layer.name}'"
    if isinstance(synapse, Conv):
        if flat:
            raise UnsupportedLayerError(
                f"{where}: a convolution after a flat layer, netx has no word for it"
            )
        group = _group(layers, "conv")
        channels = synapse.weight.shape[1] * synapse.groups
        group.create_dataset("inChannels", data=channels)
        group.create_dataset("outChannels", data=layer.shape[0])
        group.create_dataset("kernelSize", data=np.array(synapse.weight.shape[2:]))
        for key in ("stride", "padding", "dilation"):
            group.create_dataset(key, data=np.array(getattr(synapse, key)))
        group.create_dataset("groups", data=synapse.groups)
    else:
        assert isinstance(synapse, Dense)
        if why := mangled(synapse.weight):
            raise UnsupportedLayerError(f"{where}: {why}")
        group = _group(layers, "dense")
        group.create_dataset("inFeatures", data=synapse.weight.shape[1])
        group.create_dataset("outFeatures", data=synapse.weight.shape[0])
        if synapse.delay is not None:
            delay = synapse.delay.astype(np.int8)
            group.create_dataset("delay", data=delay, compression="gzip")
    group.create_dataset(
        "shape", data=_written(layer.shape, isinstance(synapse, Dense))
    )
    weight = synapse.weight.astype(np.int16)
    group.create_dataset("weight", data=weight, compression="gzip", shuffle=True)
    match layer.compartment:
        case CUBA(bias=bias) | SigmaDelta(bias=bias):
            group.create_dataset("bias", data=bias.mant.astype(np.int16))
        case _:
            pass
    return group


def _write_neuron(group: Any, compartment: StockCompartment) -> None:
    match compartment:
        case CUBA():
            kind = b"CUBA"
            group.create_dataset("iDecay", data=compartment.i_decay)
            group.create_dataset("vDecay", data=compartment.v_decay)
            group.create_dataset("vThMant", data=compartment.vth_mant)
            group.create_dataset("refDelay", data=1)
            group.create_dataset("gradedSpike", data=False)
        case Delta() | SigmaDelta():
            kind = b"SDNN"
            group.create_dataset("vThMant", data=compartment.vth_mant)
            write_text(group, "activation", "relu")
        case Sigma():
            kind = b"SDNN"
            # netx reads the threshold of every SDNN layer but uses none here.
            group.create_dataset("vThMant", data=0)
            write_text(group, "activation", "relu")
            group.create_dataset("sigma_output", data=True)
        case _:
            assert_never(compartment)
    group.create_dataset("type", data=np.array([kind], dtype="S10"))
