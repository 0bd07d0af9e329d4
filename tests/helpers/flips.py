# SPDX-License-Identifier: BSD-3-Clause
"""Every number of a network with every single bit flipped: who notices?

A flipped number changes its own channel first: everything before it is as recorded. So
it is noticed if that channel's payloads (or its output, or an overflow) differ.
"""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from export.compartment import MTIF
from export.synapse import AveragePool, ConvTranspose
from sim.reference import synapse

LEVEL_BITS, THETA_BITS, BIAS_BITS = 8, 17, 13


class Flip(NamedTuple):
    layer: str
    what: str
    index: tuple
    bit: int


def flipped(value, bit, bits):
    """A two's complement number of so many bits with one of them inverted."""
    value = (int(value) ^ 1 << bit) & (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


class Trace:
    """What entered one channel of a layer at each step, (images, T, H, W)."""

    def __init__(self, layer, channel, drive):
        compartment = layer.compartment
        self.drive = drive
        self.theta = None
        if isinstance(compartment, MTIF):
            vth = compartment.vth_mant
            self.theta = int(vth[channel if len(vth) > 1 else 0])
            self.count = compartment.num_thresholds

    def run(self, more=0, theta=None):
        """Payloads of all steps, or an accumulator's output; None if it overflows."""
        theta = self.theta if theta is None else theta
        current = self.drive + more
        v = np.zeros_like(current[:, 0])
        sent = []
        for step in range(current.shape[1]):
            v = v + current[:, step]
            if v.min() < -(2**23) or v.max() >= 2**23:
                return None
            if self.theta is None:
                continue
            payload = np.zeros_like(v)
            for i in reversed(range(self.count)):
                fires = v >= theta << i
                v = v - fires * (theta << i)
                payload += fires.astype(v.dtype) << i
            sent.append(payload)
        return np.stack(sent, axis=1) if sent else v

    def notices(self, more=0, theta=None):
        found = self.run(more, theta)
        return found is None or not np.array_equal(found, self.right)

    @functools.cached_property
    def right(self):
        return self.run()


def payload_of(network, recording, source):
    if source == network.input.name:
        return np.repeat(recording.images[:, None], network.num_steps, 1)
    return recording.payloads[source]


def sums(connection, payload):
    """Shifted sums of all images and steps, (images, T, C, H, W)."""
    flat = payload.reshape(-1, *payload.shape[2:]).astype(np.int64)
    found = np.stack([synapse.apply(connection.synapse, p) for p in flat])
    return found.reshape(*payload.shape[:2], *found.shape[1:]) << connection.weight_exp


def tap_sum(connection, payload, index):
    """What one level more of a weight adds to its output channel, (images, T, H, W)."""
    s = connection.synapse
    weight = np.zeros_like(s.weight)
    weight[index] = 2
    one = dataclasses.replace(s, weight=weight)
    out = index[1 if isinstance(s, ConvTranspose) else 0]
    return sums(dataclasses.replace(connection, synapse=one), payload)[:, :, out]


def every_flip(network):
    """All of them, by layer and output channel."""
    for layer in network.layers:
        for number, c in enumerate(layer.connections):
            s = c.synapse
            shape = () if isinstance(s, AveragePool) else s.weight.shape
            for index in np.ndindex(shape):
                for bit in range(LEVEL_BITS):
                    yield Flip(layer.name, f"weight {number}", index, bit)
        for index in np.ndindex(layer.compartment.bias.mant.shape):
            for bit in range(BIAS_BITS):
                yield Flip(layer.name, "bias", index, bit)
        if isinstance(layer.compartment, MTIF):
            for index in np.ndindex(layer.compartment.vth_mant.shape):
                for bit in range(THETA_BITS):
                    yield Flip(layer.name, "threshold", index, bit)


def unnoticed(network, recording, flips=None):
    """Flips that a recording of the right network does not give away."""
    noticing = Noticing(network, recording)
    candidates = every_flip(network) if flips is None else flips
    return [flip for flip in candidates if not noticing(flip)]


class Noticing:
    """Whether a recording gives a flip away."""

    def __init__(self, network, recording):
        self.network = network
        self.recording = recording
        self.traces = functools.lru_cache(maxsize=1)(self._traces)
        self.taps = {}

    def _traces(self, name):
        layer = self.network.nodes[name]
        parts = [
            sums(c, payload_of(self.network, self.recording, c.source))
            for c in layer.connections
        ]
        drive = sum(parts) + layer.compartment.bias.effective()[:, None, None]
        return [Trace(layer, c, drive[:, :, c]) for c in range(layer.shape[0])]

    def _tap(self, layer, number, index):
        """`tap_sum`, once for all output channels that read the same."""
        c = layer.connections[number]
        s = c.synapse
        if isinstance(s, ConvTranspose):
            key = (layer.name, number, index[0], *index[2:])
        else:
            group = index[0] // (len(s.weight) // s.groups)
            key = (layer.name, number, group, *index[1:])
        if key not in self.taps:
            payload = payload_of(self.network, self.recording, c.source)
            self.taps[key] = tap_sum(c, payload, index)
        return self.taps[key]

    def __call__(self, flip):
        layer = self.network.nodes[flip.layer]
        traces = self.traces(flip.layer)
        if flip.what == "bias":
            bias = layer.compartment.bias
            mant = int(bias.mant[flip.index])
            change = flipped(mant, flip.bit, BIAS_BITS) - mant
            return traces[flip.index[0]].notices(change * 2**bias.exp)
        if flip.what == "threshold":
            vth = layer.compartment.vth_mant
            mine = [traces[flip.index[0]]] if len(vth) > 1 else traces
            theta = int(vth[flip.index]) ^ 1 << flip.bit
            return any(trace.notices(theta=theta) for trace in mine)
        number = int(flip.what.split()[1])
        c = layer.connections[number]
        if isinstance(c.synapse, AveragePool):
            return self._pool(c, flip.bit, traces)
        level = int(c.synapse.weight[flip.index]) // 2
        change = flipped(level, flip.bit, LEVEL_BITS) - level
        out = flip.index[1 if isinstance(c.synapse, ConvTranspose) else 0]
        return traces[out].notices(change * self._tap(layer, number, flip.index))

    def _pool(self, c, bit, traces):
        level = c.synapse.weight_mant // 2
        change = flipped(level, bit, LEVEL_BITS) - level
        one = dataclasses.replace(c.synapse, weight_mant=2)
        payload = payload_of(self.network, self.recording, c.source)
        found = sums(dataclasses.replace(c, synapse=one), payload)
        return any(t.notices(change * found[:, :, o]) for o, t in enumerate(traces))
