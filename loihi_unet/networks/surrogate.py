# SPDX-License-Identifier: BSD-3-Clause
"""Spiking neurons that gradients pass: firing steps with a rectangular derivative.

Forward a neuron fires or it does not; backward, firing has the derivative 1 / width
within half a width of its threshold and 0 elsewhere, the rectangle of Wu et al. 2018,
doi:10.3389/fnins.2018.00331. Resets pass gradients too (backpropagation through time).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from loihi_unet.networks.config import NeuronKind

#: Base threshold and number of thresholds of the neurons that reset by subtraction:
#: what `loihi_unet.networks.neuron.multi_threshold_if` computes.
POWERS = {"if": (1.0, 1), "mt": (0.25, 4)}
#: Multi-Level Firing, doi:10.24963/ijcai.2022/343: thresholds of its three potentials.
LEVELS = (0.6, 1.6, 2.6)
#: What is left of a potential after a step, in the leaky neurons; Spiking-FCN's
#: (arXiv 2110.07742) hardly leaks, and resets by subtraction.
DECAY, LIF_DECAY = 0.25, 0.99
#: Most that a neuron sends in a step; 1 where nothing is said.
FULL_SCALE: dict[str, float] = {"mt": 3.75, "ml": float(len(LEVELS))}


class _Staircase(torch.autograd.Function):
    """``q * clamp(floor(v / q), 0, top)``: every step has a rectangle of width q."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, q: float, top: int) -> Tensor:
        ctx.save_for_backward(v)
        ctx.limits = (q / 2, q * (top + 0.5))
        return (v / q).floor_().clamp_(0, top) * q

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (v,) = ctx.saved_tensors
        low, high = ctx.limits
        return gradients[0] * ((v > low) & (v < high)), None, None


class _Step(torch.autograd.Function):
    """1 where v reaches the threshold; a rectangle of width 1."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, threshold: float) -> Tensor:
        ctx.save_for_backward(v)
        ctx.threshold = threshold
        return (v >= threshold).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (v,) = ctx.saved_tensors
        return gradients[0] * ((v - ctx.threshold).abs() < 0.5), None


_staircase: Callable[[Tensor, float, int], Tensor] = _Staircase.apply
_step: Callable[[Tensor, float], Tensor] = _Step.apply


def fire(kind: NeuronKind, current: Tensor) -> Tensor:
    """Run neurons over all steps from a potential of 0.

    ::

        if       v = v + x;  s = [v >= 1];  v = v - s
        if-zero  v = v + x;  s = [v >= 1];  v = v (1 - s)
        lif      v = 0.99 v + x;  s = [v >= 1];  v = v - s
        mt       v = v + x;  s = clamp(floor(4 v), 0, 15) / 4;  v = v - s
        rs       v = v (1 - s) / 4 + x;  s = [v >= 0.6]
        ml       v_k = v_k (1 - s_k) / 4 + x;  s_k = [v_k >= 0.6, 1.6, 2.6];  s = sum

    Parameters
    ----------
    kind : str
        All but ``"relu"``. Real Spike (``"rs"``, arXiv 2210.06686) multiplies its
        spikes by a learned coefficient, which is `loihi_unet.networks.net.Net`'s.
    current : Tensor, shape (T, ...), float
        Input x of each step.

    Returns
    -------
    Tensor, shape (T, ...), dtype of `current`
        What is sent at each step, s.
    """
    step = _STEPS[kind]
    state: tuple[Tensor, ...] = ()
    sent = []
    for x in current:
        spikes, state = step(kind, x, state)
        sent.append(spikes)
    # Not stacked: that would not keep the channels last, and convolutions want them.
    return torch.unflatten(torch.cat(sent), 0, (len(sent), -1))


State = tuple[Tensor, ...]


def _subtract(kind: str, x: Tensor, state: State) -> tuple[Tensor, State]:
    q, number = POWERS[kind]
    v = state[0] + x if state else x
    spikes = _staircase(v, q, 2**number - 1)
    return spikes, (v - spikes,)


def _lif(kind: str, x: Tensor, state: State) -> tuple[Tensor, State]:
    v = LIF_DECAY * state[0] + x if state else x
    spikes = _staircase(v, 1.0, 1)
    return spikes, (v - spikes,)


def _zero(kind: str, x: Tensor, state: State) -> tuple[Tensor, State]:
    v = state[0] + x if state else x
    spikes = _staircase(v, 1.0, 1)
    return spikes, (v * (1 - spikes),)


def _leaky(kind: str, x: Tensor, state: State) -> tuple[Tensor, State]:
    thresholds = LEVELS if kind == "ml" else LEVELS[:1]
    potentials = [DECAY * v + x for v in state] or [x] * len(thresholds)
    spikes = [
        _step(v, threshold) for v, threshold in zip(potentials, thresholds, strict=True)
    ]
    left = tuple(v * (1 - s) for v, s in zip(potentials, spikes, strict=True))
    return sum(spikes[1:], start=spikes[0]), left


_STEPS: dict[str, Callable[[str, Tensor, State], tuple[Tensor, State]]] = {
    "if": _subtract,
    "mt": _subtract,
    "if-zero": _zero,
    "lif": _lif,
    "ml": _leaky,
    "rs": _leaky,
}
