# SPDX-License-Identifier: BSD-3-Clause
"""The integers of a video through a sigma-delta network, without its steps.

Every way takes the same number of steps, so a frame meets itself alone: what a layer
sends of frame k follows from what its sources send of frames 0 to k, and no clock is
needed. A run takes as many steps as there are frames, not a latency of fifty more; and
what lies before the first layer whose threshold changed is taken from the run before.
The arithmetic is the backend `torch`'s, proven exact or not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from export.facts import STATE
from export.images import completed, decode
from export.stock_compartment import Delta, SigmaDelta
from export.stock_network import StockLayer, StockNetwork
from export.synapse import Injection
from loihi_unet.runs.video import Int64, fans, network_at, run_video
from sim.backend import create
from sim.torch import stock_deltas
from sim.torch.exact import exact_arithmetic
from sim.torch.stock_deltas import Arriving
from sim.torch.stock_sums import SumsOf, magnitude

#: Runs of a layer that are kept: of the thresholds that stand, and those last tried.
KEPT = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Given:
    """What frames gave, as `loihi_unet.runs.video.Video` says it.

    Attributes
    ----------
    outputs : ndarray, shape (frames, C, H, W), float64
        In the unit that the network was trained in.
    events, operations : ndarray, shape (frames,), int64
        Messages and synaptic operations that each frame caused.
    first : mapping of str to ndarray, shape (C, H, W)
        What each layer sent of the first frame.
    """

    outputs: npt.NDArray[np.float64]
    events: Int64
    operations: Int64
    first: Mapping[str, npt.NDArray[np.signedinteger[Any]]]


@dataclass(kw_only=True, eq=False)
class _Sent:
    """What a layer sent of each frame.

    ``made_of`` is what decides it: its threshold, synapses and the ``sign`` of what
    its sources sent, which is of that alone.
    """

    made_of: tuple[object, ...]
    values: Tensor
    counts: Int64  # events and operations, (2, frames)
    sign: object = field(default_factory=object)


class FramesAtOnce:
    """Runs the same frames with one set of thresholds after the other.

    Parameters
    ----------
    network : StockNetwork
        Sigma-delta, for pictures; networks that are run share its synapses.
    levels : ndarray of integers, shape (frames, C, H, W)
        Gray levels, of a size that fits.
    """

    def __init__(
        self, network: StockNetwork, levels: npt.NDArray[np.number[Any]]
    ) -> None:
        self.levels = levels
        self.network = network_at(network, levels.shape[2:], len(levels))
        entering = np.stack([completed(network, frame) for frame in levels])
        checked = self.network.input.check(entering[None])[0]
        self.entering = _Sent(
            made_of=(),
            values=torch.from_numpy(np.array(checked)),
            counts=np.zeros((2, len(levels)), dtype=np.int64),
        )
        self.sums_of = SumsOf(torch.device("cpu"))
        self.fan = fans(self.network)
        self.aligned = _aligned(self.network)
        self.kept: dict[str, list[_Sent]] = {}

    @torch.inference_mode()
    @exact_arithmetic()
    def run(self, network: StockNetwork) -> Given:
        """Run the frames through a network that differs in thresholds alone.

        Raises
        ------
        OverflowLayerError
            As `loihi_unet.runs.video.run_video`.
        """
        if not self.aligned:
            return self._by_steps(network)
        network = network_at(network, self.levels.shape[2:], len(self.levels))
        sent = {network.input.name: self.entering}
        for layer in network.layers:
            found = self._layer(layer, sent)
            if found is None:  # overflow, or near enough to it that nothing is proven
                return self._by_steps(network)
            sent[layer.name] = found
        counts = np.sum([sent[x.name].counts for x in network.layers[:-1]], axis=0)
        last = sent[network.output.name].values.numpy().astype(np.int64)
        return Given(
            outputs=decode(self.network, last),
            events=counts[0],
            operations=counts[1],
            first={
                layer.name: sent[layer.name].values[0].numpy().astype(np.int64)
                for layer in network.layers
            },
        )

    def _layer(self, layer: StockLayer, sent: dict[str, _Sent]) -> _Sent | None:
        compartment = layer.compartment
        threshold = (
            compartment.vth_mant if isinstance(compartment, Delta | SigmaDelta) else 0
        )
        ways = [(c.synapse, sent[c.source].sign) for c in layer.connections]
        made_of = (threshold, *ways)
        kept = self.kept.setdefault(layer.name, [])
        for n, known in enumerate(kept):
            if known.made_of == made_of:
                kept.insert(0, kept.pop(n))
                return known
        arriving = self._arriving(layer, sent)
        if arriving is None:
            return None
        found = stock_deltas.run(layer, arriving, len(self.levels), ())
        if found is None:
            return None
        values = found[layer.name]
        counts = self._counts(layer.name, values)
        fresh = _Sent(made_of=made_of, values=values, counts=counts)
        kept.insert(0, fresh)
        del kept[KEPT:]
        return fresh

    def _arriving(self, layer: StockLayer, sent: dict[str, _Sent]) -> Arriving | None:
        """What arrives of each frame; None where a sum may leave 24 bits."""
        total, bound = None, 0
        for c in layer.connections:
            values = sent[c.source].values
            if isinstance(c.synapse, Injection):
                frames = values.float()
                return Arriving(sums=frames, bound=magnitude(frames), late=0)
            sums, highest = self.sums_of(c.synapse)(values)
            if highest > STATE.maximum:
                highest = magnitude(sums)
            if highest > STATE.maximum:
                return None
            total = sums if total is None else total.double() + sums
            bound += highest
        assert total is not None
        if bound > STATE.maximum:
            bound = magnitude(total)
        if bound > STATE.maximum:
            return None
        return Arriving(sums=total.float(), bound=bound, late=0)

    def _counts(self, name: str, values: Tensor) -> Int64:
        """Events and operations of each frame, (2, frames)."""
        active = (values != 0).numpy()
        fan = self.fan.get(name)
        events = active.sum(axis=(1, 2, 3))
        return np.stack(
            [events, 0 * events if fan is None else (active * fan).sum((1, 2, 3))]
        )

    def _by_steps(self, network: StockNetwork) -> Given:
        video = run_video(network, self.levels, create("torch"))
        return Given(
            outputs=video.outputs,
            events=video.events(),
            operations=video.operations(),
            first={layer.name: video.sent(layer.name)[0] for layer in network.layers},
        )


def _aligned(network: StockNetwork) -> bool:
    """Whether all ways to each layer take the same number of steps."""
    leaves = {network.input.name: {0}}
    for layer in network.layers:
        held = {0} if layer.delay is None else set(layer.delay.tolist())
        leaves[layer.name] = {network.arrivals[layer.name] + n for n in held}
    return not any(layer.recurrent for layer in network.layers) and all(
        len(set().union(*(leaves[c.source] for c in layer.connections))) == 1
        for layer in network.layers
    )
