# SPDX-License-Identifier: BSD-3-Clause
"""Longer windows in 16 bits: running totals of payloads in the place of resets.

With C[t], what a neuron has received up to step t, and G[t], what it has sent, its
payload is ``min(max(C[t] // theta - G[t - 1], 0), M)`` (`sim.torch.counting` derives
it). C is added up in float32; what follows is int16, of half the bytes. Nothing is
subtracted from C, and nothing is looked at for an overflow.

Why it is exact
---------------
With R >= ``abs(C[t])`` for all t:

- If ``R + 1 < 2**23``, ``C[t] + 1/2`` and all it is added up from are exact in float32,
  and no potential leaves 24 bits signed: it is at most what positive products bring,
  and at least what negative ones do, and R counts the two apart; so it does the sums of
  each connection.
- Multiplying by the rounded reciprocal errs by a relative ``2**-23`` at most, and
  ``(C + 1/2) / theta`` is at least ``1 / (2 * theta)`` away from any integer. Below
  ``T * M + 1`` that is too little to change the integer if ``theta * (T * M + 1) <
  2**22``; from there on the result is at least T * M, and clamped to
  ``G[t - 1] + M <= T * M`` either way.
- If ``R + 1 <= (32767 - T * M) * theta``, int16 holds the quotient, G, which is at most
  T * M, and their difference. Conversion cuts off, so negative quotients are rounded
  up, but to no more than 0, and G[t - 1] is not negative.

R follows from the largest totals that the sources really have sent (`Reach`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from export.compartment import MTIF
from export.fit.bounds import signed_sums
from export.network import Input, Layer, Network
from export.synapse import IntArray
from sim.torch.compartment import TILE, Firing
from sim.torch.sent import Sent

ROOM = 2**23
LARGEST = torch.iinfo(torch.int16).max
RECIPROCAL = 2**22


@dataclass(frozen=True, kw_only=True, eq=False)
class Reach:
    """How far the sums of a layer can go, by what its sources have sent.

    Parameters
    ----------
    units : tuple of (str, ndarray of int64, shape (2, C_out))
        How far down and up each connection goes per unit of its source's totals.
    rest : ndarray of int64, shape (C_out,)
        What biases and the input add, over the window, and 1 for the half.
    narrow : ndarray of int64, shape (1,) or (C_out,)
        Up to where int16 holds the quotients; 0 or less where there can be no totals.
    """

    units: tuple[tuple[str, IntArray], ...]
    rest: IntArray
    narrow: IntArray

    @classmethod
    def of(cls, layer: Layer, network: Network) -> Reach:
        """Prepare a layer."""
        compartment, steps = layer.compartment, network.num_steps
        rest = steps * np.abs(compartment.bias.effective().astype(np.int64)) + 1
        units = []
        for c in layer.connections:
            source = network.nodes[c.source]
            found = np.abs(signed_sums(c)).astype(np.int64) << c.weight_exp
            if isinstance(source, Input):
                rest = rest + found.sum(axis=0) * source.magnitude * steps
            else:
                units.append((c.source, found))
        narrow = np.zeros(1, dtype=np.int64)
        if isinstance(compartment, MTIF) and compartment.mapping == "graded":
            theta = compartment.vth_mant.astype(np.int64)
            most = steps * compartment.payload_maximum
            suits = (
                compartment.payload_maximum <= torch.iinfo(torch.uint8).max
                and most < LARGEST
                and int(theta.max()) * (most + 1) < RECIPROCAL
            )
            narrow = theta * (LARGEST - most if suits else 0)
        return cls(units=tuple(units), rest=rest, narrow=narrow)

    def bounds(self, sent: Mapping[str, Sent]) -> tuple[bool, bool]:
        """Whether no potential leaves 24 bits, and whether totals are exact besides."""
        most = sum(unit * sent[name].most for name, unit in self.units)
        reach = np.max(np.broadcast_to(most, (2, len(self.rest))), axis=0) + self.rest
        inside = bool((reach < ROOM).all())
        return inside, inside and bool((reach <= self.narrow).all())


class RunningTotals:
    """What one layer's compartments have received and sent, from block to block.

    Parameters
    ----------
    shape : tuple of int
        (pixels, channels) of the compartments, images included in the pixels.
    firing : Firing
        Thresholds and largest payload.
    last : int
        Last step of the window.
    """

    def __init__(self, shape: tuple[int, int], firing: Firing, last: int) -> None:
        self.maximum = firing.maximum
        self.last = last
        self.received = torch.empty(shape, dtype=torch.float32)
        self.sent = torch.empty(shape, dtype=torch.int16)
        pixels, channels = shape
        tile = max(1, TILE * torch.get_num_threads() // channels)
        self.tiles = [slice(i, i + tile) for i in range(0, pixels, tile)]
        self.scratch = torch.empty_like(self.received[:tile])
        self.quotient = torch.empty_like(self.sent[:tile])
        reciprocal = (1 / firing.theta).float()
        # Operands of equal layout, or plain numbers, are what torch vectorises.
        self.reciprocal: float | Tensor = (
            reciprocal.item()
            if len(reciprocal) == 1
            else reciprocal.expand_as(self.scratch).contiguous()
        )

    def run(self, current: Tensor, steps: range, payload: Tensor | None) -> None:
        """Do the given steps; as `sim.torch.compartment.Potential.run`."""
        assert payload is not None  # no accumulator has a threshold
        for tile in self.tiles:
            for index, step in enumerate(steps):
                self._run(tile, current[index, tile], step, payload[index, tile])

    def _run(self, tile: slice, arrived: Tensor, step: int, payload: Tensor) -> None:
        received, sent = self.received[tile], self.sent[tile]
        if step == 0:
            torch.add(arrived, 0.5, out=received)
        else:
            received.add_(arrived)
        size = len(received)
        reciprocal = self.reciprocal
        if isinstance(reciprocal, Tensor):
            reciprocal = reciprocal[:size]
        share = torch.mul(received, reciprocal, out=self.scratch[:size])
        g = self.quotient[:size].copy_(share)
        if step > 0:
            g.sub_(sent)
        g.clamp_(0, self.maximum)
        payload.copy_(g)
        if step == self.last:
            return
        if step == 0:
            sent.copy_(g)
        else:
            sent.add_(g)
