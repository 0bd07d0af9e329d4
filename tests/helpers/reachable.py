# SPDX-License-Identifier: BSD-3-Clause
"""All inputs that a neuron can get, by enumeration: a proof for very small networks.

Each neuron's payloads of all steps are a tuple. From the set of tuples that each source
can send follows the set that a neuron can receive, as if the sources knew nothing of
each other: too many rather than too few. What changes nothing for all of them changes
nothing.
"""

import functools

import numpy as np

from export.compartment import MTIF
from sim.coverage.flips import bias_change, level_change, one_tap, other_threshold
from sim.coverage.noticing import Trace
from sim.reference import synapse

#: Sums that are put side by side at once, at most.
MOST = 2**22


class TooManyError(Exception):
    """The set of inputs is too large to enumerate."""


def matrix(c, shape):
    """Effective weights of a connection, (source elements, *output shape)."""
    size = int(np.prod(shape))
    units = np.eye(size, dtype=np.int64).reshape(size, *shape)
    return np.stack([synapse.apply(c.synapse, unit) for unit in units]) << c.weight_exp


def added(sums, values):
    """All sums of a row here and a row there, each once."""
    if len(sums) * len(values) > MOST:
        raise TooManyError
    found = (sums[:, None] + values[None]).reshape(-1, *sums.shape[1:])
    return np.unique(found, axis=0)


class Reachable:
    """Sets of a network at its size; places that are alike share theirs."""

    def __init__(self, network):
        self.network = network
        source = network.input
        levels = np.arange(source.minimum, source.maximum + 1)
        self.levels = levels[:, None].repeat(network.num_steps, axis=1)
        self.known = {}
        self.weights = functools.cache(self._weights)

    def sent(self, name, place):
        """Tuples that a place of a node can send, (number, T)."""
        if name == self.network.input.name:
            return self.levels
        drive = self.received(name, place)
        key = (name, place[0], id(drive))
        if key not in self.known:
            found = self.run(self.network.nodes[name], place[0], drive)
            self.known[key] = np.unique(found, axis=0)
        return self.known[key]

    def received(self, name, place, number=None, flip=None):
        """Inputs of a place, (number, T), or pairs of them with a flip, (.., 2 * T)."""
        layer = self.network.nodes[name]
        terms = []
        for i, c in enumerate(layer.connections):
            shape = self.network.nodes[c.source].shape
            weights = self.weights(name, i)[(slice(None), *place)]
            others = weights
            if i == number:
                alone, channel = one_tap(c, flip.index)
                if channel in (None, place[0]):
                    more = matrix(alone, shape)[(slice(None), *place)]
                    # Two of the mantissa are a level.
                    others = weights + level_change(c, flip) * more
            for element in np.flatnonzero((weights != 0) | (others != 0)):
                source = tuple(int(x) for x in np.unravel_index(element, shape))
                values = self.sent(c.source, source)
                terms.append((int(weights[element]), int(others[element]), values))
        key = (name, place[0], flip, *sorted((w, o, id(v)) for w, o, v in terms))
        if key not in self.known:
            self.known[key] = self._added(layer, place[0], flip, terms)
        return self.known[key]

    def _added(self, layer, channel, flip, terms):
        steps = self.network.num_steps
        bias = int(layer.compartment.bias.effective()[channel])
        sums = np.full((1, steps if flip is None else 2 * steps), bias, dtype=np.int64)
        for weight, other, values in terms:
            products = weight * values
            if flip is not None:
                products = np.hstack([products, other * values])
            sums = added(sums, np.unique(products, axis=0))
        return sums

    def _weights(self, name, number):
        c = self.network.nodes[name].connections[number]
        return matrix(c, self.network.nodes[c.source].shape)

    def run(self, layer, channel, drive, theta=None):
        """What a neuron makes of inputs, row by row."""
        trace = Trace(layer, channel, drive[:, :, None, None])
        found = trace.run(theta=theta)
        return None if found is None else found.reshape(len(drive), -1)

    def same(self, layer, channel, drive, other, theta=None):
        right = self.run(layer, channel, drive)
        found = self.run(layer, channel, other, theta)
        return found is not None and np.array_equal(found, right)

    def changes_nothing(self, flip):
        """Whether a flip is proved to change nothing; False if there are too many."""
        try:
            return all(self._same_at(flip, place) for place in self._places(flip))
        except TooManyError:
            return False

    def _places(self, flip):
        layer = self.network.nodes[flip.layer]
        shared = flip.what == "threshold" and len(layer.compartment.vth_mant) == 1
        for place in np.ndindex(layer.shape):
            if flip.what.startswith("weight"):
                c = layer.connections[int(flip.what.split()[1])]
                if one_tap(c, flip.index)[1] in (None, place[0]):
                    yield place
            elif shared or place[0] == flip.index[0]:
                yield place

    def _same_at(self, flip, place):
        layer = self.network.nodes[flip.layer]
        steps = self.network.num_steps
        if flip.what == "threshold":
            assert isinstance(layer.compartment, MTIF)
            drive = self.received(flip.layer, place)
            theta = other_threshold(layer, flip)
            return self.same(layer, place[0], drive, drive, theta)
        if flip.what == "bias":
            drive = self.received(flip.layer, place)
            return self.same(layer, place[0], drive, drive + bias_change(layer, flip))
        number = int(flip.what.split()[1])
        pairs = self.received(flip.layer, place, number, flip)
        return self.same(layer, place[0], pairs[:, :steps], pairs[:, steps:])
