# SPDX-License-Identifier: BSD-3-Clause
"""Who notices a flipped number, told from a recording of the right network.

A flipped number changes its own channel first: everything before it is as recorded. So
it is noticed if that channel's payloads (or its output, or an overflow) differ, and
that takes one channel's arithmetic, not a run of the network.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from export.compartment import MTIF
from export.facts import STATE
from export.network import Connection, Layer, Network
from export.synapse import AveragePool, ConvTranspose
from sim.coverage.flips import (
    Flip,
    bias_change,
    every_flip,
    level_change,
    one_tap,
    other_threshold,
)
from sim.recording import Payload, Recording
from sim.reference import synapse

Int64 = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Trace:
    """What entered one channel of a layer at each step.

    Parameters
    ----------
    layer : Layer
        Where.
    channel : int
        Which.
    drive : ndarray, shape (images, T, H, W), int64
        Input of each step, the bias included.
    """

    def __init__(self, layer: Layer, channel: int, drive: Int64) -> None:
        compartment = layer.compartment
        self.drive = drive
        self.theta: int | None = None
        self.top = 0
        if isinstance(compartment, MTIF):
            vth = compartment.vth_mant
            self.theta = int(vth[channel if len(vth) > 1 else 0])
            self.top = compartment.payload_maximum

    def run(self, more: Int64 | int = 0, theta: int | None = None) -> Int64 | None:
        """Payloads of all steps, or an accumulator's output; None if it overflows."""
        theta = self.theta if theta is None else theta
        if theta == 0:
            return None  # no network may have it: noticed before it runs
        current = self.drive + more
        v = np.zeros_like(current[:, 0])
        sent = []
        for step in range(current.shape[1]):
            v = v + current[:, step]
            if not STATE.contains(int(v.min()), int(v.max())):
                return None
            if theta is not None:
                payload = np.clip(v // theta, 0, self.top)
                v = v - payload * theta
                sent.append(payload)
        return np.stack(sent, axis=1) if sent else v

    def notices(self, more: Int64 | int = 0, theta: int | None = None) -> bool:
        """Whether other input, or another threshold, changes what is sent."""
        changed = self.run(more, theta)
        right = self.right
        return changed is None or right is None or not np.array_equal(changed, right)

    @functools.cached_property
    def right(self) -> Int64 | None:
        """What was sent."""
        return self.run()

    def distance(self, more: Int64 | int) -> Floats:
        """How much is missing for other input to change what is sent.

        Parameters
        ----------
        more : ndarray or int
            Added to the input of each step, as `drive`.

        Returns
        -------
        ndarray, shape (images,), float64
            The least over steps and places, in thresholds; inf where nothing is added.
        """
        count = len(self.drive)
        added = np.cumsum(np.broadcast_to(more, self.drive.shape), axis=1)
        if self.theta is None:
            return np.where(added.reshape(count, -1).any(axis=1), 0.0, np.inf)
        least = np.full(count, np.inf)
        v = np.zeros_like(self.drive[:, 0])
        for step in range(self.drive.shape[1]):
            v = v + self.drive[:, step]
            payload = np.clip(v // self.theta, 0, self.top)
            up = (payload + 1) * self.theta - v - added[:, step]
            down = v - payload * self.theta + 1 + added[:, step]
            missing = np.where(
                added[:, step] > 0,
                np.where(payload < self.top, up, np.inf),
                np.where((added[:, step] < 0) & (payload > 0), down, np.inf),
            )
            least = np.minimum(least, missing.reshape(count, -1).min(axis=1))
            v = v - payload * self.theta
        return least / self.theta

    def distance_of_threshold(self, theta: int) -> Floats:
        """As `distance`, for another threshold: to what tells the two apart."""
        count = len(self.drive)
        least = np.full(count, np.inf)
        assert self.theta is not None
        v = np.zeros_like(self.drive[:, 0])
        for step in range(self.drive.shape[1]):
            v = v + self.drive[:, step]
            payload = np.clip(v // self.theta, 0, self.top)
            for reached in (payload, payload + 1):
                ends = (reached * self.theta, reached * theta)
                short = np.maximum(np.minimum(*ends) - v, v + 1 - np.maximum(*ends))
                used = (reached > 0) & (reached <= self.top)
                missing = np.where(used, np.maximum(short, 0), np.inf)
                least = np.minimum(least, missing.reshape(count, -1).min(axis=1))
            v = v - payload * self.theta
        return least / self.theta


class Sums:
    """What connections of a small network deliver, for many pictures at once.

    Of each connection a matrix is made, by the reference's arithmetic; its products
    are exact in float64.

    Parameters
    ----------
    network : Network
        In windows.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._matrices: dict[tuple[str, int], Floats] = {}
        self._places: dict[tuple[str, int, tuple[int, ...]], Int64] = {}

    def whole(self, layer: Layer, number: int, payload: Payload) -> Int64:
        """Shifted sums of a connection, (..., C, H, W), for payloads of such shape."""
        c = layer.connections[number]
        shape = self.network.nodes[c.source].shape
        key = (layer.name, number)
        if key not in self._matrices:
            size = int(np.prod(shape))
            units = np.eye(size, dtype=np.int64).reshape(size, *shape)
            rows = [synapse.apply(c.synapse, unit).ravel() for unit in units]
            self._matrices[key] = np.stack(rows).astype(np.float64)
        flat = payload.reshape(-1, len(self._matrices[key])).astype(np.float64)
        sums = np.rint(flat @ self._matrices[key]).astype(np.int64) << c.weight_exp
        delivered: Int64 = sums.reshape(*payload.shape[:-3], *layer.shape)
        return delivered

    def tap(
        self, layer: Layer, number: int, index: tuple[int, ...], payload: Payload
    ) -> Int64:
        """What a level more of a weight adds to its channel, (..., H, W)."""
        c = layer.connections[number]
        key = (layer.name, number, index)
        if key not in self._places:
            alone, channel = one_tap(c, index)
            shape = self.network.nodes[c.source].shape
            numbers = 1 + np.arange(int(np.prod(shape))).reshape(shape)
            self._places[key] = synapse.apply(alone.synapse, numbers)[channel] // 2
        flat = payload.reshape(*payload.shape[:-3], -1).astype(np.int64)
        padded = np.concatenate([np.zeros_like(flat[..., :1]), flat], axis=-1)
        delivered: Int64 = 2 * padded[..., self._places[key]] << c.weight_exp
        return delivered


class Noticing:
    """Whether a recording of the right network gives a flip away.

    Parameters
    ----------
    network : Network
        What was recorded, in windows.
    recording : Recording
        All layers at all steps.
    sums : Sums, optional
        Of the network, where several recordings are looked at.
    """

    def __init__(
        self, network: Network, recording: Recording, sums: Sums | None = None
    ) -> None:
        self.network = network
        self.recording = recording
        self.sums = sums or Sums(network)
        self._traces = functools.lru_cache(maxsize=1)(self._make_traces)
        self._taps: dict[tuple[object, ...], Int64] = {}

    def __call__(self, flip: Flip) -> bool:
        """Whether any picture notices it."""
        layer = self._layer(flip.layer)
        traces = self._traces(flip.layer)
        if flip.what == "bias":
            return traces[flip.index[0]].notices(bias_change(layer, flip))
        if flip.what == "threshold":
            theta = other_threshold(layer, flip)
            mine = self._with_threshold(layer, flip)
            return any(trace.notices(theta=theta) for trace in mine)
        return any(trace.notices(more) for trace, more in self._weight(layer, flip))

    def distance(self, flip: Flip) -> Floats:
        """How far each picture is from noticing a flip, in thresholds, (images,)."""
        layer = self._layer(flip.layer)
        traces = self._traces(flip.layer)
        if flip.what == "bias":
            return traces[flip.index[0]].distance(bias_change(layer, flip))
        if flip.what == "threshold":
            theta = other_threshold(layer, flip)
            mine = self._with_threshold(layer, flip)
            parts = [trace.distance_of_threshold(theta) for trace in mine]
        else:
            weights = self._weight(layer, flip)
            parts = [trace.distance(more) for trace, more in weights]
        least: Floats = np.min(parts, axis=0)
        return least

    def _with_threshold(self, layer: Layer, flip: Flip) -> list[Trace]:
        assert isinstance(layer.compartment, MTIF)
        traces = self._traces(layer.name)
        each = len(layer.compartment.vth_mant) > 1
        return [traces[flip.index[0]]] if each else traces

    def _layer(self, name: str) -> Layer:
        return next(layer for layer in self.network.layers if layer.name == name)

    def _weight(self, layer: Layer, flip: Flip) -> Iterator[tuple[Trace, Int64]]:
        """Channels that a flipped weight adds to, and what."""
        number = int(flip.what.split()[1])
        c = layer.connections[number]
        change = level_change(c, flip)
        traces = self._traces(layer.name)
        if isinstance(c.synapse, AveragePool):
            # Of a pool all weights are one: twice the weight, twice the sum.
            sums = self._steps(self.sums.whole(layer, number, self._payload(c)))
            for out, trace in enumerate(traces):
                yield trace, change * 2 * sums[:, :, out] // c.synapse.weight_mant
            return
        channel = flip.index[1 if isinstance(c.synapse, ConvTranspose) else 0]
        added = self._tap(layer, number, flip.index)
        yield traces[channel], change * added

    def _tap(self, layer: Layer, number: int, index: tuple[int, ...]) -> Int64:
        """`Sums.tap`, once for all channels that read alike."""
        c = layer.connections[number]
        s = c.synapse
        assert not isinstance(s, AveragePool)
        if isinstance(s, ConvTranspose):
            key = (layer.name, number, index[0], *index[2:])
        else:
            group = index[0] // (len(s.weight) // s.groups)
            key = (layer.name, number, group, *index[1:])
        if key not in self._taps:
            added = self.sums.tap(layer, number, index, self._payload(c))
            self._taps[key] = self._steps(added)
        return self._taps[key]

    def _make_traces(self, name: str) -> list[Trace]:
        layer = self._layer(name)
        drive = layer.compartment.bias.effective()[:, None, None]
        for number, c in enumerate(layer.connections):
            sums = self.sums.whole(layer, number, self._payload(c))
            drive = drive + self._steps(sums)
        return [Trace(layer, c, drive[:, :, c]) for c in range(layer.shape[0])]

    def _payload(self, c: Connection) -> Payload:
        """Of a source, (images, T, C, H, W); T is 1 for the picture, which stays."""
        if c.source == self.network.input.name:
            return self.recording.images[:, None]
        return self.recording.payloads[c.source]

    def _steps(self, sums: Int64) -> Int64:
        if sums.shape[1] == self.network.num_steps:
            return sums
        return sums.repeat(self.network.num_steps, axis=1)


def unnoticed(
    network: Network,
    recording: Recording,
    flips: Iterable[Flip] | None = None,
    sums: Sums | None = None,
) -> list[Flip]:
    """Flips that a recording of the right network does not give away."""
    noticing = Noticing(network, recording, sums)
    candidates = every_flip(network) if flips is None else flips
    return [flip for flip in candidates if not noticing(flip)]
