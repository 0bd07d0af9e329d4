# SPDX-License-Identifier: BSD-3-Clause
"""Short windows in 8 bits: running totals of payloads in the place of potentials.

``G[t]`` is what a neuron has sent up to step t, ``C[t]`` what it has received, biases
and all. Its potential is then ``v[t] = C[t] - theta * G[t - 1]``, and since G is an
integer, ``v[t] // theta = C[t] // theta - G[t - 1]``. So

    G[t] = min(max(C[t] // theta, G[t - 1]), G[t - 1] + M)

and C[t] is a convolution of the sources' totals, plus t times the bias. Where ``T * M``
is at most 255, totals are uint8, and oneDNN writes ``C[t] // theta`` in uint8 as well:
that it saturates changes nothing, for G[t] is between 0 and T * M anyway. No potential
is ever stored, and four times fewer bytes move. The last of a window needs no more.

Why it is exact
---------------
oneDNN computes ``sum * f(s / theta) + f((t * bias + 1/2) / theta - 1/2)`` in float32,
f being one rounding and ``sum * s`` the integer, and rounds it to an integer. What it
rounds is C[t] // theta plus something of ``1 / (2 * theta) - 1/2 .. 1/2 - 1 / (2 *
theta)``: at least ``1 / (2 * theta)`` away from where the result changes. With B >=
``abs(sum * s)`` and b >= ``abs(t * bias)`` it errs by at most ``2**-24`` times
``2 * B / theta`` (the scale and the product), ``b / theta + 1`` (the bias) and 256
(the result; beyond it saturates), and second-order terms. That is too little to change
anything if ``2 * B + b + 260 * theta < 2**23``, and then nothing leaves 24 bits signed
either: the potential is at most what positive products bring, and at least what
negative ones do, and B, which counts the two apart, bounds either; so it does the sums
of each connection, which must not leave 24 bits one by one.

Where layers are small, the calls cost more than the arithmetic. One convolution of all
steps then gives ``f(sum * f(s / theta))``; adding ``f((t * bias + 1/2) / theta)``,
clamping and cutting off are the same roundings, one by one.

B follows from the largest totals: those that the settings allow, or else those that the
sources really have. Where neither will do, potentials do the work
(`sim.torch.compartment`). Every shape is tried before it is used
(`sim.torch.int8.rounds_exactly`), as those of plain sums are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from export.synapse import IntArray
from sim.torch import int8 as torch_int8
from sim.torch.int8 import UINT8_PAYLOAD
from sim.torch.onednn import Geometry, OneDnnConv
from sim.torch.sent import Sent
from sim.torch.synapse import Phases

ROOM = 2**23
#: Sums of a step up to which all steps share one convolution.
SMALL = 2**16


@dataclass(frozen=True, kw_only=True, eq=False)
class CountingConv:
    """Totals to ``C[t] // theta`` in uint8, by oneDNN.

    Parameters
    ----------
    geometry : Geometry
        Of the convolution.
    each : OneDnnConv
        Writes uint8, of one step.
    all_steps : OneDnnConv
        Writes float32, without a bias.
    biases : tuple of Tensor, each of shape (C_out,), float32
        ``(t * bias + 1/2) / theta - 1/2`` of each step t.
    late_biases : Tensor, shape (T, 1, 1, 1, C_out), float32
        ``(t * bias + 1/2) / theta``.
    """

    geometry: Geometry
    each: OneDnnConv
    all_steps: OneDnnConv
    biases: tuple[Tensor, ...]
    late_biases: Tensor

    def is_small(self, shape: Sequence[int]) -> bool:
        """Whether all steps of a source's totals should share one convolution."""
        count, _, height, width = shape
        sums = count * height * width * self.geometry.weight[0]
        stride = self.geometry.stride
        return len(self.biases) > 1 and sums <= SMALL * stride[0] * stride[1]

    def is_exact(self, shape: Sequence[int], limit: int) -> bool:
        """Whether a trial was right: of totals of one step, up to a limit."""
        count, _, height, width = shape
        channels = self.geometry.weight[1] * self.geometry.groups
        if self.is_small(shape):
            together = (len(self.biases) * count, channels, height, width)
            return torch_int8.is_exact(self.geometry, together, limit)
        one = (count, channels, height, width)
        return torch_int8.rounds_exactly(self.geometry, one, limit)

    def step(self, step: int, totals: Tensor) -> Tensor:
        """``C // theta`` of one step, shape (images, C_out, H, W)."""
        return self.each(totals, self.biases[step])

    def all(self, totals: Tensor) -> Tensor:
        """``C // theta`` of all steps, shape (T * images, C_out, H, W)."""
        sums = self.all_steps(totals).permute(0, 2, 3, 1)
        steps = sums.unflatten(0, (len(self.biases), -1))  # type: ignore[no-untyped-call]
        steps.add_(self.late_biases).clamp_(0, UINT8_PAYLOAD)
        # torch vectorises these two conversions, and not the direct one.
        return sums.to(torch.int16).to(torch.uint8).permute(0, 3, 1, 2)


@dataclass(frozen=True, kw_only=True, eq=False)
class Counting:
    """A layer whose totals follow from its sources' totals.

    Parameters
    ----------
    sources : tuple of str
        Names; their channels are joined in this order.
    shifts : tuple of int
        Powers of two on each source's totals.
    units : tuple of ndarray of int64, shape (2, C_out)
        How far down and up a connection goes per unit of its source's totals.
    rest : ndarray of int64, shape (C_out,)
        What the other terms of the condition above come to.
    always : bool
        The condition holds whatever the sources send.
    maximum : int
        Largest payload M.
    limit : int
        Largest total that goes into the convolution, 127 or 255.
    conv : CountingConv
        The convolution.
    phases : Phases or None
        What is left to do to its output.
    """

    sources: tuple[str, ...]
    shifts: tuple[int, ...]
    units: tuple[IntArray, ...]
    rest: IntArray
    always: bool
    maximum: int
    limit: int
    conv: CountingConv
    phases: Phases | None

    def suits(self, sent: Sequence[Sent]) -> bool:
        """Whether it is exact for what the sources have sent."""
        if not self.always:
            largest = [source.largest for source in sent]
            if not is_bounded(largest, self.shifts, self.units, self.rest, self.limit):
                return False
        return self.conv.is_exact(sent[0].totals[0].shape, self.limit)

    def run(self, sent: Sequence[Sent]) -> Sent:
        """Totals of the layer, of all steps."""
        totals: list[Tensor] = []
        for quotient in self._quotients(sent):
            if totals:
                before = totals[-1]
                torch.minimum(quotient, before + self.maximum, out=quotient)
                torch.maximum(quotient, before, out=quotient)
            elif self.maximum < UINT8_PAYLOAD:
                quotient.clamp_max_(self.maximum)
            totals.append(quotient)
        return Sent.of_totals(totals)

    def _quotients(self, sent: Sequence[Sent]) -> Sequence[Tensor]:
        """``C // theta`` of each step, shape (images, C, H, W)."""
        steps = len(self.conv.biases)
        if self.conv.is_small(sent[0].totals[0].shape):
            arrived = self._joined([source.all_totals for source in sent])
            return self._interleaved(self.conv.all(arrived)).chunk(steps)
        totals = zip(*(source.totals for source in sent), strict=True)
        return [
            self._interleaved(self.conv.step(step, self._joined(parts)))
            for step, parts in enumerate(totals)
        ]

    def _interleaved(self, quotient: Tensor) -> Tensor:
        return quotient if self.phases is None else self.phases(quotient)

    def _joined(self, totals: Sequence[Tensor]) -> Tensor:
        shifted = [
            total if shift == 0 else total << shift
            for total, shift in zip(totals, self.shifts, strict=True)
        ]
        return shifted[0] if len(shifted) == 1 else joined(shifted)


def is_bounded(
    largest: Sequence[int],
    shifts: Sequence[int],
    units: Sequence[IntArray],
    rest: IntArray,
    limit: int,
) -> bool:
    """Whether the condition above holds, and totals fit the convolution.

    Parameters
    ----------
    largest : sequence of int
        Largest total of each source.
    shifts, units, rest, limit
        As of `Counting`.
    """
    if any(x << shift > limit for x, shift in zip(largest, shifts, strict=True)):
        return False
    reach = sum(unit * x for unit, x in zip(units, largest, strict=True))
    return bool((2 * np.max(reach, axis=0) + rest).max() < ROOM)


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Channels of several uint8 tensors, channels last, one after the other."""
    pixels = [part.permute(0, 2, 3, 1) for part in parts]
    if all(part.shape[-1] % 16 == 0 and part.is_contiguous() for part in pixels):
        # 16 bytes at a time, whatever they mean.
        wide = torch.cat([part.view(torch.complex128) for part in pixels], dim=-1)
        return wide.view(torch.uint8).permute(0, 3, 1, 2)
    return torch.cat(pixels, dim=-1).permute(0, 3, 1, 2)
