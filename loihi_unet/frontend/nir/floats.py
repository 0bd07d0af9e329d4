# SPDX-License-Identifier: BSD-3-Clause
"""The float network: a NIR graph run as its equations say, in plain NumPy.

An edge takes no time, but spikes that lead back to their own neuron arrive one step
later. Each run starts at v_reset, or 0 where there is none, with I = 0.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from loihi_unet.frontend.nir.apply import apply
from loihi_unet.frontend.nir.graph import Float, Graph, Ints, Node
from loihi_unet.frontend.nir.neurons import (
    Neuron,
    delay_steps,
    is_neuron,
    neuron,
    order,
)
from loihi_unet.frontend.nir.primitives import NIRError
from loihi_unet.frontend.nir.shapes import NirShape, infer, three


@dataclass(eq=False)
class FloatRun:
    """What the float network did.

    Attributes
    ----------
    spikes : dict of str to ndarray, shape (runs, T, C, H, W)
        Of every neuron with a threshold.
    values : dict of str to ndarray, shape (runs, T, C, H, W)
        Potential of every neuron without one (from 0), and, by the name of the
        output, what enters it, if that is a sum.
    peaks : dict of str to (float, float)
        Largest absolute I, in units of v, and v before a reset, from v_reset.
    """

    spikes: dict[str, Float] = field(default_factory=dict)
    values: dict[str, Float] = field(default_factory=dict)
    peaks: dict[str, tuple[float, float]] = field(default_factory=dict)


class _Runner:
    """States of all runs, advanced together."""

    def __init__(self, graph: Graph, dt: float, runs: int) -> None:
        self.graph, self.dt = graph, dt
        self.shapes = infer(graph)
        names = [n.name for n in graph.nodes.values() if is_neuron(n)]
        self.order = order(graph, names)
        self.neurons: dict[str, Neuron] = {
            name: neuron(graph.nodes[name], self.shapes[name], dt) for name in names
        }
        self.zeros = {n: np.zeros((runs, *self.shapes[n])) for n in names}
        self.current, self.v = dict(self.zeros), dict(self.zeros)
        self.last = dict(self.zeros)
        self.now: dict[str, Float] = {}
        self.held: dict[tuple[str, str], deque[Float]] = {}

    def step(self, frame: Float, run: FloatRun, t: int) -> None:
        """Advance all neurons by one step and write down what they did."""
        self.now = {self.graph.input.name: frame}
        for name in self.order:
            unit, x = self.neurons[name], self._entering(name)
            current, v = unit.step(self.current[name], self.v[name], x)
            high = run.peaks.get(name, (0.0, 0.0))
            now = (float(np.abs(current).max()), float(np.abs(v).max()))
            run.peaks[name] = (max(high[0], now[0]), max(high[1], now[1]))
            self.current[name] = current
            if unit.threshold is None:
                self.now[name] = self.v[name] = v
                run.values[name][:, t] = self._three(v)
                continue
            fired = v > unit.threshold
            self.v[name] = np.where(fired, 0, v)
            self.now[name] = fired.astype(np.float64)
            run.spikes[name][:, t] = self._three(self.now[name])
        if reads_sum(self.graph):
            name = self.graph.output.name
            run.values[name][:, t] = self._three(self._entering(name))
        self.last = {name: self.now[name] for name in self.order}

    def _three(self, x: Float) -> Float:
        return x.reshape(len(x), *three(x.shape[1:]))

    def _entering(self, target: str) -> Float:
        memo: dict[str, Float] = {}
        sources = self.graph.sources(target)
        return self._sum(sources, target, self.shapes[target], memo)

    def _sum(
        self, sources: list[str], target: str, shape: NirShape, memo: dict[str, Float]
    ) -> Float:
        first, *rest = (self._value(name, target, memo) for name in sources)
        total = first.reshape(len(first), *shape)
        for part in rest:
            total = total + part.reshape(total.shape)
        return total

    def _value(self, name: str, target: str, memo: dict[str, Float]) -> Float:
        """What leaves a node at this step, as the target sees it."""
        if name == target:
            return self.last[name]
        if name in self.now:
            return self.now[name]
        if name not in memo:
            node = self.graph.nodes[name]
            memo[name] = self._linear(node, target, memo)
        return memo[name]

    def _linear(self, node: Node, target: str, memo: dict[str, Float]) -> Float:
        sources = self.graph.sources(node.name)
        shape = self.shapes[sources[0]]
        x = self._sum(sources, target, shape, memo)
        if node.kind != "Delay":
            return apply(node, x, shape)
        steps = delay_steps(node, shape, self.dt)
        depth = int(steps.max()) + 1
        empty = deque([np.zeros_like(x)] * depth, maxlen=depth)
        held = self.held.setdefault((node.name, target), empty)
        held.append(x)
        return _pick(held, steps)


def _pick(held: deque[Float], steps: Ints) -> Float:
    out = np.zeros_like(held[-1])
    for d in np.unique(steps):
        out[:, steps == d] = held[-1 - int(d)][:, steps == d]
    return out


def reads_sum(graph: Graph) -> bool:
    """Whether the output is a sum, and not what one layer of neurons gives."""
    sources = graph.sources(graph.output.name)
    return len(sources) > 1 or not is_neuron(graph.nodes[sources[0]])


def run_floats(graph: Graph, frames: Float, dt: float) -> FloatRun:
    """Run the float network.

    Parameters
    ----------
    graph : Graph
        What runs.
    frames : ndarray, shape (runs, T, C, H, W)
        Input of every step.
    dt : float
        Seconds of a step.

    Returns
    -------
    FloatRun

    Raises
    ------
    NIRError
        If the graph is not well formed.
    """
    runner = _Runner(graph, dt, len(frames))
    run = FloatRun()
    lead = frames.shape[:2]
    shapes: Mapping[str, NirShape] = runner.shapes
    for name, unit in runner.neurons.items():
        kept = run.values if unit.threshold is None else run.spikes
        kept[name] = np.zeros((*lead, *three(shapes[name])))
    if reads_sum(graph):
        name = graph.output.name
        run.values[name] = np.zeros((*lead, *three(shapes[name])))
    shape = shapes[graph.input.name]
    if tuple(frames.shape[2:]) != three(shape):
        raise NIRError(f"frames of shape {frames.shape[2:]} found, {shape} needed")
    for t in range(lead[1]):
        run_frame = frames[:, t].reshape(lead[0], *shape).astype(np.float64)
        runner.step(run_frame, run, t)
    return run
