# SPDX-License-Identifier: BSD-3-Clause
"""A sequence of frames through a sigma-delta network, one frame at each step.

The state stays from frame to frame: a layer sends what has changed. The output of
frame k (from 0) is there `arrivals` of the last layer steps after the first, and k.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from export.fit.fanout import fan_out
from export.images import completed, decode
from export.network import Network
from export.stock_network import StockNetwork
from export.synapse import Injection
from loihi_unet.errors import DataError
from sim.backend import Clocked, Progress, Simulator
from sim.recording import Recording, identity, recordable

Int64 = npt.NDArray[np.int64]
#: A frame as it enters: whole numbers of any dtype.
Shown = npt.NDArray[np.number[Any]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Video:
    """What a sequence gave.

    Attributes
    ----------
    network : StockNetwork
        Of the frames' size, and as many steps as all of them take.
    recording : Recording
        Of one run.
    outputs : ndarray, shape (frames, C, H, W), float64
        In the unit that the network was trained in.
    """

    network: StockNetwork
    recording: Recording
    outputs: npt.NDArray[np.float64]

    @property
    def frames(self) -> int:
        """How many there were."""
        return len(self.outputs)

    def events(self) -> Int64:
        """Messages that each frame caused, shape (frames,)."""
        return self._counted().events

    def operations(self) -> Int64:
        """Synaptic operations that each frame caused, shape (frames,).

        Of every message, the weights that are not zero and lie inside the layer it
        goes to.
        """
        return self._counted().operations

    def _counted(self) -> PerFrame:
        counted = PerFrame(self.network, self.frames)
        for t in self.recording.steps:
            payloads = self.recording.payloads.items()
            counted.add(t, {name: values[0, t] for name, values in payloads})
        return counted

    def sent(self, name: str) -> npt.NDArray[np.signedinteger[Any]]:
        """What a layer sent of each frame, shape (frames, C, H, W)."""
        first = self.network.arrivals[name] - 1
        payload = self.recording.payloads[name][0]
        part: npt.NDArray[np.signedinteger[Any]] = payload[first : first + self.frames]
        return part


class PerFrame:
    """Counts what each frame causes, as steps go by.

    Parameters
    ----------
    network : StockNetwork
        From `network_at`.
    frames : int
        How many there will be.

    Attributes
    ----------
    events, operations : ndarray, shape (frames,), int64
        So far.
    """

    def __init__(self, network: StockNetwork, frames: int) -> None:
        self.events = np.zeros(frames, dtype=np.int64)
        self.operations = np.zeros(frames, dtype=np.int64)
        self.first = {x.name: network.arrivals[x.name] - 1 for x in network.layers[:-1]}
        self.fan = fans(network)

    def add(self, t: int, sent: Mapping[str, npt.NDArray[np.integer[Any]]]) -> None:
        """Count step ``t``, from 0, of all layers, each (C, H, W)."""
        for name, first in self.first.items():
            frame = t - first
            if 0 <= frame < len(self.events):
                active = sent[name] != 0
                self.events[frame] += np.count_nonzero(active)
                if name in self.fan:
                    self.operations[frame] += int((active * self.fan[name]).sum())


def fans(network: StockNetwork) -> dict[str, Int64]:
    """Synaptic operations that a message of each place causes, by source.

    Each (C, H, W); of the input, which is injected, there are none.
    """
    found: dict[str, Int64] = {}
    for layer in network.layers:
        for c in layer.connections:
            if isinstance(c.synapse, Injection):
                continue
            shape = network.nodes[c.source].shape
            fan = fan_out(c.synapse, shape, nonzero_only=True)
            found[c.source] = found.get(c.source, 0) + fan
    return found


def video_network(network: Network, where: str) -> StockNetwork:
    """Return a network that frames can be streamed through.

    Raises
    ------
    DataError
        If it is another one.
    """
    if not isinstance(network, StockNetwork) or not network.takes_pictures:
        raise DataError(
            f"{where}: --stream keeps the state of sigma-delta neurons from frame to "
            "frame; this network starts anew with every picture"
        )
    return network


def run_video(
    network: StockNetwork,
    levels: npt.NDArray[np.generic],
    simulator: Simulator,
    *,
    layers: tuple[str, ...] | None = None,
    progress: Progress | None = None,
) -> Video:
    """Stream frames through a network.

    Parameters
    ----------
    network : StockNetwork
        Sigma-delta, for pictures.
    levels : ndarray of integers, shape (frames, C, H, W)
        Gray levels, of a size that fits.
    simulator : Simulator
        The machine.
    layers : tuple of str or None
        To record; None means all that send. The last is always recorded.
    progress : callable, optional
        As of `Simulator.run`.

    Raises
    ------
    OverflowLayerError
        With layer and step; frame k enters at step k.
    """
    last = network.output.name
    network = network_at(network, levels.shape[2:], len(levels))
    wanted = _wanted(network, layers)
    frames = np.stack([completed(network, frame) for frame in levels])
    held = np.repeat(frames[-1:], network.num_steps - len(levels), axis=0)
    steps = np.concatenate([frames, held])[None]
    recording = simulator.run(network, steps, layers=wanted, progress=progress)
    first = network.arrivals[last] - 1
    outputs = decode(network, recording.payloads[last][0, first : first + len(levels)])
    return Video(network=network, recording=recording, outputs=outputs)


def steps_of(
    network: StockNetwork,
    frames: Iterable[Shown],
    simulator: Simulator,
    layers: tuple[str, ...] | None,
) -> Iterator[Recording]:
    """Stream frames as they come, and give out one step after the other.

    Memory does not grow with their number on a backend that is
    `sim.backend.Clocked`; others run all frames at once.

    Parameters
    ----------
    network : StockNetwork
        From `network_at`: as many steps as the frames take.
    frames : iterable of ndarray of int, shape (C, H, W)
        What enters, planes included; one at least.
    simulator : Simulator
        The machine.
    layers : tuple of str or None
        To give out; None means all that send. The last always is.

    Yields
    ------
    Recording
        Of one step.

    Raises
    ------
    OverflowLayerError
        With layer and step; frame k enters at step k.
    """
    wanted = _wanted(network, layers)
    entering = _held(frames, network.num_steps)
    if not isinstance(simulator, Clocked):
        all_of_them = np.stack([*entering])[None]
        yield from _cut(simulator.run(network, all_of_them, layers=wanted))
        return
    fields = identity(network)
    clock = simulator.clock(network)
    for t, frame in enumerate(entering):
        started = time.perf_counter()
        values = network.input.check(frame[None, None])
        found = clock.step(values[0, 0])
        yield Recording(
            backend=simulator.name,
            **fields,
            steps=(t,),
            images=values,
            payloads={name: found[name][None, None] for name in wanted},
            output=None,
            seconds=time.perf_counter() - started,
            versions=simulator.versions(),
        )


def _wanted(network: StockNetwork, layers: tuple[str, ...] | None) -> tuple[str, ...]:
    """Names to record, in order; the last layer's always."""
    sending = tuple(layer.name for layer in network.layers)
    last = network.output.name
    return recordable(network, sending if layers is None else (*layers, last))


def _held(frames: Iterable[Shown], steps: int) -> Iterator[Shown]:
    """Frames, and the last again until all steps are through."""
    t, frame = 0, None
    for frame in frames:
        t += 1
        yield frame
    assert frame is not None
    yield from itertools.repeat(frame, steps - t)


def _cut(run: Recording) -> Iterator[Recording]:
    for t in run.steps:
        yield replace(
            run,
            steps=(t,),
            images=run.images[:, t : t + 1],
            payloads={name: v[:, t : t + 1] for name, v in run.payloads.items()},
            seconds=run.seconds / len(run.steps),
        )


def network_at(
    network: StockNetwork, size: tuple[int, ...], frames: int
) -> StockNetwork:
    """The network for so many frames of a size (H, W)."""
    sized = network
    if size != network.input.shape[1:]:
        sized = cast("StockNetwork", network.resized(*size))
    steps = frames + sized.arrivals[sized.output.name] - 1
    return replace(sized, num_steps=steps)
