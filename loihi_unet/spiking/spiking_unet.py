# SPDX-License-Identifier: BSD-3-Clause
"""The Spiking-UNet as data: the normalised float network that the exporter reads."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch

from loihi_unet.errors import ConversionError
from loihi_unet.networks.config import ModelConfig
from loihi_unet.networks.topology import INPUT, ConnectionKind

#: T beyond which a drive of 1 in every step would leave 24 bits.
MOST_STEPS = 2**23 - 1

#: One number for a layer, or one for each of its channels.
Scale = float | tuple[float, ...]
Normalisation = Literal["connection", "layer"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Connection:
    """What a layer receives from one other layer.

    Attributes
    ----------
    source : str
        Name of the layer it comes from, or ``"input"``.
    kind : str
        ``"conv"``: stride 1, padding ``k // 2``; ``"conv_transpose"``: 3x3, stride 2,
        padding 1, output padding 1; ``"average_pool"``: 2x2, stride 2; ``"identity"``:
        the residual skip, the value itself.
    weight : Tensor or None
        Normalised weights w_hat, shape (C_out, C_in, kh, kw) for ``"conv"``,
        (C_in, C_out, kh, kw) for ``"conv_transpose"``, None for the other two.
    """

    source: str
    kind: ConnectionKind
    weight: torch.Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Quantisation:
    """How a layer's floats become integers, once that is settled.

    Fine-tuning trains weights for the very integers they are rounded to, so it keeps
    these; `export.gain` takes them instead of choosing its own.

    Attributes
    ----------
    gain : float or tuple[float, ...]
        theta of a spiking layer, or of each of its channels; units of v per unit of
        output of the last one.
    weight_exps : tuple[int, ...]
        One exponent per connection.
    bias_exp : int
        Exponent of the layer's biases.
    """

    gain: Scale
    weight_exps: tuple[int, ...]
    bias_exp: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """A group of compartments: the sum of its connections plus a bias.

    Attributes
    ----------
    name : str
        Name of the trained network's layer.
    channels : int
        Feature maps.
    connections : tuple[Connection, ...]
        One per branch of a concatenation, in its order.
    bias : Tensor or None
        Normalised bias b_hat, shape (channels,), added at every step.
    scale : float or tuple[float, ...]
        lambda: the activation of the trained network that stands for the value 1, of
        the layer or of each channel. A neuron's lowest threshold is q times that.
    spiking : bool
        False: the layer only accumulates.
    quantisation : Quantisation or None
        Set by fine-tuning; None leaves the choice to the exporter.
    num_thresholds : int or None
        N of this layer's neurons; None: the network's.
    """

    name: str
    channels: int
    connections: tuple[Connection, ...]
    bias: torch.Tensor | None
    scale: Scale
    spiking: bool
    quantisation: Quantisation | None = None
    num_thresholds: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class SpikingUNet:
    """A network of multi-threshold integrate-and-fire neurons (arXiv 2307.10974).

    Attributes
    ----------
    config : ModelConfig
        The network it was made from.
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
    """

    config: ModelConfig
    layers: tuple[Layer, ...]
    base_threshold: float
    num_thresholds: int
    num_steps: int
    normalisation: Normalisation
    percentile: float
    provenance: dict[str, Any] = field(default_factory=dict)

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
        channels = {INPUT: self.config.in_channels}
        for layer in self.layers:
            if not 1 <= self.thresholds(layer) <= self.num_thresholds:
                raise ConversionError(
                    f"layer {layer.name!r}: num_thresholds {layer.num_thresholds}: "
                    f"allowed 1..{self.num_thresholds}, the network's"
                )
            _check_layer(layer, channels)
            channels[layer.name] = layer.channels
        _check_output(self.layers[-1])

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
    settled = layer.quantisation
    if settled is not None:
        _check_numbers(layer, "gain", settled.gain)
        if len(settled.weight_exps) != len(layer.connections):
            raise ConversionError(
                f"{where}: {len(settled.weight_exps)} weight exponents for "
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
    found = None if connection.weight is None else tuple(connection.weight.shape)
    if connection.kind in ("average_pool", "identity"):
        if found is not None or source != layer.channels:
            raise ConversionError(
                f"{where}: {connection.kind} from {source} to {layer.channels} "
                f"channels with weight shape {found}; allowed are equal channels and "
                f"no weight"
            )
        return
    ends = (layer.channels, source)
    expected = ends if connection.kind == "conv" else ends[::-1]
    if found is None or len(found) != 4 or found[:2] != expected or 0 in found:
        raise ConversionError(
            f"{where}: {connection.kind} weight has shape {found}, allowed "
            f"({expected[0]}, {expected[1]}, kh, kw)"
        )
