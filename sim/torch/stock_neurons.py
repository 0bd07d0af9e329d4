# SPDX-License-Identifier: BSD-3-Clause
"""Compartments that lava-nc ships, one time step of a whole layer in torch.

Integers throughout: int64 where a product with a decay needs it, int32 where all
values stay within 26 bits because each is checked before it is used again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor
from typing_extensions import assert_never

from export.facts import DECAY, STATE
from export.stock_compartment import (
    CUBA,
    DECAY_SHIFT,
    STATE_SHIFT,
    Delta,
    PerChannel,
    Sigma,
    SigmaDelta,
    column,
)
from export.stock_network import Reset, StockLayer, StockNetwork
from export.synapse import Injection
from sim.overflow import check_range
from sim.stock_run import arriving

#: Integers of a sigma-delta compartment: sums of three values of 24 bits, and a bias.
NARROW = torch.int32


class Compartment(Protocol):
    """One layer's states, and what a time step makes of them."""

    @property
    def states(self) -> Mapping[str, Tensor]:
        """States after the last step, (C, H, W), by name."""

    def step(self, t: int, a: Tensor) -> Tensor:
        """Take the sums of step ``t`` (from 0) in; return what is sent, (C, H, W)."""


def compartment_of(
    network: StockNetwork, layer: StockLayer, device: torch.device
) -> Compartment:
    """Compartment of a layer, at rest.

    Parameters
    ----------
    network : StockNetwork
        Whose layer.
    layer : StockLayer
        What to run.
    device : torch.device
        Where.
    """
    compartment = layer.compartment
    match compartment:
        case CUBA():
            stage = network.stages[layer.name]
            return _Cuba(layer, compartment, network.reset, stage, device)
        case Delta() | SigmaDelta():
            return _SigmaDelta(layer, compartment, device)
        case Sigma():
            return _Sigma(layer, device)
        case _:
            assert_never(compartment)


def check(values: Tensor, layer: str, what: str, step: int | None = None) -> None:
    """Refuse values outside 24 bits signed.

    Parameters
    ----------
    values : Tensor, shape (T, ...), or (...) of one step
        Integers.
    layer, what : str
        Named in the error.
    step : int, optional
        The one step; None if ``values`` are those of all steps from 0.

    Raises
    ------
    OverflowLayerError
        With the first step and its worst value.
    """
    low, high = (int(v) for v in torch.aminmax(values))
    if STATE.contains(low, high):
        return
    if step is None:
        outside = (values < STATE.minimum) | (values > STATE.maximum)
        step = int(outside.flatten(1).any(dim=1).int().argmax())
        low, high = (int(v) for v in torch.aminmax(values[step]))
    check_range((low, high), layer, step, what)


def _column(value: PerChannel, device: torch.device) -> Tensor:
    return torch.from_numpy(column(value)).to(device)


def _decay(x: Tensor, amount: Tensor) -> Tensor:
    kept: Tensor = x.sign() * (x.abs() * (DECAY.maximum - amount) >> DECAY_SHIFT)
    return kept


class _Cuba:
    def __init__(
        self,
        layer: StockLayer,
        compartment: CUBA,
        reset: Reset | None,
        stage: int,
        device: torch.device,
    ) -> None:
        self.layer = layer
        self.reset, self.stage = reset, stage
        first = layer.connections[0]
        self.injected = isinstance(first.synapse, Injection)
        self.i_decay = _column(compartment.i_decay, device)
        self.v_decay = _column(compartment.v_decay, device)
        self.threshold = _column(compartment.vth_mant, device) << STATE_SHIFT
        self.bias = _column(compartment.bias.effective(), device)
        self.u = torch.zeros(layer.shape, dtype=torch.int64, device=device)
        self.v = torch.zeros_like(self.u)
        self.what = f"{arriving(layer)} << {STATE_SHIFT}"

    @property
    def states(self) -> Mapping[str, Tensor]:
        return {"u": self.u, "v": self.v}

    def step(self, t: int, a: Tensor) -> Tensor:
        if self.reset is not None and self.reset.due(t + 1, self.stage):
            self.u, self.v = torch.zeros_like(self.u), torch.zeros_like(self.v)
        shifted, bias = a.long() << STATE_SHIFT, self.bias
        if self.injected:
            shifted, bias = torch.zeros_like(shifted), shifted
        check(shifted, self.layer.name, self.what, t)
        half, limit = -STATE.minimum, STATE.maximum
        u = _decay(self.u, self.i_decay) + shifted
        # Into -half < u <= half, one turn of 2**24 at most.
        self.u = half - (half - u).remainder(2 * half)
        v = (_decay(self.v, self.v_decay) + self.u + bias).clamp(-limit, limit)
        spikes = v > self.threshold
        self.v = v.masked_fill(spikes, 0)
        return spikes


class _SigmaDelta:
    """Delta encoding of ``a`` itself, or of the rectified sum of all ``a``."""

    def __init__(
        self, layer: StockLayer, compartment: Delta | SigmaDelta, device: torch.device
    ) -> None:
        self.name = layer.name
        self.shift = compartment.spike_exp + STATE_SHIFT
        self.threshold = compartment.vth_mant << self.shift
        zeros = torch.zeros(layer.shape, dtype=NARROW, device=device)
        self.sigma: Tensor | None = None
        if isinstance(compartment, SigmaDelta):
            bias = _column(compartment.bias.effective(), device).to(NARROW)
            self.bias, self.sigma = bias << self.shift, zeros
        self.act, self.residue = zeros, zeros

    @property
    def states(self) -> Mapping[str, Tensor]:
        traced = {"act": self.act, "residue": self.residue}
        return traced if self.sigma is None else {"sigma": self.sigma, **traced}

    def step(self, t: int, a: Tensor) -> Tensor:
        if self.sigma is None:
            x = a.long() << self.shift
            self._check(x - self.act + self.residue, "delta", t)
            self._check(x, "act", t)
            x = x.to(NARROW)
        else:
            self.sigma = self.sigma + a.to(NARROW)
            self._check(self.sigma, "sigma", t)
            x = (self.sigma + self.bias).relu()
        delta = x - self.act + self.residue
        self._check(delta, "delta", t)
        reached = delta.abs() >= self.threshold
        self.act, self.residue = x, delta.masked_fill(reached, 0)
        self._check(self.act, "act", t)
        return delta.masked_fill(~reached, 0) >> STATE_SHIFT

    def _check(self, values: Tensor, what: str, t: int) -> None:
        check(values, self.name, what, t)


class _Sigma:
    def __init__(self, layer: StockLayer, device: torch.device) -> None:
        self.name = layer.name
        self.sigma = torch.zeros(layer.shape, dtype=NARROW, device=device)

    @property
    def states(self) -> Mapping[str, Tensor]:
        return {}

    def step(self, t: int, a: Tensor) -> Tensor:
        self.sigma = self.sigma + a.to(NARROW)
        check(self.sigma, self.name, "sigma", t)
        return self.sigma
