# SPDX-License-Identifier: BSD-3-Clause
"""Networks of stock neurons in torch, layer by layer.

Layers need no common clock: what a layer sends at all steps is known before a layer
that reads it runs. `sim.torch.stock_sums` says why sums are exact, and
`sim.torch.stock_deltas` why sigma-delta layers without feedback are.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from export.facts import STATE
from export.stock_compartment import CUBA
from export.stock_network import StockLayer, StockNetwork
from export.synapse import Injection, IntArray
from sim.backend import OverflowLayerError
from sim.recording import Payload
from sim.stock_run import by_delay, trace_dtype
from sim.torch import stock_deltas
from sim.torch.stock_deltas import Arriving
from sim.torch.stock_layer import held_back, run_layer
from sim.torch.stock_sums import SumsOf, magnitude


class StockRunner:
    """Runs networks of stock neurons on a device; call it within exact_arithmetic.

    Parameters
    ----------
    device : torch.device
        Where.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.sums_of = SumsOf(device)

    def __call__(
        self, network: StockNetwork, values: IntArray, wanted: tuple[str, ...]
    ) -> dict[str, Payload]:
        """Run once; see `sim.stock_run.RunOne`."""
        frames = torch.from_numpy(np.array(values)).to(self.device)
        if not network.input.changes:
            frames = frames.expand(network.num_steps, *frames.shape)
        try:
            return self._run(network, frames, wanted)
        except OverflowLayerError as error:
            raise self._first_overflow(network, frames, error) from None

    def _run(
        self,
        network: StockNetwork,
        frames: Tensor,
        wanted: tuple[str, ...],
    ) -> dict[str, Payload]:
        """Wanted traces of as many steps as there are frames."""
        sent, traces = {network.input.name: frames}, dict[str, Payload]()
        last = {c.source: layer for layer in network.layers for c in layer.connections}
        for layer in network.layers:
            traced = self._at_once(network, layer, sent, wanted)
            if traced is None:
                traced = run_layer(self.sums_of, network, layer, sent, wanted)
            sent[layer.name] = held_back(layer, traced[layer.name])
            for name in set(wanted) & set(traced):
                dtype = trace_dtype(network, name)
                traces[name] = traced[name].cpu().numpy().astype(dtype)
            for source in {c.source for c in layer.connections}:
                if last[source] is layer:
                    del sent[source]  # nobody reads it again
        return traces

    def _at_once(
        self,
        network: StockNetwork,
        layer: StockLayer,
        sent: dict[str, Tensor],
        wanted: tuple[str, ...],
    ) -> dict[str, Tensor] | None:
        """As `run_layer`, in float32; None if it is not known to be exact."""
        if isinstance(layer.compartment, CUBA) or layer.recurrent:
            return None
        steps = len(sent[layer.connections[0].source])
        sums = self._arriving_at_once(layer, sent)
        if sums is None:
            return None
        names = [s for s in layer.compartment.states if f"{layer.name}:{s}" in wanted]
        return stock_deltas.run(layer, sums, steps, names)

    def _arriving_at_once(
        self, layer: StockLayer, sent: dict[str, Tensor]
    ) -> Arriving | None:
        """What arrives at a layer; None where a sum needs more than 24 bits."""
        total, bound = None, 0
        for connection in layer.connections:
            synapse, source = connection.synapse, sent[connection.source]
            if isinstance(synapse, Injection):
                frames = source.float()
                return Arriving(sums=frames, bound=magnitude(frames), late=0)
            if len(source) < 2 or any(delay for delay, _ in by_delay(synapse)):
                return None
            sums, highest = self.sums_of(synapse)(source[:-1])
            total = sums if total is None else total.double() + sums
            bound += highest
            if highest > STATE.maximum and not _fits(sums):
                return None
        if total is None:
            return None
        if bound > STATE.maximum:
            if not _fits(total):
                return None
            bound = magnitude(total)
        return Arriving(sums=total.float(), bound=bound, late=1)

    def _first_overflow(
        self, network: StockNetwork, frames: Tensor, error: OverflowLayerError
    ) -> OverflowLayerError:
        """Of the first step at which any layer overflows, the first layer.

        Layer by layer, the run first meets the overflow of its first layer. What
        happens before a step does not depend on it, so the run is repeated without the
        step that was found until nothing overflows any more, and then once with it.
        """
        step = error.step
        while step:
            try:
                self._run(network, frames[:step], ())
            except OverflowLayerError as earlier:
                step = earlier.step
            else:
                break
        try:
            self._run(network, frames[: step + 1], ())
        except OverflowLayerError as first:
            return first
        return error


def _fits(values: Tensor) -> bool:
    low, high = torch.aminmax(values)
    return STATE.contains(int(low), int(high))
