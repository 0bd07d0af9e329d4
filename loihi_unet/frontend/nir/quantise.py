# SPDX-License-Identifier: BSD-3-Clause
"""One layer in integers: its scale, and what rounding did to every parameter."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.compartment import Bias
from export.facts import BIAS_MANT, CUBA_VTH, DECAY, STATE, VTH_MANT, WEIGHT_MANT
from export.stock_compartment import CUBA, STATE_SHIFT, PerChannel
from loihi_unet.frontend.nir.graph import Float, Ints
from loihi_unet.frontend.nir.primitives import NIRError

#: Threshold of a layer that never fires; v of 24 bits cannot exceed it.
NEVER = CUBA_VTH.maximum
#: Potentials of the integer network may be this much above those of the float one.
MARGIN = 2.0
# Sums, thresholds and biases meet states of 24 bits after a shift of 6.
_ROOM = STATE.maximum >> STATE_SHIFT
# Rounding may add to a sum of weights what this share leaves.
_ROUNDED = 0.99


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """What a layer of the stock network is to compute, per channel, in v's own unit.

    Attributes
    ----------
    name : str
    weights : mapping of str to ndarray
        Every connection's, by a name for the table; outputs first.
    magnitudes : mapping of str to int
        Largest payload of each connection.
    current_decay, decay, bias : ndarray, shape (C,)
    threshold : ndarray of shape (C,) or None
        None where none is.
    peak : (float, float) or None
        Largest absolute current and potential that were seen; None without data.
    """

    name: str
    weights: Mapping[str, Float]
    magnitudes: Mapping[str, int]
    current_decay: Float
    decay: Float
    bias: Float
    threshold: Float | None
    peak: tuple[float, float] | None

    @property
    def sums(self) -> Float:
        """Largest absolute sum of all that arrives, per output."""
        each = [
            np.abs(w).reshape(len(w), -1).sum(axis=1) * self.magnitudes[key]
            for key, w in self.weights.items()
        ]
        total: Float = np.sum(each, axis=0)
        return total


@dataclass(frozen=True, kw_only=True)
class Error:
    """One row of the table: a parameter of a layer, and what rounding did to it.

    Attributes
    ----------
    layer, parameter : str
    nir : (float, float)
        Smallest and largest value, in steps and units of v.
    integers : (int, int)
        Smallest and largest integer.
    error : float
        Largest difference, as a share of the largest value.
    """

    layer: str
    parameter: str
    nir: tuple[float, float]
    integers: tuple[int, int]
    error: float


@dataclass(frozen=True, eq=False)
class IntegerLayer:
    """A layer in integers.

    Attributes
    ----------
    scale : float
        Integers per unit of v, for weights, biases and thresholds.
    weights : dict of str to ndarray
        Even mantissas.
    compartment : CUBA
    errors : tuple of Error
    proof : str
        Why states keep within 24 bits.
    """

    scale: float
    weights: dict[str, Ints]
    compartment: CUBA
    errors: tuple[Error, ...]
    proof: str


def quantise(layer: FloatLayer, smaller: float = 1.0) -> IntegerLayer:
    """Round a layer to integers.

    Parameters
    ----------
    layer : FloatLayer
    smaller : float
        What to multiply the largest possible scale by, at most 1.

    Raises
    ------
    NIRError
        If all weights are 0, or become 0.
    """
    scale = _whole_threshold(layer, _scale(layer) * smaller)
    weights = {
        key: 2 * np.rint(scale * w / 2).astype(np.int64)
        for key, w in layer.weights.items()
    }
    if not any(w.any() for w in weights.values()):
        raise NIRError(
            f"node '{layer.name}': at the scale that its bias and threshold leave, no "
            "weight reaches a level"
        )
    bias = np.rint(scale * layer.bias).astype(np.int64)
    threshold = np.full(len(layer.bias), NEVER)
    if layer.threshold is not None:
        threshold = np.rint(scale * layer.threshold).astype(np.int64)
    current, decay = (
        np.rint(share * DECAY.maximum).astype(np.int64)
        for share in (layer.current_decay, layer.decay)
    )
    compartment = CUBA(
        i_decay=_one(current),
        v_decay=_one(decay),
        vth_mant=_one(threshold),
        bias=Bias(mant=bias, exp=STATE_SHIFT),
    )
    rows = [
        (f"weight {key}", layer.weights[key], w, scale) for key, w in weights.items()
    ]
    if layer.bias.any():
        rows.append(("bias", layer.bias, bias, scale))
    if layer.threshold is not None:
        rows.append(("threshold", layer.threshold, threshold, scale))
    if (layer.current_decay < 1).any():
        rows.append(("decay of I", layer.current_decay, current, DECAY.maximum))
    if layer.decay.any():
        rows.append(("decay of v", layer.decay, decay, DECAY.maximum))
    proof = _proof(layer, weights, compartment)
    errors = tuple(
        Error(
            layer=layer.name,
            parameter=what,
            nir=(float(value.min()), float(value.max())),
            integers=(int(integers.min()), int(integers.max())),
            error=_error(value, integers / factor),
        )
        for what, value, integers, factor in rows
    )
    return IntegerLayer(scale, weights, compartment, errors, proof)


def _error(value: Float, rounded: Float) -> float:
    largest = float(np.abs(value).max())
    return float(np.abs(rounded - value).max()) / largest if largest else 0.0


def _one(values: Ints) -> PerChannel:
    """One int where all are the same."""
    if (values == values[0]).all():
        return int(values[0])
    return values


def _scale(layer: FloatLayer) -> float:
    """Largest scale that keeps everything in range."""
    largest = max(float(np.abs(w).max()) for w in layer.weights.values())
    if not largest:
        raise NIRError(f"node '{layer.name}': all weights into it are 0")
    limits = min(WEIGHT_MANT.maximum / largest, *_limits(layer))
    static = (
        _ROUNDED
        * _ROOM
        / max(_bounds(layer, layer.sums, layer.bias, layer.current_decay, layer.decay))
    )
    if layer.peak is None:
        return min(limits, static) if static else limits
    seen = max(MARGIN * max(layer.peak), _threshold(layer), 1e-30)
    return min(limits, max(_ROOM / seen, static))


def _proof(layer: FloatLayer, weights: dict[str, Ints], compartment: CUBA) -> str:
    """Why the integer states keep within 24 bits."""
    sums = np.sum(
        [
            np.abs(w).reshape(len(w), -1).sum(axis=1) * layer.magnitudes[key]
            for key, w in weights.items()
        ],
        axis=0,
    )
    shares = [
        np.asarray(d) / DECAY.maximum
        for d in (compartment.i_decay, compartment.v_decay)
    ]
    bias = compartment.bias.mant
    rounded = dataclasses.replace(layer, threshold=None)
    largest = _bounds(rounded, sums, bias, *shares)
    drive = float((sums / np.maximum(shares[0], 1e-12) + np.abs(bias)).max())
    vth = layer.threshold is not None and int(np.max(compartment.vth_mant)) + drive
    if max(*largest, vth) <= _ROOM:
        return "always"
    if layer.peak is not None:
        return "on the data"
    return f"for {int(_ROOM // max(drive, 1))} steps of the worst input"


def _limits(layer: FloatLayer) -> Iterator[float]:
    """Scales above which a mantissa or a sum would not fit."""
    yield _ROUNDED * _ROOM / float(layer.sums.max())
    if layer.bias.any():
        yield BIAS_MANT.maximum / float(np.abs(layer.bias).max())
    if layer.threshold is not None and layer.threshold.any():
        yield VTH_MANT.maximum / float(layer.threshold.max())


def _bounds(
    layer: FloatLayer, sums: Any, bias: Any, current_decay: Any, decay: Any
) -> list[float]:
    """Largest I and v of any input, ever; infinite without a decay."""
    with np.errstate(divide="ignore", invalid="ignore"):
        current = np.where(current_decay > 0, sums / current_decay, np.inf)
        drive = current + np.abs(bias)
        v = np.where(decay > 0, drive / decay, np.inf)
    top = _threshold(layer) + float(drive.max())
    return [float(current.max()), float(v.max()), top]


def _threshold(layer: FloatLayer) -> float:
    return 0.0 if layer.threshold is None else float(layer.threshold.max())


def _whole_threshold(layer: FloatLayer, scale: float) -> float:
    """Scale at which one threshold for all channels is a whole number."""
    if layer.threshold is None or not layer.threshold.any():
        return scale
    value = float(layer.threshold[0])
    if (layer.threshold != value).any() or scale * value < 1:
        return scale
    return float(np.floor(scale * value)) / value
