# SPDX-License-Identifier: BSD-3-Clause
"""A network of stock neurons in torch, one step after the other, its state kept.

`sim.torch.stock` runs layer by layer, which needs all steps of a run in memory. Here
the whole network advances by a step, which needs what is under way.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import torch
from torch import Tensor

from export.stock_network import StockConnection, StockLayer, StockNetwork
from export.synapse import Injection, IntArray, Shape
from sim.stock_run import arriving, by_delay, trace_dtype
from sim.torch.exact import exact_arithmetic
from sim.torch.stock_neurons import check, compartment_of
from sim.torch.stock_sums import SumsOf


class StockClock:
    """See `sim.backend.Clock`.

    Parameters
    ----------
    network : StockNetwork
        What runs, from rest.
    sums_of : SumsOf
        Synapses of the device.
    """

    def __init__(self, network: StockNetwork, sums_of: SumsOf) -> None:
        self.network = network
        self.device = sums_of.device
        self.layers = [_Layer(network, layer, sums_of) for layer in network.layers]
        self.t = 0

    @torch.inference_mode()
    @exact_arithmetic()
    def step(self, frame: IntArray) -> dict[str, IntArray]:
        """Advance a step; return what each layer sends, and its states."""
        entering = torch.from_numpy(np.array(frame)).to(self.device).long()
        emitted: dict[str, Tensor] = {}
        leaving = {self.network.input.name: entering}
        traces = {}
        for layer in self.layers:
            name = layer.layer.name
            emitted[name] = layer.step(self.t, entering)
            leaving[name] = layer.leaving(emitted[name])
            states = {f"{name}:{s}": v for s, v in layer.compartment.states.items()}
            for trace, values in {name: emitted[name], **states}.items():
                dtype = trace_dtype(self.network, trace)
                traces[trace] = values.cpu().numpy().astype(dtype)
        for layer in self.layers:
            for incoming in layer.incoming:
                # A layer that reads itself does so before its axons.
                own = incoming.source == layer.layer.name
                incoming.sent.append((emitted if own else leaving)[incoming.source])
        self.t += 1
        return traces


class _Incoming:
    """A connection, and what its source sent last."""

    def __init__(
        self, connection: StockConnection, shape: Shape, sums_of: SumsOf
    ) -> None:
        self.source = connection.source
        parts = by_delay(connection.synapse)
        self.parts = [(delay, sums_of(synapse)) for delay, synapse in parts]
        depth = 1 + max(delay for delay, _ in parts)
        nothing = torch.zeros(shape, dtype=torch.int64, device=sums_of.device)
        self.sent = deque([nothing] * depth, maxlen=depth)

    def sums(self) -> Tensor:
        """What arrives at this step; ``sent`` ends with the step before."""
        found = [of(self.sent[-1 - d][None])[0][0].long() for d, of in self.parts]
        return torch.stack(found).sum(0)

    @property
    def silent(self) -> bool:
        """Whether nothing arrives."""
        return not any(bool(self.sent[-1 - d].any()) for d, _ in self.parts)


class _Layer:
    """A layer's compartments, what is on its way to them, and its axons."""

    def __init__(
        self, network: StockNetwork, layer: StockLayer, sums_of: SumsOf
    ) -> None:
        self.layer = layer
        device = sums_of.device
        self.compartment = compartment_of(network, layer, device)
        self.nothing = torch.zeros(layer.shape, dtype=torch.int64, device=device)
        self.incoming = [
            _Incoming(c, network.nodes[c.source].shape, sums_of)
            for c in layer.connections
            if not isinstance(c.synapse, Injection)
        ]
        depth = 1 if layer.delay is None else 1 + int(layer.delay.max())
        self.held = deque([self.nothing] * depth, maxlen=depth)

    def step(self, t: int, entering: Tensor) -> Tensor:
        """What is sent at step ``t``."""
        return self.compartment.step(t, self._arriving(t, entering)).long()

    def leaving(self, sent: Tensor) -> Tensor:
        """What leaves the axons at the step at which ``sent`` is sent."""
        if self.layer.delay is None:
            return sent
        self.held.append(sent)
        each = [self.held[-1 - d][c] for c, d in enumerate(self.layer.delay)]
        return torch.stack(each)

    def _arriving(self, t: int, entering: Tensor) -> Tensor:
        name, what = self.layer.name, arriving(self.layer)
        if not self.incoming:
            check(entering, name, what, t)
            return entering
        total = self.nothing
        for incoming in self.incoming:
            if not incoming.silent:
                sums = incoming.sums()
                check(sums, name, f"input from '{incoming.source}'", t)
                total = total + sums
        check(total, name, what, t)
        return total
