# SPDX-License-Identifier: BSD-3-Clause
"""Compartments that lava-nc ships, with the fixed-point rules of its models.

Their overflow rules are part of what they are: u wraps, v saturates. Anything
that these rules do not define is an `OverflowLayerError` of the backend that runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from export.compartment import Bias
from export.errors import NetworkError, RangeError
from export.facts import CUBA_VTH, DECAY, PAYLOAD, SPIKE_EXP, STATE, IntRange
from export.synapse import IntArray, integers

# One value for the layer, or one per channel: shape (C,), int32, read-only.
PerChannel = int | IntArray

# Alignment of activations, biases and thresholds to 24-bit states (lava-nc 0.10.0,
# AbstractPyLifModelFixed.act_shift and vth_shift; netx's bias_exp and state_exp).
STATE_SHIFT = 6
# Decays count in units of 1 / 2**DECAY_SHIFT.
DECAY_SHIFT = DECAY.maximum.bit_length() - 1


def _check(value: int, allowed: IntRange, what: str) -> None:
    if type(value) is not int or not allowed.contains(value, value):
        raise RangeError(f"{what}: {value} outside {allowed}")


def _per_channel(value: PerChannel, allowed: IntRange, what: str) -> PerChannel:
    """Checked: an int, or an array of one value per channel."""
    if type(value) is int:
        _check(value, allowed, what)
        return value
    array = integers(value, what)
    if array.ndim != 1 or not array.size:
        raise NetworkError(
            f"{what}: shape {array.shape} found, one number or one per channel needed"
        )
    low, high = int(array.min()), int(array.max())
    if not allowed.contains(low, high):
        raise RangeError(f"{what}: {low}..{high} outside {allowed}")
    return array


def column(value: PerChannel) -> npt.NDArray[np.int64]:
    """Value per channel, to meet (C, H, W): shape (1, 1, 1) or (C, 1, 1)."""
    return np.asarray(value, dtype=np.int64).reshape(-1, 1, 1)


def largest(value: PerChannel) -> int:
    """The largest of the channels' values."""
    return int(np.max(value))


# Of a CUBA compartment, by name.
PARAMETERS = {"i_decay": DECAY, "v_decay": DECAY, "vth_mant": CUBA_VTH}


@dataclass(frozen=True, kw_only=True, eq=False)
class CUBA:
    """Current-based leaky integrate-and-fire compartment, reset to zero.

    ::

        u = wrap(decay(u, i_decay) + (a << 6))
        v = clip(decay(v, v_decay) + u + (bias << 6))
        spike = v > vth_mant << 6;   v = 0 where it spikes

    with ``decay(x, d) = sign(x) * (abs(x) * (4096 - d) >> 12)``; ``wrap`` adds or
    subtracts 2**24 once so that ``-2**23 < u <= 2**23``; ``clip`` saturates at
    +-(2**23 - 1). Source: lava-nc 0.10.0, lava.proc.lif.models.PyLifModelBitAcc
    and PyLifResetModelBitAcc, with lava-dl 0.6.0's ``du = iDecay - 1`` (the model
    adds ``ds_offset = 1`` again), ``dv = vDecay`` and ``bias_exp = 6``.

    Parameters
    ----------
    i_decay, v_decay : int, or ndarray of shape (C,)
        Decay of u and v, 0 (none) .. 4096 (all, at every step).
    vth_mant : int, or ndarray of shape (C,)
        Threshold, 0..262143; v never exceeds 131072 (netx's default) and more.
    bias : Bias
        Constant input of every step; its exponent must be 6.
    """

    i_decay: PerChannel
    v_decay: PerChannel
    vth_mant: PerChannel
    bias: Bias
    states: ClassVar[tuple[str, ...]] = ("u", "v")
    payload_maximum: ClassVar[int] = 1

    def __post_init__(self) -> None:
        for name, allowed in PARAMETERS.items():
            value = _per_channel(getattr(self, name), allowed, f"CUBA {name}")
            object.__setattr__(self, name, value)
        if self.bias.exp != STATE_SHIFT:
            raise NetworkError(
                f"CUBA bias_exp: {self.bias.exp} found, netx fixes {STATE_SHIFT}"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Delta:
    """Delta encoder: sends what changed, once the change reaches a threshold.

    ::

        x = a << spike_exp + 6
        delta = x - act + residue;   act = x
        s = delta where abs(delta) >= vth_mant << spike_exp + 6, else 0
        residue = delta - s
        emits s >> 6

    Source: lava-nc 0.10.0, lava.proc.sdn.models.PyDeltaModelFixed, without
    cumulative error, as netx makes it.

    Parameters
    ----------
    vth_mant : int
        Threshold in units of the input, 0 or more; Lava holds one for the layer.
    spike_exp : int
        Fraction bits of the payload, 0..7; netx's argument of that name.
    """

    vth_mant: int
    spike_exp: int = 6
    states: ClassVar[tuple[str, ...]] = ("act", "residue")
    payload_maximum: ClassVar[int] = PAYLOAD.maximum + 1

    def __post_init__(self) -> None:
        _check_sdn(self.vth_mant, self.spike_exp, "Delta")


@dataclass(frozen=True, kw_only=True, eq=False)
class SigmaDelta:
    """Sigma-delta compartment with ReLU.

    ::

        sigma = sigma + a
        x = max(0, sigma + (bias << spike_exp + 6))
        then as `Delta`

    Source: lava-nc 0.10.0, lava.proc.sdn.models.PySigmaDeltaModelFixed, without
    cumulative error, as netx makes it.

    Parameters
    ----------
    vth_mant, spike_exp : int
        As for `Delta`.
    bias : Bias
        Constant added before the ReLU; its exponent must be 0, since the
        compartment shifts it.
    """

    vth_mant: int
    bias: Bias
    spike_exp: int = 6
    states: ClassVar[tuple[str, ...]] = ("sigma", "act", "residue")
    payload_maximum: ClassVar[int] = PAYLOAD.maximum + 1

    def __post_init__(self) -> None:
        _check_sdn(self.vth_mant, self.spike_exp, "SigmaDelta")
        if self.bias.exp:
            raise NetworkError(f"SigmaDelta bias_exp: {self.bias.exp} found, 0 needed")


@dataclass(frozen=True, kw_only=True, eq=False)
class Sigma:
    """Sigma decoder: ``sigma = sigma + a``, emitted at every step.

    Source: lava-nc 0.10.0, lava.proc.sdn.models.PySigmaModelFixed.
    """

    states: ClassVar[tuple[str, ...]] = ()  # what it emits is its state
    payload_maximum: ClassVar[int] = PAYLOAD.maximum + 1


def _check_sdn(vth_mant: int, spike_exp: int, kind: str) -> None:
    _check(spike_exp, SPIKE_EXP, f"{kind} spike_exp")
    highest = STATE.maximum >> (spike_exp + STATE_SHIFT)
    _check(vth_mant, IntRange(minimum=0, maximum=highest), f"{kind} vth_mant")


StockCompartment = CUBA | Delta | SigmaDelta | Sigma


def channels_of(compartment: StockCompartment) -> dict[str, int]:
    """How many channels each parameter that is given per channel has, by its name."""
    parameters = {name: getattr(compartment, name, 0) for name in PARAMETERS}
    return {k: len(v) for k, v in parameters.items() if isinstance(v, np.ndarray)}
