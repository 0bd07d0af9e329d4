# SPDX-License-Identifier: BSD-3-Clause
"""Compartments in torch: all steps of a layer, in closed form, tile by tile.

Why the closed form is exact
----------------------------
``g = min(max(v, 0) // theta, M)``, M = 2**N - 1, without a division: the state is
``v + 1/2``, so ``(v + 1/2) / theta`` is at least ``1 / (2 * theta)`` away from any
integer. Multiplying by the rounded reciprocal errs by at most two roundings, a
relative ``2 * 2**-24`` in float32; below M + 1 that is less than
``(M + 1) * 2**-23 < 1 / (2 * theta)`` if ``theta * 2**N < 2**22``, so rounding down
gives the right integer, and above M + 1 the clamp does. Otherwise float64 is used,
where the same needs ``theta * 2**N < 2**51``. After the clamp nothing is negative, so
``floor`` is ``trunc``; torch vectorises the former only.

A payload is then an integer of 0..M in floating point, and every conversion on its way
holds it: int8 up to 127 (whose bytes are uint8's), int16 and then uint8 up to 255,
int32 beyond. torch vectorises float to int8 and int16, and int16 to uint8, but not
float to uint8.

v fits 24 bits signed if and only if ``|v + 1/2| < 2**23``. Such half-integers are
exact in float32, and one outside never rounds to one inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from export.facts import STATE
from sim.overflow import check_range

#: Compartments that a thread of a CPU updates together: their state, their input and
#: scratch stay in its L2 cache.
TILE = 2**17


def reciprocal_is_exact(theta: int, num_thresholds: int) -> bool:
    """Whether float32 suffices for the closed form; see above."""
    return theta << num_thresholds < 2**22


def payload_tensor_dtype(magnitude: int) -> torch.dtype:
    """Dtype of payloads inside the backend: uint8 wherever it fits."""
    return torch.uint8 if magnitude <= torch.iinfo(torch.uint8).max else torch.int32


@dataclass(frozen=True, kw_only=True, eq=False)
class Firing:
    """Constants of a multi-threshold layer.

    Parameters
    ----------
    theta : Tensor, shape (1,) or (C,), float64
        Base threshold.
    maximum : int
        Largest payload M.
    """

    theta: Tensor
    maximum: int


class Potential:
    """State of one layer's compartments, carried from block to block of steps.

    Parameters
    ----------
    layer : str
        Named in an error.
    shape : tuple of int
        (pixels, channels) of the compartments, images included in the pixels.
    firing : Firing or None
        None for an accumulator.
    dtype : torch.dtype
        Of the sums.
    device : torch.device
        Where they are.
    check : bool
        Whether the potential could leave 24 bits signed.
    last : int
        Step after which nobody asks for the potential of a layer that fires.
    tell : bool
        Whether an overflow is told with the potential that did it; without, it is only
        certain that there is one at that step.
    """

    def __init__(
        self,
        layer: str,
        shape: tuple[int, int],
        *,
        firing: Firing | None,
        dtype: torch.dtype,
        device: torch.device,
        check: bool,
        last: int,
        tell: bool,
    ) -> None:
        self.layer = layer
        self.check = check
        self.last = last
        self.tell = tell
        # Filled at the first step.
        self.v = torch.empty(shape, dtype=dtype, device=device)
        pixels, channels = shape
        tile = pixels
        if device.type == "cpu":
            tile = max(1, TILE * torch.get_num_threads() // channels)
        self.tiles = [slice(i, i + tile) for i in range(0, pixels, tile)]
        self.scratch = torch.empty_like(self.v[:tile])
        self.maximum = 0
        self.theta: float | Tensor = 1.0
        self.reciprocal: float | Tensor = 1.0
        if firing is not None:
            self.maximum = firing.maximum
            self.theta, self.reciprocal = self._operands(firing.theta.to(dtype))
        # Payloads of 8 bits pass through it; the others need none.
        wide = self.maximum > torch.iinfo(torch.int8).max
        self.narrow = torch.empty_like(
            self.scratch if wide else self.scratch[:0], dtype=torch.int16
        )

    def _operands(self, theta: Tensor) -> tuple[float | Tensor, float | Tensor]:
        """Thresholds and their reciprocals as torch vectorises them.

        That is plain numbers, or operands of equal layout and dtype.
        """
        if len(theta) == 1:
            return theta.item(), 1 / theta.item()
        reciprocal = (1 / theta).expand_as(self.scratch).contiguous()
        if self.last == 0:
            return theta, reciprocal  # nothing is subtracted after the only step
        return theta.expand_as(self.scratch).contiguous(), reciprocal

    def run(self, current: Tensor, steps: range, payload: Tensor | None) -> None:
        """Do the given steps.

        Parameters
        ----------
        current : Tensor, shape (len(steps), pixels, channels)
            Bias and sums of each step.
        steps : range
            Algorithm steps, for errors.
        payload : Tensor or None, shape of ``current``, integers
            Where to write the graded spikes; None for an accumulator.

        Raises
        ------
        OverflowLayerError
            If a potential leaves 24 bits signed: at the first step at which any does,
            with the worst of that step.
        """
        found: list[tuple[int, int, int]] = []
        for tile in self.tiles:
            outside = self._run_tile(tile, current, steps, payload)
            if outside is not None:
                found.append(outside)
        if found:
            step = min(first for first, _, _ in found)
            low = min(low for first, low, _ in found if first == step)
            high = max(high for first, _, high in found if first == step)
            check_range((low, high), self.layer, step, "potential")

    def _run_tile(
        self, tile: slice, current: Tensor, steps: range, payload: Tensor | None
    ) -> tuple[int, int, int] | None:
        """Do the steps of a tile; stop at an overflow: its step and the extremes."""
        v = self.v[tile]
        for index, step in enumerate(steps):
            arrived = current[index, tile]
            before = v.clone() if self.check and self.tell and step else None
            if step == 0:
                torch.add(arrived, 0.5, out=v)
            else:
                v.add_(arrived)
            if self.check:
                low, high = (x.item() for x in torch.aminmax(v))
                if not (low > STATE.minimum and high < STATE.maximum + 1):
                    return step, *self._extremes(v, before, arrived)
            if payload is not None:
                self._fire(v, payload[index, tile], step == self.last)
        return None

    def accumulated(self) -> Tensor:
        """Integers of v, shape (pixels, channels), int32."""
        return self.v.floor().to(torch.int32)

    def _extremes(
        self, v: Tensor, before: Tensor | None, arrived: Tensor
    ) -> tuple[int, int]:
        """Smallest and largest potential after integration, where one is outside."""
        if self.tell:
            # At these sizes v is rounded perhaps; the sum itself is what is told.
            v = arrived.double() + (0.5 if before is None else before.double())
        low, high = torch.aminmax(v.floor())
        return int(low), int(high)

    def _fire(self, v: Tensor, payload: Tensor, is_last: bool) -> None:
        reciprocal = self.reciprocal
        if isinstance(reciprocal, Tensor):
            reciprocal = reciprocal[: len(v)]
        g = torch.mul(v, reciprocal, out=self.scratch[: len(v)])
        # The conversions below cut off what floor would; it is for what is subtracted.
        g.clamp_(0, self.maximum)
        if not is_last:
            g.floor_()
        if payload.dtype != torch.uint8:
            payload.copy_(g)
        elif self.maximum <= torch.iinfo(torch.int8).max:
            payload.view(torch.int8).copy_(g)
        else:
            payload.copy_(self.narrow[: len(v)].copy_(g))
        if is_last:
            return
        # One pass over memory, and exact whether or not it multiplies and adds at once.
        if isinstance(self.theta, Tensor):
            v.addcmul_(g, self.theta[: len(v)], value=-1)
        else:
            v.sub_(g, alpha=self.theta)
