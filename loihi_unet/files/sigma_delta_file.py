# SPDX-License-Identifier: BSD-3-Clause
"""A converted network of sigma-delta neurons as one safetensors file.

Tensors ``<layer>.weight.<source>`` hold half of each even weight, in 8 bits; the JSON
record holds the rest. The integers are those of the netx file, at any size. Equal
networks give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from export.compartment import Bias
from export.errors import NetworkError, RangeError, first_problem
from export.facts import DELAY
from export.files.recognise import recognise
from export.images import only_size, size_multiple
from export.stock_compartment import Delta, Sigma, SigmaDelta
from export.stock_network import Frames, StockConnection, StockLayer, StockNetwork
from export.synapse import Conv, ConvTranspose, Injection, Shape, StockSynapse
from loihi_unet.errors import CheckpointError, ConversionError
from loihi_unet.files.tensors import read_tensors, write_tensors

#: Of the record, and of `export.files.kind.KINDS`.
KIND = "sigma-delta"
#: Weights are even.
STEP = 2

#: As many digits as `--size` takes.
_Side = Annotated[int, Field(ge=1, le=99_999)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Synapse(_Record):
    """Geometry of a convolution; its weight is a tensor."""

    kind: Literal["conv", "conv_transpose"]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    output_padding: tuple[int, int] = (0, 0)
    groups: int


class _Connection(_Record):
    source: str
    #: None where the host writes the input.
    synapse: _Synapse | None


class _Layer(_Record):
    name: str
    neuron: Literal["delta", "sigma-delta", "sigma"]
    threshold: int = 0
    delay: Annotated[int, Field(ge=DELAY.minimum, le=DELAY.maximum)] = 0
    scale: float
    connections: tuple[_Connection, ...]


class _Network(_Record):
    kind: Literal["sigma-delta"] = "sigma-delta"
    channels: PositiveInt
    size: tuple[_Side, _Side]
    minimum: int
    maximum: int
    scale: float
    task: str
    layers: tuple[_Layer, ...]
    provenance: dict[str, Any]


def is_sigma_delta(path: Path) -> bool:
    """Whether a path is a file that `save_sigma_delta` wrote."""
    try:
        return path.is_file() and recognise(path) == KIND
    except OSError:  # whoever opens it says why
        return False


def save_sigma_delta(path: Path, network: StockNetwork) -> None:
    """Write a network, as a whole or not at all.

    Parameters
    ----------
    path : Path
        File to write.
    network : StockNetwork
        From `loihi_unet.sigma_delta.quantise.quantise`; thresholds may be others.
    """
    tensors, layers = {}, []
    for layer in network.layers:
        for c in layer.connections:
            if isinstance(c.synapse, Conv | ConvTranspose):
                half = (c.synapse.weight // STEP).astype(np.int8)
                tensors[f"{layer.name}.weight.{c.source}"] = torch.from_numpy(half)
        layers.append(_layer_record(layer))
    channels, height, width = network.input.shape
    record = _Network(
        channels=channels,
        size=(height, width),
        minimum=network.input.minimum,
        maximum=network.input.maximum,
        scale=_one(network.input.scale),
        task=network.task,
        layers=tuple(layers),
        provenance=dict(network.provenance),
    )
    write_tensors(path, tensors, record.model_dump(mode="json"))


def _layer_record(layer: StockLayer) -> _Layer:
    compartment, threshold = layer.compartment, 0
    match compartment:
        case Delta(vth_mant=vth, spike_exp=0):
            neuron, threshold = "delta", vth
        case SigmaDelta(vth_mant=vth, spike_exp=0, bias=bias) if not bias.mant.any():
            neuron, threshold = "sigma-delta", vth
        case Sigma():
            neuron = "sigma"
        case _:
            raise NetworkError(
                f"layer {layer.name!r}: {type(compartment).__name__} found; "
                "sigma-delta neurons without a bias or fraction bits needed"
            )
    return _Layer(
        name=layer.name,
        neuron=cast(Any, neuron),
        threshold=threshold,
        delay=0 if layer.delay is None else int(layer.delay.max()),
        scale=_one(layer.scale),
        connections=tuple(
            _Connection(source=c.source, synapse=_synapse_record(c.synapse))
            for c in layer.connections
        ),
    )


def _synapse_record(synapse: StockSynapse) -> _Synapse | None:
    match synapse:
        case Injection():
            return None
        case Conv():
            kind, more = "conv", (0, 0)
        case ConvTranspose():
            kind, more = "conv_transpose", synapse.output_padding
        case _:
            raise NetworkError(f"{type(synapse).__name__}: convolutions only")
    return _Synapse(
        kind=cast(Any, kind),
        stride=synapse.stride,
        padding=synapse.padding,
        dilation=synapse.dilation,
        output_padding=more,
        groups=synapse.groups,
    )


def _one(scale: float | tuple[float, ...]) -> float:
    assert isinstance(scale, float)  # stages.py gives every layer one
    return scale


def load_sigma_delta(path: Path, size: tuple[int, int] | None = None) -> StockNetwork:
    """Read a network.

    Parameters
    ----------
    path : Path
        Written by `save_sigma_delta`.
    size : tuple of int, optional
        (H, W) of it; that of the file if None.

    Returns
    -------
    StockNetwork
        The integers of the netx file that ``convert`` writes at once.

    Raises
    ------
    CheckpointError
        If the file cannot be read, is of another kind, or contradicts itself.
    ConversionError
        If the network does not take that size.
    """
    tensors, raw = read_tensors(path, KIND)
    try:
        network = _network(_Network.model_validate(raw), tensors)
    except ValidationError as error:
        problem = first_problem(error)
        raise CheckpointError(f"{path}: record: {problem}") from None
    except (NetworkError, RangeError, CheckpointError) as error:
        raise CheckpointError(f"{path}: {error}") from None
    return network if size is None else _sized(network, size)


def _network(record: _Network, tensors: Mapping[str, torch.Tensor]) -> StockNetwork:
    source = Frames(
        shape=(record.channels, *record.size),
        minimum=record.minimum,
        maximum=record.maximum,
        scale=record.scale,
    )
    shapes: dict[str, Shape] = {source.name: source.shape}
    layers = []
    for item in record.layers:
        try:
            layers.append(_layer(item, tensors, shapes))
        except (NetworkError, RangeError) as error:
            raise CheckpointError(f"layer {item.name!r}: {error}") from None
        shapes[item.name] = layers[-1].shape
    network = StockNetwork(
        input=source,
        layers=tuple(layers),
        num_steps=1,
        task=record.task,
        provenance=record.provenance,
    )
    if not network.takes_pictures:
        raise CheckpointError("record: provenance says of no sigma-delta neurons")
    return replace(network, num_steps=network.arrivals[network.output.name])


def _layer(
    item: _Layer, tensors: Mapping[str, torch.Tensor], shapes: Mapping[str, Shape]
) -> StockLayer:
    connections = []
    for c in item.connections:
        if c.source not in shapes:
            raise NetworkError(f"no earlier layer {c.source!r}")
        weight = tensors.get(f"{item.name}.weight.{c.source}")
        connections.append(
            StockConnection(source=c.source, synapse=_synapse(c, weight))
        )
    if not connections:
        raise NetworkError("no connection found, one or more needed")
    first = connections[0]
    shape = first.synapse.output_shape(shapes[first.source])
    zeros = np.zeros(shape[0], dtype=np.int32)
    compartment: Delta | SigmaDelta | Sigma
    if item.neuron == "delta":
        compartment = Delta(vth_mant=item.threshold, spike_exp=0)
    elif item.neuron == "sigma-delta":
        bias = Bias(mant=zeros, exp=0)
        compartment = SigmaDelta(vth_mant=item.threshold, bias=bias, spike_exp=0)
    else:
        compartment = Sigma()
    return StockLayer(
        name=item.name,
        shape=shape,
        connections=tuple(connections),
        compartment=compartment,
        scale=item.scale,
        delay=np.full(shape[0], item.delay) if item.delay else None,
    )


def _synapse(c: _Connection, weight: torch.Tensor | None) -> StockSynapse:
    if c.synapse is None:
        return Injection()
    if weight is None or weight.dtype != torch.int8:
        found = "no tensor" if weight is None else str(weight.dtype)
        raise NetworkError(f"weight of {c.source!r}: {found} found, 8 bits needed")
    integers = weight.numpy().astype(np.int32) * STEP
    place = c.synapse
    if place.kind == "conv":
        return Conv(
            weight=integers,
            stride=place.stride,
            padding=place.padding,
            dilation=place.dilation,
            groups=place.groups,
        )
    return ConvTranspose(
        weight=integers,
        stride=place.stride,
        padding=place.padding,
        dilation=place.dilation,
        output_padding=place.output_padding,
        groups=place.groups,
    )


def _sized(network: StockNetwork, size: tuple[int, int]) -> StockNetwork:
    asked = "x".join(map(str, size))
    only = only_size(network)
    if only is not None and size != only:
        raise ConversionError(
            f"--size {asked}: this network takes {only[0]}x{only[1]} only"
        )
    multiple = size_multiple(network)
    if min(size) < 1 or any(s % m for s, m in zip(size, multiple, strict=True)):
        what = "x".join(map(str, sorted(set(multiple))))
        raise ConversionError(
            f"--size {asked}: sides must be positive multiples of {what}"
        )
    return cast(StockNetwork, network.resized(*size))
