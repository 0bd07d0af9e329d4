# SPDX-License-Identifier: BSD-3-Clause
"""Stock neurons in torch: synapses for all steps at once, compartments step by step.

Layers need no common clock: what a layer sends at all steps is known before a layer
that reads it runs. Only a layer that reads itself computes that connection at every
step. Sums are exact in float32 where ``max over outputs of sum|weight| * largest
payload found`` is below 2**24, else in float64: |weight| <= 2**8, |payload| <= 2**23
and fewer than 2**22 synapses per compartment keep every partial sum below 2**53
(direct convolutions only; see `sim.torch.simulator`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import assert_never

from export.stock_network import StockConnection, StockLayer, StockNetwork
from export.synapse import (
    Conv,
    ConvTranspose,
    Dense,
    Injection,
    IntArray,
    StockSynapse,
)
from sim.backend import OverflowLayerError
from sim.recording import Payload
from sim.stock_run import arriving, by_delay, trace_dtype
from sim.torch.exact import FLOAT32_EXACT
from sim.torch.int8 import convolve
from sim.torch.stock_neurons import check, compartment_of

RunOne = Callable[[StockNetwork, IntArray, tuple[str, ...]], dict[str, Payload]]


def runner(device: torch.device) -> RunOne:
    """Give a `sim.stock_run.RunOne` on ``device``; call it within exact_arithmetic."""

    def run_one(
        network: StockNetwork, values: IntArray, wanted: tuple[str, ...]
    ) -> dict[str, Payload]:
        frames = torch.from_numpy(np.array(values)).to(device)
        if not network.input.changes:
            frames = frames.expand(network.num_steps, *frames.shape)
        try:
            return _run(network, frames, wanted)
        except OverflowLayerError as error:
            raise _first_overflow(network, frames, error) from None

    return run_one


def _run(
    network: StockNetwork, frames: Tensor, wanted: tuple[str, ...]
) -> dict[str, Payload]:
    """Wanted traces of as many steps as there are frames."""
    sent, traces = {network.input.name: frames}, dict[str, Payload]()
    for layer in network.layers:
        found = _run_layer(network, layer, sent, wanted)
        sent[layer.name] = _held_back(layer, found[layer.name])
        for name in set(wanted) & set(found):
            dtype = trace_dtype(network, name)
            traces[name] = found[name].cpu().numpy().astype(dtype)
    return traces


def _first_overflow(
    network: StockNetwork, frames: Tensor, error: OverflowLayerError
) -> OverflowLayerError:
    """Of the first step at which any layer overflows, the first layer.

    Layer by layer, the run first meets the overflow of its first layer. What happens
    before a step does not depend on it, so the run is repeated without the step that
    was found until nothing overflows any more, and then once with it.
    """
    step = error.step
    while step:
        try:
            _run(network, frames[:step], ())
        except OverflowLayerError as earlier:
            step = earlier.step
        else:
            break
    try:
        _run(network, frames[: step + 1], ())
    except OverflowLayerError as first:
        return first
    return error


def _run_layer(
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
        a = _all_arriving(network, layer, sent)
    compartment = compartment_of(network, layer, a.device)
    feedback = [_Feedback(layer, c, a) for c in layer.connections if _own(layer, c)]
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
    network: StockNetwork, layer: StockLayer, sent: dict[str, Tensor]
) -> Tensor:
    """Sums of all other layers at each step: of what they sent a step before."""
    device = next(iter(sent.values())).device
    total = torch.zeros((), dtype=torch.int64, device=device)
    for connection in layer.connections:
        if _own(layer, connection):
            continue
        sums = _arriving(connection, sent[connection.source])
        check(sums, layer.name, f"input from '{connection.source}'")
        total = total + sums
    if len(layer.connections) > 1 and not layer.recurrent:
        check(total, layer.name, arriving(layer))
    return total


def _arriving(connection: StockConnection, sent: Tensor) -> Tensor:
    """Sums that arrive at each step, (T, C, H, W), int64."""
    synapse = connection.synapse
    if isinstance(synapse, Dense) and synapse.delay is not None:
        parts = [
            _later(_sums(part, sent), 1 + steps) for steps, part in by_delay(synapse)
        ]
        return torch.stack(parts).sum(0)
    return _later(_sums(synapse, sent), 1)


def _sums(synapse: StockSynapse, sent: Tensor) -> Tensor:
    """Sums of what is sent at each step, (T, C, H, W), int64.

    Steps at which nothing is sent are left out: of a still picture, all but one.
    """
    alive = sent.flatten(1).any(dim=1)
    if bool(alive.all()) or len(sent) == 1:
        return _all_sums(synapse, sent)
    alive[0] = True  # one step at least gives the shape
    some = _all_sums(synapse, sent[alive])
    total = some.new_zeros(len(sent), *some.shape[1:])
    total[alive] = some
    return total


def _all_sums(synapse: StockSynapse, sent: Tensor) -> Tensor:
    assert not isinstance(synapse, Injection)  # never beside other connections
    magnitude = int(sent.abs().max()) if sent.dtype != torch.bool else 1
    exact = int(synapse.absolute_sum().max()) * magnitude < FLOAT32_EXACT
    x = sent.to(torch.float32 if exact else torch.float64)
    weight = torch.from_numpy(np.array(synapse.weight)).to(x.device, x.dtype)
    match synapse:
        case Conv():
            sums = convolve(
                x,
                weight,
                None,
                synapse.stride,
                synapse.padding,
                synapse.dilation,
                synapse.groups,
            )
        case ConvTranspose():
            sums = _conv_transpose(synapse, x, weight)
        case Dense():
            sums = (x.flatten(1) @ weight.T)[:, :, None, None]
        case _:
            assert_never(synapse)
    return sums.long()


def _conv_transpose(synapse: ConvTranspose, x: Tensor, weight: Tensor) -> Tensor:
    """Plain convolution of the source with zeros between its values."""
    (sh, sw), (dh, dw), groups = synapse.stride, synapse.dilation, synapse.groups
    _, c, h, w = x.shape
    spread = x.new_zeros(len(x), c, (h - 1) * sh + 1, (w - 1) * sw + 1)
    spread[:, :, ::sh, ::sw] = x
    margins = [
        (span - 1 - p, span - 1 - p + o)
        for span, p, o in zip(
            synapse.spans, synapse.padding, synapse.output_padding, strict=True
        )
    ]
    # Negative margins cut away, as a padding larger than the kernel does.
    spread = functional.pad(spread, (*margins[1], *margins[0]))
    # (groups, C_in, C_out, K, K) -> (groups * C_out, C_in, K, K), kernels turned.
    turned = weight.reshape(groups, c // groups, *weight.shape[1:]).transpose(1, 2)
    turned = turned.reshape(-1, c // groups, *weight.shape[2:]).flip(2, 3)
    return convolve(spread, turned, None, (1, 1), (0, 0), (dh, dw), groups)


class _Feedback:
    """A connection of a layer with itself."""

    def __init__(
        self, layer: StockLayer, connection: StockConnection, a: Tensor
    ) -> None:
        self.layer = layer
        self.nothing = torch.zeros_like(a[0])
        self.parts = by_delay(connection.synapse)

    def arriving(self, t: int, sending: list[Tensor]) -> Tensor:
        """Sums at step ``t`` of what was sent at the steps before."""
        total = self.nothing
        for steps, part in self.parts:
            if t - 1 - steps >= 0:
                total = total + _sums(part, sending[t - 1 - steps][None])[0]
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
