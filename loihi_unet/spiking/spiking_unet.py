# SPDX-License-Identifier: BSD-3-Clause
"""The Spiking-UNet as data: the normalised float network that the exporter reads."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

from loihi_unet.errors import ConversionError
from loihi_unet.networks.topology import INPUT
from loihi_unet.spiking.layer import Connection, Frame, Layer, Quantisation, Scale
from loihi_unet.spiking.synapse import entering, side_multiple

__all__ = [
    "INPUT",
    "Connection",
    "Frame",
    "Layer",
    "Normalisation",
    "Quantisation",
    "Scale",
    "SpikingUNet",
]

#: T beyond which a drive of 1 in every step would leave 24 bits.
MOST_STEPS = 2**23 - 1

Normalisation = Literal["connection", "layer"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SpikingUNet:
    """A network of multi-threshold integrate-and-fire neurons (arXiv 2307.10974).

    Attributes
    ----------
    layers : tuple[Layer, ...]
        In topological order; the last is ``"out"``.
    base_threshold : float
        q: the lowest threshold, and the value of one unit of payload.
    num_thresholds : int
        N: thresholds are ``q * 2**i``, i = 0..N-1; a payload is 0..2**N - 1. Layers
        may have fewer of their own.
    num_steps : int
        T: algorithm steps per picture.
    normalisation : str
        ``"connection"``, eq. (8), or ``"layer"``, eq. (7).
    percentile : float
        Of a layer's activations, taken as its scale.
    provenance : dict[str, Any]
        What it was made from, and how; JSON values.
    frame : Frame
        What it asks of a picture.
    """

    layers: tuple[Layer, ...]
    base_threshold: float
    num_thresholds: int
    num_steps: int
    normalisation: Normalisation
    percentile: float
    provenance: dict[str, Any] = field(default_factory=dict)
    frame: Frame = field(default_factory=Frame)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.base_threshold) and self.base_threshold > 0):
            raise ConversionError(
                f"base_threshold {self.base_threshold}: allowed are numbers above 0"
            )
        if not 1 <= self.num_thresholds <= 8:
            raise ConversionError(f"num_thresholds {self.num_thresholds}: allowed 1..8")
        if not 1 <= self.num_steps <= MOST_STEPS:
            raise ConversionError(
                f"num_steps {self.num_steps}: allowed 1..{MOST_STEPS}"
            )
        if self.normalisation not in get_args(Normalisation):
            raise ConversionError(
                f"normalisation {self.normalisation!r}: allowed "
                f"{', '.join(get_args(Normalisation))}"
            )
        if not 0 < self.percentile <= 100:
            raise ConversionError(
                f"percentile {self.percentile}: allowed above 0, up to 100"
            )
        silent = [layer.name for layer in self.layers if not layer.spiking]
        if silent != [layer.name for layer in self.layers[-1:]]:
            raise ConversionError(
                f"layers {silent} do not spike; allowed is the last layer and no other"
            )
        channels = {INPUT: self.in_channels}
        for layer in self.layers:
            if not 1 <= self.thresholds(layer) <= self.num_thresholds:
                raise ConversionError(
                    f"layer {layer.name!r}: num_thresholds {layer.num_thresholds}: "
                    f"allowed 1..{self.num_thresholds}, the network's"
                )
            _check_layer(layer, channels)
            channels[layer.name] = layer.channels
        _check_output(self.layers[-1])

    @cached_property
    def in_channels(self) -> int:
        """Channels of the input, a constant plane included."""
        return entering(self.layers)

    @property
    def picture_channels(self) -> int:
        """Channels of a picture: the input's without a constant plane."""
        return self.in_channels - int(self.frame.constant)

    @property
    def out_channels(self) -> int:
        """Channels of the output."""
        return self.layers[-1].channels

    @cached_property
    def multiple(self) -> int:
        """What a picture's sides must be multiples of."""
        return side_multiple(self.layers)

    @property
    def example_size(self) -> tuple[int, int]:
        """A size (H, W) that fits, for whoever needs any."""
        return self.frame.size or (self.multiple, self.multiple)

    def layer(self, name: str) -> Layer:
        """Return a layer by its name."""
        return next(layer for layer in self.layers if layer.name == name)

    def thresholds(self, layer: Layer) -> int:
        """Return N of a layer's neurons."""
        if layer.num_thresholds is None:
            return self.num_thresholds
        return layer.num_thresholds

    def payload_maximum(self, source: str) -> int:
        """Return the largest payload, ``2**N - 1``, that a layer sends."""
        return (1 << self.thresholds(self.layer(source))) - 1


def _check_output(layer: Layer) -> None:
    weights = [c.weight for c in layer.connections if c.weight is not None]
    if not weights or not all(bool(weight.any()) for weight in weights):
        raise ConversionError(
            f"layer {layer.name!r}: no weights, or none but zeros; the last layer's "
            "unit is that of its smallest weights"
        )


def _check_layer(layer: Layer, channels: dict[str, int]) -> None:
    where = f"layer {layer.name!r}"
    if layer.name in channels:
        raise ConversionError(f"{where}: a second layer of this name")
    if not layer.connections:
        raise ConversionError(f"{where}: no connection; allowed is one or more")
    _check_numbers(layer, "scale", layer.scale)
    if layer.bias is not None and tuple(layer.bias.shape) != (layer.channels,):
        raise ConversionError(
            f"{where}: bias has shape {tuple(layer.bias.shape)}, it has "
            f"{layer.channels} channels"
        )
    quantisation = layer.quantisation
    if quantisation is not None:
        _check_numbers(layer, "gain", quantisation.gain)
        if len(quantisation.weight_exps) != len(layer.connections):
            raise ConversionError(
                f"{where}: {len(quantisation.weight_exps)} weight exponents for "
                f"{len(layer.connections)} connections"
            )
    for connection in layer.connections:
        _check_connection(connection, layer, channels)


def _check_numbers(layer: Layer, what: str, value: Scale) -> None:
    where = f"layer {layer.name!r}"
    numbers = value if isinstance(value, tuple) else (value,)
    if isinstance(value, tuple) and (
        len(numbers) != layer.channels or not layer.spiking
    ):
        needed = f"{layer.channels} or one" if layer.spiking else "one, it never spikes"
        raise ConversionError(f"{where}: {what} of {len(numbers)} channels; {needed}")
    for number in numbers:
        if not (math.isfinite(number) and number > 0):
            raise ConversionError(f"{where}: {what} {number}: allowed above 0")


def _check_connection(
    connection: Connection, layer: Layer, channels: dict[str, int]
) -> None:
    where = f"layer {layer.name!r} <- {connection.source!r}"
    if connection.source not in channels:
        raise ConversionError(f"{where}: the source is not an earlier layer")
    source = channels[connection.source]
    groups = connection.place.groups
    shape = None if connection.weight is None else tuple(connection.weight.shape)
    if connection.kind in ("average_pool", "identity"):
        if shape is not None or source != layer.channels:
            raise ConversionError(
                f"{where}: {connection.kind} from {source} to {layer.channels} "
                f"channels with weight shape {shape}; allowed are equal channels and "
                f"no weight"
            )
        return
    if source % groups or layer.channels % groups:
        raise ConversionError(
            f"{where}: groups {groups}: allowed are divisors of {source} and "
            f"{layer.channels} channels"
        )
    ends = (layer.channels, source // groups)
    expected = ends if connection.kind == "conv" else ends[::-1]
    if shape is None or len(shape) != 4 or shape[:2] != expected or 0 in shape:
        raise ConversionError(
            f"{where}: {connection.kind} weight has shape {shape}, allowed "
            f"({expected[0]}, {expected[1]}, kh, kw)"
        )
