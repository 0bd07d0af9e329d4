# SPDX-License-Identifier: BSD-3-Clause
"""Compartments of the integer network: what a layer does with its input sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from export.errors import NetworkError, RangeError
from export.facts import BIAS_EXP, BIAS_MANT, VTH_MANT, IntRange
from export.mapping import Mapping, MappingName
from export.synapse import IntArray, integers

#: Of one compartment: a choice of this project, no limit of a chip.
NUM_THRESHOLDS = IntRange(minimum=1, maximum=16)


def _check(values: IntArray, allowed: IntRange, what: str) -> None:
    if values.size and not allowed.contains(int(values.min()), int(values.max())):
        raise RangeError(
            f"{what}: {int(values.min())}..{int(values.max())} outside {allowed}"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Bias:
    """Constant input of every step, ``mant << exp`` per channel.

    Parameters
    ----------
    mant : ndarray, shape (C,), int32
        13-bit signed mantissas, -4096..4095.
    exp : int
        Exponent 0..7, shared by the layer.
    """

    mant: IntArray
    exp: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "mant", integers(self.mant, "bias_mant"))
        if self.mant.ndim != 1:
            raise NetworkError(f"bias_mant: shape {self.mant.shape} found, (C,) needed")
        _check(self.mant, BIAS_MANT, "bias_mant")
        if not BIAS_EXP.contains(self.exp, self.exp):
            raise RangeError(f"bias_exp: {self.exp} outside {BIAS_EXP}")

    def effective(self) -> IntArray:
        """``mant << exp``, shape (C,), int64."""
        return self.mant.astype(np.int64) << self.exp


@dataclass(frozen=True, kw_only=True, eq=False)
class MTIF:
    """Multi-threshold integrate-and-fire compartment with soft reset.

    ::

        v += bias + sum of connections
        g = 0
        for i = N-1 .. 0:
            if v >= vth << i:   v -= vth << i;   g += 1 << i

    emits the graded spike g, 0 .. 2**N - 1 (arXiv 2307.10974, eq. 4-6). Closed
    form: ``g = min(max(v, 0) // vth, 2**N - 1)``.

    Parameters
    ----------
    vth_mant : ndarray, shape (1,) or (C,), int32
        Base threshold in units of the weight mantissa, 1..131071; one for the
        layer or one per channel.
    num_thresholds : int
        N, also the payload's bits.
    bias : Bias
        Constant input.
    mapping : {"graded", "parallel-if", "binary-if"}
        What stands for the neuron on the chip; the emitted payload is the same.

        ``graded``: one compartment that emits g.
        ``parallel-if``: K = 2**N - 1 compartments of one threshold K * vth and
        binary spikes, whose potentials start a window at 0, vth, ...,
        (K - 1) * vth; g of them fire.
        ``binary-if``: one compartment with N binary outputs, the bits of g;
        output i reaches its synapses with ``weight_exp + i``.
    """

    vth_mant: IntArray
    num_thresholds: int
    bias: Bias
    mapping: MappingName = "graded"

    def __post_init__(self) -> None:
        object.__setattr__(self, "vth_mant", integers(self.vth_mant, "vth_mant"))
        if self.vth_mant.shape not in ((1,), self.bias.mant.shape):
            raise NetworkError(
                f"vth_mant: shape {self.vth_mant.shape} found, "
                f"(1,) or {self.bias.mant.shape} needed"
            )
        _check(self.vth_mant, VTH_MANT, "vth_mant")
        if not NUM_THRESHOLDS.contains(self.num_thresholds, self.num_thresholds):
            raise RangeError(
                f"num_thresholds: {self.num_thresholds} outside {NUM_THRESHOLDS}"
            )
        on_chip = self.on_chip
        limit, highest = on_chip.largest_base, int(self.vth_mant.max())
        if highest > limit:
            raise RangeError(
                f"vth_mant: {highest} found, {self.mapping} multiplies it by "
                f"{on_chip.highest_threshold} and {VTH_MANT} is allowed; lower it by "
                f"{highest - limit} to {limit}"
            )

    @property
    def on_chip(self) -> Mapping:
        """What stands for one of these neurons."""
        return Mapping(name=self.mapping, num_thresholds=self.num_thresholds)

    @property
    def copies(self) -> int:
        """Compartments that stand for one neuron, each with a potential."""
        return self.on_chip.copies

    @property
    def planes(self) -> int:
        """Binary outputs of one compartment; 1 where a spike has one weight."""
        return self.on_chip.planes

    @property
    def payload_maximum(self) -> int:
        """Largest payload, 2**N - 1."""
        return (1 << self.num_thresholds) - 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Accumulator:
    """Compartment that never spikes: v after the last step is the output.

    Parameters
    ----------
    bias : Bias
        Constant input.
    """

    bias: Bias


Compartment = MTIF | Accumulator
