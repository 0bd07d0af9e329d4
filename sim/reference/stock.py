# SPDX-License-Identifier: BSD-3-Clause
"""The judge for stock neurons: the chain, clocked step by step, in int64 NumPy."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt
from typing_extensions import assert_never

from export.facts import DECAY, STATE
from export.stock_compartment import (
    CUBA,
    DECAY_SHIFT,
    STATE_SHIFT,
    Delta,
    Sigma,
    SigmaDelta,
)
from export.stock_network import StockLayer, Stream
from export.synapse import Dense, Injection, IntArray, StockSynapse
from sim.reference import synapse
from sim.reference.overflow import check_state

Int64 = npt.NDArray[np.int64]

WRAP = STATE.maximum - STATE.minimum + 1
CLIP = STATE.maximum


def decay(x: Int64, amount: int) -> Int64:
    """Lose ``amount / 4096`` of the magnitude, rounding towards zero.

    Examples
    --------
    >>> decay(np.array([-5, 5, 4096]), 1024)
    array([  -3,    3, 3072])
    """
    kept: Int64 = np.sign(x) * (np.abs(x) * (DECAY.maximum - amount) >> DECAY_SHIFT)
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
        Decays and threshold.

    Returns
    -------
    u, v, spikes : ndarray, int64
        States after the step, and 0 or 1.
    """
    u = decay(u, compartment.i_decay) + shifted
    u = np.where(u > WRAP // 2, u - WRAP, u)
    u = np.where(u <= -WRAP // 2, u + WRAP, u)
    v = np.clip(decay(v, compartment.v_decay) + u + bias, -CLIP, CLIP)
    spikes = v > compartment.vth_mant << STATE_SHIFT
    return u, np.where(spikes, 0, v), spikes.astype(np.int64)


def _by_delay(found: StockSynapse) -> list[tuple[int, StockSynapse]]:
    """Synapses of each delay, the others zero."""
    if not isinstance(found, Dense) or found.delay is None:
        return [(0, found)]
    return [
        (int(d), Dense(weight=np.where(found.delay == d, found.weight, 0)))
        for d in np.unique(found.delay)
    ]


class _LayerState:
    """States of one layer, and what its connection holds back."""

    def __init__(self, stream: Stream, layer: StockLayer) -> None:
        self.layer = layer
        self.reset = stream.reset
        self.stage = stream.stages[layer.name]
        self.synapse = layer.connections[0].synapse
        self.now = 0
        zeros = np.zeros(layer.shape, dtype=np.int64)
        self.states = {name: zeros for name in layer.compartment.states}
        self.sigma = zeros
        self.parts = _by_delay(self.synapse)

    def step(self, now: int, injected: Int64, sent: deque[Int64]) -> Int64:
        """Advance to time step ``now`` (1-based); return what is emitted."""
        self.now = now
        compartment = self.layer.compartment
        direct = isinstance(self.synapse, Injection)
        a = injected if direct else self._arrived(sent)
        match compartment:
            case CUBA():
                return self._cuba(compartment, a, injected if direct else None)
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

    def _arrived(self, sent: deque[Int64]) -> Int64:
        total = np.zeros(self.layer.shape, dtype=np.int64)
        for delay, part in self.parts:
            total += synapse.apply(part, sent[-1 - delay])
        self._check(total, f"input from '{self.layer.connections[0].source}'")
        return total

    def _cuba(self, compartment: CUBA, a: Int64, injected: Int64 | None) -> Int64:
        if self.reset is not None and self.reset.due(self.now, self.stage):
            self.states = {name: np.zeros_like(a) for name in self.states}
        if injected is None:
            bias = self._channels(compartment.bias.effective())
            shifted = a << STATE_SHIFT
        else:
            bias, shifted = injected << STATE_SHIFT, np.zeros_like(a)
        source = self.layer.connections[0].source
        self._check(shifted, f"input from '{source}' << {STATE_SHIFT}")
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
        check_state(values, self.layer.name, self.now - 1, what)

    def _channels(self, values: Int64) -> Int64:
        return values.astype(np.int64)[:, None, None]


def run_one(stream: Stream, values: IntArray) -> dict[str, Int64]:
    """All traces of one run; see `sim.stock_run.RunOne`.

    Raises
    ------
    OverflowLayerError
        If an input sum leaves 24 bits signed (CUBA: after its shift by 6), or a
        sigma-delta state does.
    """
    layers = [_LayerState(stream, layer) for layer in stream.layers]
    depth = 1 + max(delay for layer in layers for delay, _ in layer.parts)
    sent = {
        name: deque([np.zeros(node.shape, dtype=np.int64)] * depth, maxlen=depth)
        for name, node in stream.nodes.items()
    }
    traces = {
        name: np.zeros((stream.num_steps, *shape), dtype=np.int64)
        for name, shape in stream.traces.items()
    }
    for t in range(stream.num_steps):
        frame = (values[t] if stream.input.changes else values).astype(np.int64)
        emitted = {stream.input.name: frame}
        for layer in layers:
            name = layer.layer.name
            source = sent[layer.layer.connections[0].source]
            emitted[name] = traces[name][t] = layer.step(t + 1, frame, source)
            for state, found in layer.states.items():
                traces[f"{name}:{state}"][t] = found
        for name, payload in emitted.items():
            sent[name].append(payload)
    return traces
