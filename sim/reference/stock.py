# SPDX-License-Identifier: BSD-3-Clause
"""The judge for stock neurons: the graph, clocked step by step, in int64 NumPy."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
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
from export.stock_network import StockConnection, StockLayer, StockNetwork
from export.synapse import Injection, IntArray
from sim.overflow import check_range, extremes
from sim.reference import synapse
from sim.stock_run import arriving, by_delay

Int64 = npt.NDArray[np.int64]

WRAP = STATE.maximum - STATE.minimum + 1
CLIP = STATE.maximum


def decay(x: Int64, amount: int | Int64) -> Int64:
    """Lose ``amount / 4096`` of the magnitude, rounding towards zero.

    Examples
    --------
    >>> decay(np.array([-5, 5, 4096]), 1024)
    array([  -3,    3, 3072])
    """
    left = np.asarray(DECAY.maximum - amount, dtype=np.int64)
    size: Int64 = np.multiply(np.abs(x), left) >> DECAY_SHIFT
    kept: Int64 = np.where(x < 0, -size, size)
    return kept


def cuba_step(
    u: Int64, v: Int64, shifted: Int64, bias: Int64, compartment: CUBA
) -> tuple[Int64, Int64, Int64]:
    """One time step of `export.stock_compartment.CUBA`.

    Parameters
    ----------
    u, v : ndarray, int64
        States before the step.
    shifted : ndarray, int64
        Input sum << 6, within 24 bits signed.
    bias : ndarray, int64
        Bias << 6.
    compartment : CUBA
        Decays and threshold; where these are given per channel, states are (C, H, W).

    Returns
    -------
    u, v, spikes : ndarray, int64
        States after the step, and 0 or 1.
    """
    u = decay(u, _like(compartment.i_decay, u)) + shifted
    u = np.where(u > WRAP // 2, u - WRAP, u)
    u = np.where(u <= -WRAP // 2, u + WRAP, u)
    v = np.clip(decay(v, _like(compartment.v_decay, v)) + u + bias, -CLIP, CLIP)
    spikes = v > _like(compartment.vth_mant, v) << STATE_SHIFT
    return u, np.where(spikes, 0, v), spikes.astype(np.int64)


def _like(value: PerChannel, states: Int64) -> int | Int64:
    return value if isinstance(value, int) else column(value)


class Incoming:
    """One connection, and what its source sent last."""

    def __init__(self, connection: StockConnection, source: tuple[int, ...]) -> None:
        self.source = connection.source
        self.parts = by_delay(connection.synapse)
        depth = 1 + max(delay for delay, _ in self.parts)
        zeros = np.zeros(source, dtype=np.int64)
        self.sent = deque([zeros] * depth, maxlen=depth)

    def sums(self) -> Int64:
        """What arrives at this step; ``sent`` ends with the step before."""
        parts = (synapse.apply(part, self.sent[-1 - d]) for d, part in self.parts)
        total: Int64 = sum(parts)  # type: ignore[assignment]
        return total


class Axons:
    """Holds back what a layer sends, each channel by its own delay."""

    def __init__(self, layer: StockLayer) -> None:
        self.delay = layer.delay
        depth = 1 if layer.delay is None else 1 + int(layer.delay.max())
        zeros = np.zeros(layer.shape, dtype=np.int64)
        self.sent = deque([zeros] * depth, maxlen=depth)

    def leaving(self, payload: Int64) -> Int64:
        """What leaves at this step, at whose end the compartments sent ``payload``."""
        if self.delay is None:
            return payload
        self.sent.append(payload)
        return np.stack([self.sent[-1 - d][c] for c, d in enumerate(self.delay)])


class LayerState:
    """States of one layer, and what its connections hold back."""

    def __init__(self, network: StockNetwork, layer: StockLayer) -> None:
        self.layer = layer
        self.reset = network.reset
        self.stage = network.stages[layer.name]
        first = layer.connections[0]
        self.injected = isinstance(first.synapse, Injection)
        self.now = 0
        zeros = np.zeros(layer.shape, dtype=np.int64)
        self.states = {name: zeros for name in layer.compartment.states}
        self.sigma = zeros
        self.incoming = [
            Incoming(c, network.nodes[c.source].shape) for c in layer.connections
        ]
        self.axons = Axons(layer)
        self.arriving = arriving(layer)

    def step(self, now: int, injected: Int64) -> Int64:
        """Advance to time step ``now`` (1-based); return what is emitted."""
        self.now = now
        compartment = self.layer.compartment
        a = injected if self.injected else self._arrived()
        match compartment:
            case CUBA():
                return self._cuba(compartment, a, injected if self.injected else None)
            case Delta(vth_mant=vth, spike_exp=exp):
                return self._delta(a << (exp + STATE_SHIFT), vth, exp)
            case SigmaDelta(vth_mant=vth, spike_exp=exp):
                sigma = self.states["sigma"] + a
                self._keep(sigma=sigma)
                bias = self._channels(compartment.bias.effective())
                x = np.maximum(sigma + (bias << (exp + STATE_SHIFT)), 0)
                return self._delta(x, vth, exp)
            case Sigma():
                self.sigma = self.sigma + a
                self._check(self.sigma, "sigma")
                return self.sigma
            case _:
                assert_never(compartment)

    def _arrived(self) -> Int64:
        total = np.zeros(self.layer.shape, dtype=np.int64)
        for incoming in self.incoming:
            sums = incoming.sums()
            self._check(sums, f"input from '{incoming.source}'")
            total += sums
        self._check(total, self.arriving)
        return total

    def _cuba(self, compartment: CUBA, a: Int64, injected: Int64 | None) -> Int64:
        if self.reset is not None and self.reset.due(self.now, self.stage):
            self.states = {name: np.zeros_like(a) for name in self.states}
        if injected is None:
            bias = self._channels(compartment.bias.effective())
            shifted = a << STATE_SHIFT
        else:
            bias, shifted = injected << STATE_SHIFT, np.zeros_like(a)
        self._check(shifted, f"{self.arriving} << {STATE_SHIFT}")
        u, v, spikes = cuba_step(
            self.states["u"], self.states["v"], shifted, bias, compartment
        )
        self.states = {"u": u, "v": v}
        return spikes

    def _delta(self, x: Int64, vth: int, exp: int) -> Int64:
        delta = x - self.states["act"] + self.states["residue"]
        self._check(delta, "delta")
        reached = np.abs(delta) >= vth << (exp + STATE_SHIFT)
        sent = np.where(reached, delta, 0)
        self._keep(act=x, residue=delta - sent)
        return sent >> STATE_SHIFT

    def _keep(self, **states: Int64) -> None:
        for name, values in states.items():
            self._check(values, name)
        self.states = {**self.states, **states}

    def _check(self, values: Int64, what: str) -> None:
        check_range(extremes(values), self.layer.name, self.now - 1, what)

    def _channels(self, values: Int64) -> Int64:
        return values.astype(np.int64)[:, None, None]


class StockClock:
    """A network of stock neurons, one step after the other; see `sim.backend.Clock`."""

    def __init__(self, network: StockNetwork) -> None:
        self.network = network
        self.layers = [LayerState(network, layer) for layer in network.layers]
        self.now = 0

    def step(self, frame: IntArray) -> dict[str, Int64]:
        """Advance a step; return what each layer sends, and its states."""
        self.now += 1
        entering = frame.astype(np.int64)
        emitted, leaving = {}, {self.network.input.name: entering}
        traces: dict[str, Int64] = {}
        for layer in self.layers:
            name = layer.layer.name
            emitted[name] = layer.step(self.now, entering)
            leaving[name] = layer.axons.leaving(emitted[name])
            traces.update(_traced(layer, emitted[name]))
        for layer in self.layers:
            for incoming in layer.incoming:
                # A layer that reads itself does so before its axons.
                own = incoming.source == layer.layer.name
                incoming.sent.append((emitted if own else leaving)[incoming.source])
        return traces


def run_one(
    network: StockNetwork, values: IntArray, wanted: tuple[str, ...]
) -> dict[str, Int64]:
    """Wanted traces of one run; see `sim.stock_run.RunOne`.

    Raises
    ------
    OverflowLayerError
        If an input sum leaves 24 bits signed (CUBA: after its shift by 6), or a
        sigma-delta state does.
    """
    clock = StockClock(network)
    traces = {
        name: np.zeros((network.num_steps, *network.traces[name]), dtype=np.int64)
        for name in wanted
    }
    for t in range(network.num_steps):
        state = clock.step(values[t] if network.input.changes else values)
        for trace in traces:
            traces[trace][t] = state[trace]
    return traces


def _traced(layer: LayerState, payload: Int64) -> Iterator[tuple[str, Int64]]:
    name = layer.layer.name
    yield name, payload
    for state, values in layer.states.items():
        yield f"{name}:{state}", values
