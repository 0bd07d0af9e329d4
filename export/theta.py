# SPDX-License-Identifier: BSD-3-Clause
"""The integer that stands for a threshold, and the exponents that go with it.

The thresholds of a layer cost no gain error: theta is chosen as the largest
integer at which the connection of smallest range fills the levels, e = 0 there.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from export import quantize
from export.errors import RangeError
from export.facts import (
    BIAS_EXP,
    BIAS_MANT,
    STATE,
    VTH_MANT,
    WEIGHT_EXP,
    WEIGHT_LEVEL,
    WEIGHT_MANT,
)
from export.mapping import Mapping, MappingName
from export.rows import bounded_gain, choose_rows
from export.units import (
    PIXEL_MAXIMUM,
    PIXEL_MINIMUM,
    FloatArray,
    unit_bias,
    unit_weights,
)
from loihi_unet.networks.topology import INPUT
from loihi_unet.spiking.spiking_unet import Layer, Quantisation, SpikingUNet

WEIGHT_MANT_OF_ONE = 2  # the synapse has no low bit: level 1 is mantissa 2


def settle(snn: SpikingUNet, mapping: MappingName = "graded") -> SpikingUNet:
    """Choose gains and exponents of the layers that have none yet.

    From then on they stay, whatever becomes of the weights: what fine-tuning needs.

    Parameters
    ----------
    snn : SpikingUNet
        Normalised float network.
    mapping : {"graded", "parallel-if", "binary-if"}
        As in `lower`.

    Returns
    -------
    SpikingUNet
        Every layer has a `Quantisation`.

    Raises
    ------
    RangeError
        If a layer cannot be expressed in the chip's ranges.
    """
    layers = tuple(
        layer
        if layer.quantisation is not None
        else dataclasses.replace(layer, quantisation=_choose(layer, snn, mapping))
        for layer in snn.layers
    )
    return dataclasses.replace(snn, layers=layers)


def _choose(layer: Layer, snn: SpikingUNet, mapping: MappingName) -> Quantisation:
    where = f"layer '{layer.name}'"
    weights = unit_weights(layer, snn.base_threshold)
    largest_sent = largest_payloads(layer, snn)
    if isinstance(layer.scale, tuple) and layer.connections[0].kind != "average_pool":
        return choose_rows(layer, snn, mapping, weights, largest_sent)
    # A picture is one plane whatever the mapping.
    bounds = [
        (
            payload.bit_length() if mapping == "binary-if" and c.source != INPUT else 1,
            float(np.abs(w).max()),
        )
        for c, w, payload in zip(layer.connections, weights, largest_sent, strict=True)
    ]
    bias = unit_bias(layer, snn.base_threshold)
    largest = min(
        _largest_gain(bounds),
        _largest_bias_gain(bias, snn.num_steps),
        largest_sum_gain(layer, weights, largest_sent),
    )
    if snn.frame.safety > 1 and layer.spiking:
        usual = 2 * WEIGHT_LEVEL.maximum / min(float(np.abs(w).max()) for w in weights)
        rows = np.full(layer.channels, min(usual, largest))
        largest = min(largest, float(bounded_gain(layer, snn, weights, rows).min()))
    gain: float
    if layer.spiking:
        on_chip = Mapping(name=mapping, num_thresholds=snn.thresholds(layer))
        limit = on_chip.largest_base
        gain = _threshold(layer, weights, largest, limit)
    else:
        gain = _output_gain(layer, weights, snn, largest, largest_sent)
    return Quantisation(
        gain=float(gain),
        weight_exps=tuple(
            quantize.weight_exponent(float(np.abs(w * gain / 2).max()), where)
            for w in weights
        ),
        bias_exp=quantize.bias(bias * gain, where).exp,
    )


def _threshold(
    layer: Layer,
    weights: list[FloatArray],
    largest_gain: float,
    limit: int,
) -> int:
    """Base threshold theta, an integer, at most ``limit``."""
    if layer.connections[0].kind == "average_pool":
        # Weight level 1: the smallest exact average (theta = 4 levels).
        return round(WEIGHT_MANT_OF_ONE / float(weights[0][0]))
    smallest = min(float(np.abs(w).max()) for w in weights)
    if smallest == 0:
        raise RangeError(f"layer '{layer.name}': a connection has only zero weights")
    if not smallest <= WEIGHT_MANT.maximum:
        raise RangeError(
            f"layer '{layer.name}': weights up to {smallest:.0f} thresholds, "
            f"at most {WEIGHT_MANT.maximum} can be expressed"
        )
    # The minimum first: the quotient by a tiny weight has no integer.
    theta = int(min(2 * WEIGHT_LEVEL.maximum / smallest, largest_gain, limit))
    if theta < VTH_MANT.minimum:
        raise RangeError(
            f"layer '{layer.name}': weights or biases so large that vth_mant {theta} "
            f"found, {VTH_MANT} allowed"
        )
    return theta


def _largest_gain(bounds: list[tuple[int, float]]) -> float:
    """Gain at which a connection's exponent, or that of its last plane, is at 7.

    `bounds` holds each connection's planes and largest absolute weight.
    """
    gains = [
        2 * WEIGHT_LEVEL.maximum * 2.0 ** (WEIGHT_EXP.maximum - planes + 1) / largest
        for planes, largest in bounds
        if largest > 0
    ]
    return min(gains, default=math.inf)


def _largest_bias_gain(bias: FloatArray, num_steps: int) -> float:
    """Gain at which the bias alone fits its mantissa and half of v over all steps."""
    largest = float(np.abs(bias).max())
    if not largest:
        return math.inf
    mantissa = BIAS_MANT.maximum << BIAS_EXP.maximum
    return min(mantissa, STATE.maximum / (2 * num_steps)) / largest


def largest_payloads(layer: Layer, snn: SpikingUNet) -> list[int]:
    """Return the largest magnitude that each source of a layer sends."""
    pixel = max(abs(PIXEL_MINIMUM), abs(PIXEL_MAXIMUM))
    return [
        pixel if c.source == INPUT else snn.payload_maximum(c.source)
        for c in layer.connections
    ]


def largest_sum_gain(
    layer: Layer, weights: list[FloatArray], largest_sent: list[int]
) -> float:
    """Gain at which a step's input fits half of 24 bits, whatever is sent.

    So no sum wraps in stock ``Conv``, and there is room for the potential. It binds
    where many thresholds meet connections of very different ranges: their exponents
    lift the larger ones far above the levels of the smallest.
    """
    total = sum(
        _absolute_row_sum(w, axis=1 if c.kind == "conv_transpose" else 0) * payload
        for c, w, payload in zip(layer.connections, weights, largest_sent, strict=True)
    )
    return STATE.maximum / (2 * total) if total else math.inf


def _output_gain(
    layer: Layer,
    weights: list[FloatArray],
    snn: SpikingUNet,
    largest_gain: float,
    largest_sent: list[int],
) -> float:
    """Units of v per unit of output and step.

    As large as the levels of the smallest connection and 24 bits over all steps
    allow; with a residual skip, such that the skip's mantissa is exact.
    """
    learned = [
        w
        for c, w in zip(layer.connections, weights, strict=True)
        if c.kind != "identity"
    ]
    gain = min(
        2 * WEIGHT_LEVEL.maximum / min(float(np.abs(w).max()) for w in learned),
        largest_gain,
    )
    bias = float(np.abs(unit_bias(layer, snn.base_threshold)).max())
    per_step = bias + sum(
        _absolute_row_sum(w, axis=1 if c.kind == "conv_transpose" else 0) * payload
        for c, w, payload in zip(layer.connections, weights, largest_sent, strict=True)
    )
    # 1 % below the limit covers the rounding of weights and bias.
    most = min(largest_gain, 0.99 * STATE.maximum / (snn.num_steps * per_step))
    for c, w in zip(layer.connections, weights, strict=True):
        if c.kind == "identity":
            # Where one spike moves the output by more than 127 gray levels, the skip
            # keeps its one level and the other connections get an exponent.
            gain = max(gain, 2 * (1 + 1e-9) / w.item())
            return _exact_gain(min(gain, most), w.item(), layer.name)
    return min(gain, most)


def _absolute_row_sum(weight: FloatArray, axis: int = 0) -> float:
    """Largest sum of absolute weights into one output, which lie along ``axis``."""
    rows = np.moveaxis(np.abs(np.atleast_2d(weight)), axis, 0)
    return float(rows.reshape(len(rows), -1).sum(axis=1).max())


def _exact_gain(gain: float, identity: float, name: str) -> float:
    """Largest gain <= ``gain`` at which ``identity`` is exactly 2 * level << e."""
    target = identity * gain / 2
    exponent = quantize.weight_exponent(target, f"layer '{name}'")
    level = int(target / 2**exponent)
    if level < 1:
        raise RangeError(f"layer '{name}': the residual skip rounds to zero")
    return 2 * level * float(1 << exponent) / identity
