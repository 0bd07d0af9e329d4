# SPDX-License-Identifier: BSD-3-Clause
"""Compartments in torch: all steps of a layer, in closed form, tile by tile.

Why the closed form is exact
----------------------------
``g = min(max(v, 0) // theta, M)``, M = 2**N - 1, without a division: the state is
``v + 1/2``, so ``(v + 1/2) / theta`` is at least ``1 / (2 * theta)`` away from any
integer. Multiplying by the rounded reciprocal errs by at most two roundings, a
relative ``2 * 2**-24`` in float32; below M + 1 that is less than
``(M + 1) * 2**-23 < 1 / (2 * theta)`` if ``theta * 2**N < 2**22``, so truncating
gives the right integer, and above M + 1 the clamp does. Otherwise float64 is used,
where the same needs ``theta * 2**N < 2**51``.

v fits 24 bits signed if and only if ``|v + 1/2| < 2**23``. Such half-integers are
exact in float32, and one outside never rounds to one inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from export.facts import STATE
from sim.backend import OverflowLayerError

#: Compartments updated together on a CPU: state and scratch stay in its L2 cache.
TILE = 2**18


def reciprocal_is_exact(theta: int, num_thresholds: int) -> bool:
    """Whether float32 suffices for the closed form; see above."""
    return theta << num_thresholds < 2**22


def payload_tensor_dtype(magnitude: int) -> torch.dtype:
    """Dtype of payloads inside the machine: int8 wherever it fits."""
    return torch.int8 if magnitude <= torch.iinfo(torch.int8).max else torch.int32


def check_range(values: Tensor, layer: str, step: int, what: str) -> None:
    """Raise `OverflowLayerError` unless all ``values`` fit 24 bits signed."""
    low, high = (int(x) for x in torch.aminmax(values))
    if not STATE.contains(low, high):
        worst = low if low < STATE.minimum else high
        raise OverflowLayerError(layer, step, f"{what} {worst}")


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
    ) -> None:
        self.layer = layer
        self.check = check
        self.v = torch.full(shape, 0.5, dtype=dtype, device=device)
        pixels, channels = shape
        tile = max(1, TILE // channels) if device.type == "cpu" else pixels
        self.tiles = [slice(i, i + tile) for i in range(0, pixels, tile)]
        self.scratch = torch.empty_like(self.v[:tile])
        self.maximum = 0
        self.theta: float | Tensor = 1.0
        if firing is not None:
            self.maximum = firing.maximum
            # Operands of equal layout, or plain numbers, are what torch vectorises.
            per_layer = len(firing.theta) == 1
            theta = firing.theta.expand_as(self.scratch).contiguous()
            self.theta = firing.theta.item() if per_layer else theta
        self.reciprocal = 1 / self.theta

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
            If a potential leaves 24 bits signed.
        """
        for tile in self.tiles:
            v = self.v[tile]
            for index, step in enumerate(steps):
                if self.check:
                    self._check(v, current[index, tile], step)
                v.add_(current[index, tile])
                if payload is not None:
                    self._fire(v, payload[index, tile])

    def accumulated(self) -> Tensor:
        """Integers of v, shape (pixels, channels), int32."""
        return self.v.floor().to(torch.int32)

    def _check(self, v: Tensor, current: Tensor, step: int) -> None:
        low, high = torch.aminmax(torch.add(v, current, out=self.scratch[: len(v)]))
        if low > STATE.minimum and high < STATE.maximum + 1:
            return
        exact = (v.double() + current.double()).floor()
        check_range(exact, self.layer, step, "potential")

    def _fire(self, v: Tensor, payload: Tensor) -> None:
        theta, reciprocal = self.theta, self.reciprocal
        if isinstance(theta, Tensor) and isinstance(reciprocal, Tensor):
            theta, reciprocal = theta[: len(v)], reciprocal[: len(v)]
        g = torch.mul(v, reciprocal, out=self.scratch[: len(v)])
        g.clamp_(0, self.maximum).trunc_()
        payload.copy_(g)
        v.sub_(g.mul_(theta))
