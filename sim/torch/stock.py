# SPDX-License-Identifier: BSD-3-Clause
"""Stock neurons in torch: synapses for all steps at once, compartments step by step.

Layers need no common clock: what a layer sends at all steps is known before a layer
that reads it runs. Only a layer that reads itself computes that connection at every
step. `sim.torch.stock_sums` says why sums are exact, `sim.torch.stock_deltas` why
sigma-delta layers without feedback are.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from export.facts import STATE
from export.stock_compartment import CUBA
from export.stock_network import StockConnection, StockLayer, StockNetwork
from export.synapse import Dense, Injection, IntArray
from sim.backend import OverflowLayerError
from sim.recording import Payload
from sim.stock_run import arriving, by_delay, trace_dtype
from sim.torch import stock_deltas
from sim.torch.stock_deltas import Arriving
from sim.torch.stock_neurons import check, compartment_of
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
            found = self._at_once(network, layer, sent, wanted)
            if found is None:
                found = _run_layer(self.sums_of, network, layer, sent, wanted)
            sent[layer.name] = _held_back(layer, found[layer.name])
            for name in set(wanted) & set(found):
                dtype = trace_dtype(network, name)
                traces[name] = found[name].cpu().numpy().astype(dtype)
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
        """As `_run_layer`, in float32; None if it is not known to be exact."""
        if isinstance(layer.compartment, CUBA) or layer.recurrent:
            return None
        steps = len(sent[layer.connections[0].source])
        arriving = self._arriving_at_once(layer, sent)
        if arriving is None:
            return None
        names = [s for s in layer.compartment.states if f"{layer.name}:{s}" in wanted]
        return stock_deltas.run(layer, arriving, steps, names)

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
            if len(source) < 2 or len(by_delay(synapse)) > 1:
                return None
            (late, _), *_ = by_delay(synapse)
            if late:
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


def _run_layer(
    sums_of: SumsOf,
    network: StockNetwork,
    layer: StockLayer,
    sent: dict[str, Tensor],
    wanted: tuple[str, ...],
) -> dict[str, Tensor]:
    """What is sent at all steps, and wanted states after each, by trace name."""
    first = layer.connections[0]
    if isinstance(first.synapse, Injection):
        a = sent[first.source]
        check(a, layer.name, arriving(layer))
    else:
        a = _all_arriving(sums_of, network, layer, sent)
    compartment = compartment_of(network, layer, a.device)
    feedback = [
        _Feedback(sums_of, layer, c, a) for c in layer.connections if _own(layer, c)
    ]
    names = [s for s in layer.compartment.states if f"{layer.name}:{s}" in wanted]
    sending: list[Tensor] = []
    states: dict[str, list[Tensor]] = {name: [] for name in names}
    for t in range(len(a)):
        now = a[t]
        for own in feedback:
            now = now + own.arriving(t, sending)
        if feedback:
            check(now, layer.name, arriving(layer), t)
        sending.append(compartment.step(t, now))
        for name in names:
            states[name].append(compartment.states[name])
    found = {f"{layer.name}:{name}": torch.stack(s) for name, s in states.items()}
    return {layer.name: torch.stack(sending), **found}


def _own(layer: StockLayer, connection: StockConnection) -> bool:
    return connection.source == layer.name


def _all_arriving(
    sums_of: SumsOf,
    network: StockNetwork,
    layer: StockLayer,
    sent: dict[str, Tensor],
) -> Tensor:
    """Sums of all other layers at each step: of what they sent a step before."""
    device = next(iter(sent.values())).device
    total = torch.zeros((), dtype=torch.int64, device=device)
    for connection in layer.connections:
        if _own(layer, connection):
            continue
        sums = _arriving(sums_of, connection, sent[connection.source])
        check(sums, layer.name, f"input from '{connection.source}'")
        total = total + sums
    if len(layer.connections) > 1 and not layer.recurrent:
        check(total, layer.name, arriving(layer))
    return total


def _arriving(sums_of: SumsOf, connection: StockConnection, sent: Tensor) -> Tensor:
    """Sums that arrive at each step, (T, C, H, W), int64."""
    synapse = connection.synapse
    if isinstance(synapse, Dense) and synapse.delay is not None:
        parts = [
            _later(sums_of(part)(sent)[0].long(), 1 + steps)
            for steps, part in by_delay(synapse)
        ]
        return torch.stack(parts).sum(0)
    return _later(sums_of(synapse)(sent)[0].long(), 1)


class _Feedback:
    """A connection of a layer with itself."""

    def __init__(
        self,
        sums_of: SumsOf,
        layer: StockLayer,
        connection: StockConnection,
        a: Tensor,
    ) -> None:
        self.layer = layer
        self.nothing = torch.zeros_like(a[0])
        parts = by_delay(connection.synapse)
        self.parts = [(steps, sums_of(part)) for steps, part in parts]

    def arriving(self, t: int, sending: list[Tensor]) -> Tensor:
        """Sums at step ``t`` of what was sent at the steps before."""
        total = self.nothing
        for steps, sums in self.parts:
            if t - 1 - steps >= 0:
                total = total + sums(sending[t - 1 - steps][None])[0][0].long()
        check(total, self.layer.name, f"input from '{self.layer.name}'", t)
        return total


def _held_back(layer: StockLayer, sending: Tensor) -> Tensor:
    """What leaves the axons at each step."""
    if layer.delay is None:
        return sending
    held = torch.zeros_like(sending)
    for channel, steps in enumerate(layer.delay.tolist()):
        held[:, channel] = _later(sending[:, channel], steps)
    return held


def _later(values: Tensor, steps: int) -> Tensor:
    """``values`` shifted along time, zeros before."""
    if not steps:
        return values
    late = torch.zeros_like(values)
    if steps < len(values):
        late[steps:] = values[: len(values) - steps]
    return late
