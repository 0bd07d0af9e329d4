# SPDX-License-Identifier: BSD-3-Clause
"""Stock neurons in torch: synapses for all steps at once, neurons in int64.

A chain needs no clock: what a layer sends at all steps is known before the next
layer runs. Sums are exact in float32 where ``max over outputs of sum|weight| * max
payload`` is below 2**24, else in float64: |weight| <= 2**8, |payload| <= 2**23 and
fewer than 2**22 synapses per compartment keep every partial sum below 2**53 (direct
convolutions only; see `sim.torch.simulator`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
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
from export.stock_network import Reset, StockLayer, Stream
from export.synapse import Conv, Dense, Injection, IntArray
from sim.backend import OverflowLayerError
from sim.recording import Payload
from sim.torch.exact import FLOAT32_EXACT
from sim.torch.int8 import convolve

Traces = dict[str, Tensor]


def runner(device: torch.device) -> Callable[[Stream, IntArray], dict[str, Payload]]:
    """Give a `sim.stock_run.RunOne` on ``device``; call it within exact_arithmetic."""

    def run_one(stream: Stream, values: IntArray) -> dict[str, Payload]:
        frames = torch.from_numpy(np.array(values, dtype=np.int64)).to(device)
        if not stream.input.changes:
            frames = frames.expand(stream.num_steps, *frames.shape)
        try:
            traces = _run(stream, frames)
        except OverflowLayerError as error:
            raise _first_overflow(stream, frames, error) from None
        return {name: history.cpu().numpy() for name, history in traces.items()}

    return run_one


def _run(stream: Stream, frames: Tensor) -> Traces:
    """Traces of as many steps as there are frames."""
    sent, traces = frames, Traces()
    for layer in stream.layers:
        found = _run_layer(layer, sent, stream)
        sent = found.pop("")
        traces[layer.name] = sent
        for state, history in found.items():
            traces[f"{layer.name}:{state}"] = history
    return traces


def _first_overflow(
    stream: Stream, frames: Tensor, error: OverflowLayerError
) -> OverflowLayerError:
    """Of the first step at which any layer overflows, the first layer.

    Layer by layer, the run first meets the overflow of its first layer. What happens
    before a step does not depend on it, so the run is repeated without the step that
    was found until nothing overflows any more, and then once with it.
    """
    step = error.step
    while step:
        try:
            _run(stream, frames[:step])
        except OverflowLayerError as earlier:
            step = earlier.step
        else:
            break
    try:
        _run(stream, frames[: step + 1])
    except OverflowLayerError as first:
        return first
    return error


def _run_layer(layer: StockLayer, sent: Tensor, stream: Stream) -> Traces:
    """States of all steps by name, and what is sent, under the empty name."""
    synapse = layer.connections[0].synapse
    source = layer.connections[0].source
    injected = isinstance(synapse, Injection)
    magnitude = stream.nodes[source].magnitude
    a = sent if injected else _arriving(layer, sent, magnitude)
    _check(a, layer.name, f"input from '{source}'")
    compartment = layer.compartment
    match compartment:
        case CUBA():
            bias = _bias(compartment.bias.effective(), a)
            if injected:
                a, bias = torch.zeros_like(a), a[0] << STATE_SHIFT
            shifted = a << STATE_SHIFT
            _check(shifted, layer.name, f"input from '{source}' << {STATE_SHIFT}")
            stage = stream.stages[layer.name]
            return _cuba(compartment, shifted, bias, stream.reset, stage)
        case Delta():
            x = a << (compartment.spike_exp + STATE_SHIFT)
            return _delta(compartment, x, layer.name)
        case SigmaDelta():
            sigma = a.cumsum(0)
            _check(sigma, layer.name, "sigma")
            bias = _bias(compartment.bias.effective(), a)
            bias = bias << (compartment.spike_exp + STATE_SHIFT)
            found = _delta(compartment, torch.relu(sigma + bias), layer.name)
            return {"sigma": sigma, **found}
        case Sigma():
            sigma = a.cumsum(0)
            _check(sigma, layer.name, "sigma")
            return {"": sigma}
        case _:
            assert_never(compartment)


def _bias(effective: IntArray, like: Tensor) -> Tensor:
    values = torch.from_numpy(effective.astype(np.int64)).to(like.device)
    return values[:, None, None]


def _arriving(layer: StockLayer, sent: Tensor, magnitude: int) -> Tensor:
    """Sums that arrive at each step: those of what was sent a step before."""
    synapse = layer.connections[0].synapse
    assert isinstance(synapse, Conv | Dense)
    exact = int(synapse.absolute_sum().max()) * magnitude < FLOAT32_EXACT
    x = sent.to(torch.float32 if exact else torch.float64)
    weight = torch.from_numpy(np.array(synapse.weight)).to(x.device, x.dtype)
    if isinstance(synapse, Conv):
        sums = convolve(
            x,
            weight,
            None,
            synapse.stride,
            synapse.padding,
            synapse.dilation,
            synapse.groups,
        )
        return _later(sums, 1).long()
    x = x.flatten(1)
    if synapse.delay is None:
        sums = _later(x @ weight.T, 1)
    else:
        delay = torch.from_numpy(np.array(synapse.delay)).to(x.device)
        sums = torch.zeros(len(x), len(weight), dtype=x.dtype, device=x.device)
        for steps in np.unique(synapse.delay).tolist():
            part = torch.where(delay == steps, weight, 0.0)
            sums += _later(x @ part.T, 1 + steps)
    return sums.long()[:, :, None, None]


def _later(values: Tensor, steps: int) -> Tensor:
    """``values`` shifted along time, zeros before."""
    late = torch.zeros_like(values)
    if steps < len(values):
        late[steps:] = values[: len(values) - steps]
    return late


def _decay(x: Tensor, amount: int) -> Tensor:
    return x.sign() * (x.abs() * (DECAY.maximum - amount) >> DECAY_SHIFT)


def _cuba(
    compartment: CUBA, shifted: Tensor, bias: Tensor, reset: Reset | None, stage: int
) -> Traces:
    half, limit = -STATE.minimum, STATE.maximum
    u, v = torch.zeros_like(shifted[0]), torch.zeros_like(shifted[0])
    found = {name: torch.empty_like(shifted) for name in ("u", "v", "")}
    for t in range(len(shifted)):
        if reset is not None and reset.due(t + 1, stage):
            u, v = torch.zeros_like(u), torch.zeros_like(v)
        u = _decay(u, compartment.i_decay) + shifted[t]
        # Into -half < u <= half, one turn of 2**24 at most.
        u = half - (half - u).remainder(2 * half)
        v = (_decay(v, compartment.v_decay) + u + bias).clamp(-limit, limit)
        spikes = v > compartment.vth_mant << STATE_SHIFT
        v = v.masked_fill(spikes, 0)
        found["u"][t], found["v"][t], found[""][t] = u, v, spikes
    return found


def _delta(compartment: Delta | SigmaDelta, x: Tensor, layer: str) -> Traces:
    """Delta encoding of ``x`` (T, C, H, W)."""
    vth = compartment.vth_mant << (compartment.spike_exp + STATE_SHIFT)
    act, residue = torch.zeros_like(x[0]), torch.zeros_like(x[0])
    sent, kept = torch.empty_like(x), torch.empty_like(x)
    for t in range(len(x)):
        delta = x[t] - act + residue
        _check(delta[None], layer, "delta", t)
        reached = delta.abs() >= vth
        sent[t] = delta.masked_fill(~reached, 0)
        act, residue = x[t], delta.masked_fill(reached, 0)
        kept[t] = residue
        _check(act[None], layer, "act", t)
    return {"act": x, "residue": kept, "": sent >> STATE_SHIFT}


def _check(values: Tensor, layer: str, what: str, step: int | None = None) -> None:
    outside = (values < STATE.minimum) | (values > STATE.maximum)
    if not outside.any():
        return
    t = int(outside.flatten(1).any(dim=1).int().argmax())
    low, high = int(values[t].min()), int(values[t].max())
    worst = low if low < STATE.minimum else high
    raise OverflowLayerError(layer, t if step is None else step, f"{what} {worst}")
