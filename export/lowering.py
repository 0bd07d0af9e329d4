# SPDX-License-Identifier: BSD-3-Clause
"""Normalised float Spiking-UNet -> integer Network.

Multiplied by theta, which `export.theta` chooses, a float compartment in units of its
base threshold (`export.units`) is the integer compartment, so mantissa
``2 * level << e = W * theta``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import assert_never

from export import quantize
from export.compartment import MTIF, Accumulator
from export.errors import NetworkError
from export.mapping import MappingName
from export.network import Connection, Input, Layer, Network
from export.synapse import (
    AveragePool,
    Conv,
    ConvTranspose,
    Shape,
    Synapse,
    integers,
)
from export.theta import settle
from export.units import (
    PIXEL_MAXIMUM,
    PIXEL_MINIMUM,
    PIXEL_SCALE,
    gains,
    per_row,
    unit_bias,
    unit_weights,
)
from loihi_unet.spiking.spiking_unet import Connection as FloatConnection
from loihi_unet.spiking.spiking_unet import Layer as FloatLayer
from loihi_unet.spiking.spiking_unet import SpikingUNet


def lower(
    snn: SpikingUNet, height: int, width: int, *, mapping: MappingName = "graded"
) -> Network:
    """Quantise a Spiking-UNet for images of one size.

    Parameters
    ----------
    snn : SpikingUNet
        Normalised float network.
    height, width : int
        Image size; a U-Net needs multiples of ``stem * 2**levels``.
    mapping : {"graded", "parallel-if", "binary-if"}
        How neurons lie on compartments, `export.compartment.MTIF`. Where its
        thresholds or exponents would not fit, a layer gets a smaller theta, unless
        it is settled.

    Returns
    -------
    Network
        Integers only; the float network's provenance with ``"export"`` added.

    Raises
    ------
    NetworkError
        If the size does not fit the network.
    RangeError
        If a layer cannot be expressed in the chip's ranges.
    """
    multiple = snn.multiple
    if snn.frame.fixed and (height, width) != snn.frame.size:
        allowed = "x".join(map(str, snn.example_size))
        raise NetworkError(
            f"image size {height}x{width}: this network takes {allowed} only"
        )
    fits = snn.frame.fixed or (height % multiple == 0 and width % multiple == 0)
    if height < 1 or width < 1 or not fits:
        raise NetworkError(
            f"image size {height}x{width}: sides must be positive multiples "
            f"of {multiple}"
        )
    snn = settle(snn, mapping)
    source = Input(
        shape=(snn.in_channels, height, width),
        minimum=PIXEL_MINIMUM,
        maximum=PIXEL_MAXIMUM,
        scale=PIXEL_SCALE,
    )
    nodes: dict[str, Input | Layer] = {source.name: source}
    stages = {source.name: 0}
    for layer in snn.layers:
        lowered = _lower_layer(layer, snn, nodes, stages, mapping)
        nodes[layer.name] = lowered
    provenance = {
        **snn.provenance,
        "export": {
            "size": [height, width],
            "mapping": mapping,
            "base_threshold": snn.base_threshold,
        },
        **({"constant_plane": True} if snn.frame.constant else {}),
        **({"fixed_size": True} if snn.frame.fixed else {}),
    }
    return Network(
        input=source,
        layers=tuple(node for node in nodes.values() if isinstance(node, Layer)),
        num_steps=snn.num_steps,
        task=_task(snn),
        provenance=provenance,
    )


def _task(snn: SpikingUNet) -> str:
    """Name of the task in the provenance."""
    place: Any = snn.provenance
    if "module" in place:
        return "unknown"  # somebody else's network
    for key in ("train", "task", "kind"):
        place = place.get(key) if isinstance(place, Mapping) else None
    if not isinstance(place, str):
        raise NetworkError("provenance: train.task.kind missing, a task's name needed")
    return place


def _lower_layer(
    layer: FloatLayer,
    snn: SpikingUNet,
    nodes: Mapping[str, Input | Layer],
    stages: dict[str, int],
    mapping: MappingName,
) -> Layer:
    where = f"layer '{layer.name}'"
    stage = 1 + max(stages[c.source] for c in layer.connections)
    stages[layer.name] = stage
    quantisation = layer.quantisation
    assert quantisation is not None  # lower settles the network first
    gain = gains(quantisation)
    connections = [
        Connection(
            source=c.source,
            synapse=_synapse(
                c,
                quantize.weight_mantissas(w * per_row(gain, c) / 2 / 2**exponent),
                nodes[c.source].shape,
            ),
            weight_exp=exponent,
            delay=stage - stages[c.source] - 1,
        )
        for c, w, exponent in zip(
            layer.connections,
            unit_weights(layer, snn.base_threshold),
            quantisation.weight_exps,
            strict=True,
        )
    ]
    bias = quantize.bias(
        unit_bias(layer, snn.base_threshold) * gain, where, quantisation.bias_exp
    )
    if layer.spiking:
        compartment: MTIF | Accumulator = MTIF(
            vth_mant=integers(gain, f"{where} theta"),
            num_thresholds=snn.thresholds(layer),
            bias=bias,
            mapping=mapping,
        )
        scale = _payload_scale(layer, snn.base_threshold)
    else:
        compartment = Accumulator(bias=bias)
        assert not isinstance(layer.scale, tuple)  # the last layer's, as its gain
        scale = layer.scale / float(gain[0])
    first = connections[0]
    return Layer(
        name=layer.name,
        shape=first.synapse.output_shape(nodes[first.source].shape),
        connections=tuple(connections),
        compartment=compartment,
        scale=scale,
    )


def _payload_scale(layer: FloatLayer, q: float) -> float | tuple[float, ...]:
    if not isinstance(layer.scale, tuple):
        return layer.scale * q
    values = tuple(scale * q for scale in layer.scale)
    return values if len(values) > 1 else values[0]


def _synapse(
    connection: FloatConnection, mantissas: npt.NDArray[np.int32], shape: Shape
) -> Synapse:
    place = connection.place
    match connection.kind:
        case "conv":
            return Conv(
                weight=mantissas,
                stride=place.stride,
                padding=place.padding,
                dilation=place.dilation,
                groups=place.groups,
            )
        case "conv_transpose":
            return ConvTranspose(
                weight=mantissas,
                stride=place.stride,
                padding=place.padding,
                output_padding=place.output_padding,
            )
        case "average_pool":
            return AveragePool(
                channels=shape[0],
                kernel_size=place.stride,
                weight_mant=int(mantissas[0]),
            )
        case "identity":
            diagonal = np.eye(shape[0], dtype=np.int32) * int(mantissas[0])
            return Conv(weight=diagonal[:, :, None, None])
        case _:
            assert_never(connection.kind)
