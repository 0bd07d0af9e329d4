# SPDX-License-Identifier: BSD-3-Clause
"""One layer of stock neurons: sums of all steps at once, compartments step by step.

A connection of a layer with itself is computed at every step.
"""

from __future__ import annotations

import torch
from torch import Tensor

from export.stock_network import StockConnection, StockLayer, StockNetwork
from export.synapse import Dense, Injection
from sim.stock_run import arriving, by_delay
from sim.torch.stock_neurons import check, compartment_of
from sim.torch.stock_sums import SumsOf


def run_layer(
    sums_of: SumsOf,
    network: StockNetwork,
    layer: StockLayer,
    sent: dict[str, Tensor],
    wanted: tuple[str, ...],
) -> dict[str, Tensor]:
    """Run a layer in integers, step by step.

    Parameters
    ----------
    sums_of : SumsOf
        Synapses of the device.
    network : StockNetwork
        Whose layer.
    layer : StockLayer
        What to run.
    sent : dict of str to Tensor
        What left its sources at each step, (T, C, H, W).
    wanted : tuple of str
        Traces to give.

    Returns
    -------
    dict of str to Tensor
        What is sent at all steps, and wanted states after each, by trace name.

    Raises
    ------
    OverflowLayerError
        Of the layer's first quantity that overflows, at the first step at which it
        does.
    """
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
        for recurrent in feedback:
            now = now + recurrent.arriving(t, sending)
        if feedback:
            check(now, layer.name, arriving(layer), t)
        sending.append(compartment.step(t, now))
        for name in names:
            states[name].append(compartment.states[name])
    recorded = {f"{layer.name}:{name}": torch.stack(s) for name, s in states.items()}
    return {layer.name: torch.stack(sending), **recorded}


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


def held_back(layer: StockLayer, sending: Tensor) -> Tensor:
    """Give what leaves the axons at each step, of what compartments send."""
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
