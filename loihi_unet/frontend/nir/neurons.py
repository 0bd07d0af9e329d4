# SPDX-License-Identifier: BSD-3-Clause
"""NIR's neurons in steps of dt: the equations as NIR publishes them.

Every equation is taken in one step of Euler's forward method, the current before
the potential, as the CUBA compartment does it (and snnTorch):

    I += dt / tau_syn * (w_in S - I)                 CubaLIF, CubaLI; else I = S
    v += dt / tau (v_leak - v + R I)                 LIF, CubaLIF, LI, CubaLI
    v += dt R I                                      IF, I
    z = v > v_threshold;   v = v_reset where z       LIF, CubaLIF, IF

A potential is counted from v_reset, where it starts; so a reset is to 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loihi_unet.frontend.nir.graph import Float, Graph, Ints, Node
from loihi_unet.frontend.nir.primitives import NEURONS, SILENT, NIRError
from loihi_unet.frontend.nir.shapes import NirShape


@dataclass(frozen=True, eq=False)
class Neuron:
    """A layer of neurons in steps: arrays of the layer's shape, float64.

    Attributes
    ----------
    current_decay : ndarray
        Share of I that is lost in a step; 1 where there is no I.
    decay : ndarray
        Share of v that is lost in a step.
    gain : ndarray
        What an input of 1 adds to v in its own step.
    bias : ndarray
        What v_leak adds to v at each step.
    threshold : ndarray or None
        From v_reset; None where none is.
    """

    current_decay: Float
    decay: Float
    gain: Float
    bias: Float
    threshold: Float | None

    def step(self, current: Float, v: Float, x: Float) -> tuple[Float, Float]:
        """Next I, in units of v, and v before any reset."""
        current = current * (1 - self.current_decay) + self.gain * x
        return current, v * (1 - self.decay) + current + self.bias


def neuron(node: Node, shape: NirShape, dt: float) -> Neuron:
    """Take one node in steps of ``dt``.

    Raises
    ------
    NIRError
        If a time constant is shorter than dt, or the threshold below the reset.
    """
    silent = node.kind in SILENT

    def full(key: str) -> Float:
        values = node.array(key)
        try:
            filled: Float = np.broadcast_to(
                values.reshape(shape) if values.size > 1 else values.reshape(()), shape
            ).copy()
            return filled
        except ValueError:
            raise NIRError(
                f"{node.where}: {key} of shape {values.shape} found, {shape} enters"
            ) from None

    def share(key: str) -> Float:
        tau = full(key)
        if (tau < dt * (1 - 1e-6)).any():
            raise NIRError(
                f"{node.where}: {key} {tau.min():g} found, dt is {dt:g}: no time "
                "constant may be shorter than the step"
            )
        steps: Float = np.minimum(dt / tau, 1)
        return steps

    ones = np.ones(shape)
    reset = np.zeros(shape)
    if not silent and node.values.get("v_reset") is not None:
        reset = full("v_reset")
    if node.kind in ("IF", "I"):
        decay, gain, leak = np.zeros(shape), dt * full("r"), reset
        current = ones
    else:
        cuba = node.kind.startswith("Cuba")
        decay = share("tau_mem" if cuba else "tau")
        gain, leak = decay * full("r"), full("v_leak")
        current = share("tau_syn") if cuba else ones
        if cuba:
            gain = gain * full("w_in") * current
    threshold = None if silent else full("v_threshold") - reset
    if threshold is not None and (threshold < 0).any():
        raise NIRError(f"{node.where}: v_threshold below v_reset found")
    return Neuron(current, decay, gain, decay * (leak - reset), threshold)


def order(graph: Graph, names: list[str]) -> list[str]:
    """Neurons in the order in which spikes reach them, edges to itself left out.

    Raises
    ------
    NIRError
        If spikes run in a loop over several neurons.
    """
    before = {name: neurons_before(graph, name) - {name} for name in names}
    done: list[str] = []
    while len(done) < len(names):
        ready = [n for n in names if n not in done and before[n] <= {*done}]
        if not ready:
            left = " -> ".join(f"'{n}'" for n in names if n not in done)
            raise NIRError(f"a loop over several neurons found among {left}")
        done += ready
    return done


def neurons_before(graph: Graph, name: str) -> set[str]:
    """Neurons from which only linear nodes lead here."""
    names: set[str] = set()
    waiting, seen = graph.sources(name), set()
    while waiting:
        node = graph.nodes[waiting.pop()]
        if node.name in seen:
            continue
        seen.add(node.name)
        if is_neuron(node):
            names.add(node.name)
        else:
            waiting += graph.sources(node.name)
    return names


def is_neuron(node: Node) -> bool:
    """Whether a node has a potential."""
    return node.kind in NEURONS


def delay_steps(node: Node, shape: NirShape, dt: float) -> Ints:
    """Whole steps of a Delay, shape ``shape``.

    Raises
    ------
    NIRError
        If one is negative or above 62 steps.
    """
    in_steps = node.array("delay") / dt
    steps = np.rint(in_steps).astype(np.int64)
    if (steps < 0).any() or (steps > 62).any():
        raise NIRError(
            f"{node.where}: delay of {steps.min()}..{steps.max()} steps of {dt:g} s "
            "found, 0..62 allowed"
        )
    full = steps.reshape(shape) if steps.size > 1 else steps.reshape(())
    return np.broadcast_to(full, shape)
