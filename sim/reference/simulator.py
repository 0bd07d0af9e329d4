# SPDX-License-Identifier: BSD-3-Clause
"""The judge: the whole chip, clocked step by step, in int64 NumPy.

Nothing is collapsed, nothing is reordered. At every time step each layer
receives what its sources sent ``delay + 1`` steps ago, so pipelining, delayed
skips and the windows of a stream of images are simulated, not assumed.
"""

from __future__ import annotations

import time
from collections import deque

import numpy as np
import numpy.typing as npt

from export.compartment import Accumulator, Compartment
from export.network import Layer, Network
from export.stock_network import StockNetwork
from export.synapse import IntArray
from sim import stock_run
from sim.backend import OverflowLayerError, Progress
from sim.base import BaseSimulator
from sim.overflow import check_range, extremes, first_in_order, of_image
from sim.recording import Recording, identity, payload_dtype
from sim.reference import stock as reference_stock
from sim.reference import synapse

Int64 = npt.NDArray[np.int64]


def binary_if_step(v: Int64, vth: Int64, num_thresholds: int) -> tuple[Int64, Int64]:
    """Compare with every threshold, largest first, and subtract (eq. 4-6).

    Parameters
    ----------
    v : ndarray, int64
        Potential after integration.
    vth : ndarray, int64
        Base threshold, broadcast against ``v``.
    num_thresholds : int
        N.

    Returns
    -------
    v : ndarray, int64
        Potential after reset by subtraction.
    planes : ndarray, shape (N, ...), int64
        Binary output of every threshold: 1 where ``vth << i`` was reached.

    Examples
    --------
    >>> v, planes = binary_if_step(np.array([-1, 15, 1000]), np.array([10]), 2)
    >>> v, planes.tolist()
    (array([ -1,   5, 970]), [[0, 1, 1], [0, 0, 1]])
    """
    v = v.copy()
    planes = np.zeros((num_thresholds, *v.shape), dtype=np.int64)
    for i in reversed(range(num_thresholds)):
        planes[i] = v >= (vth << i)
        v -= planes[i] * (vth << i)
    return v, planes


def mtif_step(v: Int64, vth: Int64, num_thresholds: int) -> tuple[Int64, Int64]:
    """As `binary_if_step`, with the outputs in one graded spike.

    Returns
    -------
    v, payload : ndarray, int64
        Potential after reset by subtraction, and graded spike 0 .. 2**N - 1.

    Examples
    --------
    >>> mtif_step(np.array([-1, 9, 10, 75, 1000]), np.array([10]), 3)
    (array([ -1,   9,   0,   5, 930]), array([0, 0, 1, 7, 7]))
    """
    v, planes = binary_if_step(v, vth, num_thresholds)
    return v, added_up(planes)


def added_up(planes: Int64) -> Int64:
    """Payload that outputs of weight 1, 2, 4, ... stand for."""
    payload: Int64 = np.tensordot(1 << np.arange(len(planes)), planes, axes=1)
    return payload


def parallel_if_step(v: Int64, vth: Int64, copies: int) -> tuple[Int64, Int64]:
    """Staggered binary compartments: one threshold each, reset by subtraction.

    Parameters
    ----------
    v : ndarray, shape (K, ...), int64
        Potentials after integration; ``vth * arange(K)`` at the window's start.
    vth : ndarray, int64
        Base threshold, broadcast against ``v[0]``.
    copies : int
        K = 2**N - 1.

    Returns
    -------
    v, spikes : ndarray, shape (K, ...), int64
        Potentials after reset, and spikes 0 or 1; their sum is the payload.

    Examples
    --------
    >>> v, spikes = parallel_if_step(np.array([25, 35, 45]), np.array(10), 3)
    >>> v, int(spikes.sum())
    (array([25,  5, 15]), 2)
    """
    spikes: Int64 = (v >= copies * vth).astype(np.int64)
    rest: Int64 = v - spikes * copies * vth
    return rest, spikes


def _at_rest(compartment: Compartment, silent: Int64) -> Int64:
    """Potentials at the start of a window, (C, H, W) or (K, C, H, W)."""
    if isinstance(compartment, Accumulator) or compartment.mapping != "parallel-if":
        at_rest: Int64 = silent.copy()
        return at_rest
    vth = compartment.vth_mant.astype(np.int64)[:, None, None]
    stagger = np.arange(compartment.copies)[:, None, None, None]
    staggered: Int64 = silent + stagger * vth
    return staggered


class _LayerState:
    """One layer's potentials and its place in time."""

    def __init__(self, layer: Layer, stage: int, num_steps: int) -> None:
        self.layer = layer
        self.stage = stage
        self.num_steps = num_steps
        self.v = np.zeros(layer.shape, dtype=np.int64)

    def step(self, now: int, sent: dict[str, deque[Int64]]) -> Int64:
        """Advance to time step ``now`` (1-based); return each output's spikes."""
        silent = np.zeros((self.layer.planes, *self.layer.shape), dtype=np.int64)
        since_start = now - 1 - self.stage
        if since_start < 0:
            return silent  # nothing integrates before its phase
        t = since_start % self.num_steps
        compartment = self.layer.compartment
        if t == 0:
            self.v = _at_rest(compartment, np.zeros(self.layer.shape, dtype=np.int64))
        total = np.broadcast_to(
            compartment.bias.effective()[:, None, None], self.layer.shape
        ).copy()
        for c in self.layer.connections:
            # Output i has weight 2**i; all but those of binary-if have one output.
            planes = sent[c.source][-1 - c.delay]
            sums = [
                synapse.apply(c.synapse, plane) << (c.weight_exp + i)
                for i, plane in enumerate(planes)
            ]
            current = np.sum(sums, axis=0)
            arriving = f"input from '{c.source}'"
            check_range(extremes(current), self.layer.name, t, arriving)
            total += current
        self.v += total
        check_range(extremes(self.v), self.layer.name, t, "potential")
        if isinstance(compartment, Accumulator):
            return silent
        vth = compartment.vth_mant.astype(np.int64)[:, None, None]
        if compartment.mapping == "parallel-if":
            self.v, spikes = parallel_if_step(self.v, vth, compartment.copies)
            # The copies' spikes share an axon: a target receives their sum.
            summed: Int64 = spikes.sum(axis=0, keepdims=True)
            return summed
        if compartment.mapping == "binary-if":
            self.v, planes = binary_if_step(self.v, vth, compartment.num_thresholds)
            return planes
        self.v, payload = mtif_step(self.v, vth, compartment.num_thresholds)
        return payload[None]


class ReferenceSimulator(BaseSimulator):
    """Clocked simulation of the whole network in int64."""

    name = "reference"

    def run_checked(
        self,
        network: Network,
        images: IntArray,
        wanted: tuple[str, ...],
        progress: Progress | None,
    ) -> Recording:
        """Run the images as one stream, clocked."""
        try:
            return self._clock(network, images, wanted, progress)
        except OverflowLayerError as error:
            raise first_in_order(self, network, images, error) from None

    def stock_runner(self) -> stock_run.RunOne:
        """Return what runs a network of stock neurons on one input."""
        return reference_stock.run_one

    def clock(self, network: StockNetwork) -> reference_stock.StockClock:
        """Give the network at rest; see `sim.backend.Clocked`."""
        return reference_stock.StockClock(network)

    def versions(self) -> dict[str, str]:
        """Return NumPy's version."""
        return {"numpy": np.__version__}

    def _clock(
        self,
        network: Network,
        stream: IntArray,
        wanted: tuple[str, ...],
        progress: Progress | None,
    ) -> Recording:
        """Run the images; an overflow is the first in time, of whatever image."""
        started = time.perf_counter()
        num_images, num_steps = len(stream), network.num_steps
        payloads = {
            name: np.zeros(
                (num_images, num_steps, *network.nodes[name].shape),
                dtype=payload_dtype(network.nodes[name].magnitude),
            )
            for name in wanted
        }
        output = None
        if isinstance(network.output.compartment, Accumulator):
            output = np.zeros((num_images, *network.output.shape), dtype=np.int32)
        states = [
            _LayerState(layer, network.stages[layer.name], num_steps)
            for layer in network.layers
        ]
        # What each node's outputs sent at earlier steps; the last entry is the step
        # before.
        depth = 1 + max(c.delay for x in network.layers for c in x.connections)
        sent = {
            name: deque(
                [np.zeros((node.planes, *node.shape), dtype=np.int64)] * depth,
                maxlen=depth,
            )
            for name, node in network.nodes.items()
        }
        # A branch that nobody reads may be deeper than the output.
        last = num_images * num_steps + max(network.stages.values())
        for now in range(1, last + 1):
            index = min((now - 1) // num_steps, num_images - 1)
            emitted = {network.input.name: stream[index].astype(np.int64)[None]}
            for state in states:
                name = state.layer.name
                image, t = divmod(now - 1 - state.stage, num_steps)
                if image >= num_images:
                    # Drained: its windows are complete and nobody listens.
                    emitted[name] = np.zeros_like(sent[name][-1])
                    continue
                with of_image(image):
                    emitted[name] = state.step(now, sent)
                if image >= 0 and name in payloads:
                    payloads[name][image, t] = added_up(emitted[name])
                if output is not None and state is states[-1] and image >= 0:
                    output[image] = state.v  # overwritten until the last step
            for name, planes in emitted.items():
                sent[name].append(planes)
            if progress:
                progress(now, last)
        return Recording(
            backend=self.name,
            **identity(network),
            steps=tuple(range(num_steps)),
            images=stream,
            payloads=payloads,
            output=output,
            seconds=time.perf_counter() - started,
            versions=self.versions(),
        )
