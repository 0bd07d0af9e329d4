# SPDX-License-Identifier: BSD-3-Clause
"""A threshold per channel: each row of weights fills its own eight bits.

A connection has one exponent for all rows, so the exponents come first: that of the
smallest connection is 0, and another's is how much larger its rows are, in the
middle of all rows. Then every row takes the largest theta at which its weights fit.
"""

from __future__ import annotations

import math

import numpy as np

from export import quantize
from export.errors import RangeError
from export.facts import BIAS_EXP, BIAS_MANT, STATE, VTH_MANT, WEIGHT_EXP, WEIGHT_LEVEL
from export.mapping import Mapping, MappingName
from export.units import FloatArray, one_sided_sum, row_maximum, row_sum, unit_bias
from loihi_unet.networks.topology import INPUT
from loihi_unet.spiking.spiking_unet import Layer, Quantisation, SpikingUNet

#: Largest mantissa: twice the level.
_LARGEST = 2 * WEIGHT_LEVEL.maximum
#: Largest pixel of a picture without noise.
PICTURE_MAXIMUM = 255


def choose_rows(
    layer: Layer,
    snn: SpikingUNet,
    mapping: MappingName,
    weights: list[FloatArray],
    largest_sent: list[int],
) -> Quantisation:
    """Choose theta of each channel, and the exponents of a layer.

    Parameters
    ----------
    layer : Layer
        Spiking, not a pool.
    snn : SpikingUNet
        Its network.
    mapping : {"graded", "parallel-if", "binary-if"}
        As in `export.lowering.lower`.
    weights : list of ndarray
        `export.units.unit_weights`.
    largest_sent : list of int
        Largest magnitude of each source.

    Returns
    -------
    Quantisation
        With a tuple of gains.

    Raises
    ------
    RangeError
        If a channel cannot be expressed in the chip's ranges.
    """
    rows = [row_maximum(w, c) for c, w in zip(layer.connections, weights, strict=True)]
    _check_finite(layer, rows)
    highest = [
        WEIGHT_EXP.maximum
        - (
            payload.bit_length() - 1
            if mapping == "binary-if" and source != INPUT
            else 0
        )
        for source, payload in zip(
            [c.source for c in layer.connections], largest_sent, strict=True
        )
    ]
    exponents = _exponents(rows, highest)
    limits = [
        np.divide(_LARGEST * 2.0**e, row, out=np.full(len(row), np.inf), where=row > 0)
        for e, row in zip(exponents, rows, strict=True)
    ]
    total = np.zeros(layer.channels)
    for c, w, payload in zip(layer.connections, weights, largest_sent, strict=True):
        total += row_sum(w, c) * payload
    # As `export.theta.largest_sum_gain`: no sum wraps, and v has room.
    limits.append(
        np.divide(
            STATE.maximum / 2, total, out=np.full(len(total), np.inf), where=total > 0
        )
    )
    if snn.frame.safety > 1:
        usual = np.minimum.reduce(limits)
        limits.append(bounded_gain(layer, snn, weights, usual))
    on_chip = Mapping(name=mapping, num_thresholds=snn.thresholds(layer))
    theta = np.minimum.reduce(limits)
    # A row of zeros is silent, or driven by its bias alone: any theta will do.
    theta = np.where(np.isinf(theta), _LARGEST, np.minimum(theta, on_chip.largest_base))
    bias = unit_bias(layer, snn.base_threshold)
    taps = sum(w.size for w in weights) / len(theta)
    theta, exponent = _fit_bias(theta, bias, taps, snn.num_steps, layer.name)
    return Quantisation(
        gain=tuple(theta.tolist()),
        weight_exps=tuple(exponents),
        bias_exp=quantize.bias(bias * theta, f"layer '{layer.name}'", exponent).exp,
    )


def bounded_gain(
    layer: Layer, snn: SpikingUNet, weights: list[FloatArray], usual: FloatArray
) -> FloatArray:
    """Return the theta of each channel at which no picture fills 24 bits in T steps.

    What arrives is at most the sum of the weights of one sign; half of the bits are
    left to the biases (`_fit_bias`). Where that would take more than its `safety` from
    the usual theta, the usual one over it: what is left shows on pictures only.

    Parameters
    ----------
    layer : Layer
        Spiking.
    snn : SpikingUNet
        Its network.
    weights : list of ndarray
        `export.units.unit_weights`.
    usual : ndarray, shape (channels,)
        Theta at which the weights fill their levels.
    """
    total = np.zeros(layer.channels)
    for c, w in zip(layer.connections, weights, strict=True):
        payload = (
            PICTURE_MAXIMUM if c.source == INPUT else snn.payload_maximum(c.source)
        )
        total += one_sided_sum(w, c) * payload
    never = np.divide(
        0.49 * STATE.maximum / snn.num_steps,
        total,
        out=np.full(layer.channels, np.inf),
        where=total > 0,
    )
    gains: FloatArray = np.maximum(never, usual / snn.frame.safety)
    return gains


def _check_finite(layer: Layer, rows: list[FloatArray]) -> None:
    for c, row in zip(layer.connections, rows, strict=True):
        if not np.isfinite(row).all():
            raise RangeError(
                f"layer '{layer.name}' <- '{c.source}': a weight is not finite"
            )


def _exponents(rows: list[FloatArray], highest: list[int]) -> list[int]:
    """Exponent of each connection, from the middle of the ratios between rows."""
    used = np.all([row > 0 for row in rows], axis=0)
    if len(rows) == 1 or not used.any():
        return [0] * len(rows)
    logs = [np.log2(row[used]) for row in rows]
    middle = [float(np.median(values - logs[0])) for values in logs]
    return [
        min(max(0, round(value - min(middle))), limit)
        for value, limit in zip(middle, highest, strict=True)
    ]


def _fit_bias(
    theta: FloatArray, bias: FloatArray, taps: float, num_steps: int, name: str
) -> tuple[FloatArray, int]:
    """Lower theta where a bias would not fit; the exponent of least error.

    A larger exponent rounds all biases more coarsely, a smaller one takes theta, and
    with it the resolution of the weights, from the rows of the largest biases.
    """
    sizes = np.maximum(np.abs(bias), np.finfo(np.float64).tiny)
    best = (math.inf, theta, 0)
    for exponent in range(BIAS_EXP.maximum + 1):
        largest = min(BIAS_MANT.maximum << exponent, STATE.maximum / (2 * num_steps))
        with np.errstate(over="ignore"):  # no bias at all sets no limit
            lowered = np.floor(np.minimum(theta, largest / sizes))
        if lowered.min() < VTH_MANT.minimum:
            continue
        # In thresholds: rounding of the bias, and of the weights where payloads are 1.
        error = float(((2**exponent + 2 * math.sqrt(taps)) / lowered).mean())
        if error < best[0]:
            best = (error, lowered, exponent)
    if math.isinf(best[0]):
        raise RangeError(
            f"layer '{name}': weights or biases so large that vth_mant 0 found, "
            f"{VTH_MANT} allowed"
        )
    return best[1], best[2]
