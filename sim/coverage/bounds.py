# SPDX-License-Identifier: BSD-3-Clause
"""Proofs that a flipped bit changes nothing, whatever the picture.

Interval arithmetic, place by place: a layer's input is at most what its positive
weights make of the largest payloads and its negative ones of the smallest, and a
potential is at most that sum over all steps. What cannot reach its threshold anywhere
is silent, and so are those that it alone would reach.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from export.compartment import MTIF
from export.facts import STATE
from export.network import Connection, Layer, Network
from export.synapse import AveragePool
from sim.coverage.flips import Flip, bias_change, level_change, one_tap, other_threshold
from sim.reference import synapse

Int64 = npt.NDArray[np.int64]


class Bounds:
    """Largest payloads and inputs of a network, at its image size.

    Parameters
    ----------
    network : Network
        In windows.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        source = network.input
        self._low = {source.name: np.full(source.shape, source.minimum, np.int64)}
        self._high = {source.name: np.full(source.shape, source.maximum, np.int64)}
        self._drive: dict[str, Int64] = {}
        self._size: dict[str, Int64] = {}
        for layer in network.layers:
            bias = layer.compartment.bias.effective()[:, None, None]
            most = [self._most(c) for c in layer.connections]
            least = [self._most(c, negative=True) for c in layer.connections]
            self._drive[layer.name] = sum(most) + bias
            sizes = [np.maximum(a, b) for a, b in zip(most, least, strict=True)]
            self._size[layer.name] = sum(sizes) + np.abs(bias)
            if isinstance(layer.compartment, MTIF):
                reach = self._drive[layer.name] * network.num_steps
                top = layer.compartment.payload_maximum
                self._high[layer.name] = np.clip(reach // _thetas(layer), 0, top)
                self._low[layer.name] = np.zeros(layer.shape, np.int64)

    def silent(self, name: str) -> npt.NDArray[np.bool_]:
        """Which channels of a layer never fire, (C,)."""
        highest: Int64 = self._high[name].max(axis=(1, 2))
        silent: npt.NDArray[np.bool_] = highest == 0
        return silent

    def changes_nothing(self, flip: Flip) -> bool:
        """Whether a flip is proved to change nothing that any layer sends."""
        layer = next(x for x in self.network.layers if x.name == flip.layer)
        if flip.what == "bias":
            more = np.zeros(layer.shape, np.int64)
            more[flip.index[0]] = bias_change(layer, flip)
            touched = np.zeros(layer.shape, np.bool_)
            touched[flip.index[0]] = True
            return self._stays_silent(layer, more, touched, np.abs(more))
        if flip.what == "threshold":
            return self._threshold(layer, flip)
        c = layer.connections[int(flip.what.split()[1])]
        alone, channel = one_tap(c, flip.index)
        change = level_change(c, flip)
        most, least = self._most(alone), -self._most(alone, negative=True)
        touched = (most != 0) | (least != 0)
        if channel is not None:
            others = np.arange(len(touched)) != channel
            touched[others] = False
        ends = (change * most, change * least)
        return self._stays_silent(
            layer, np.maximum(*ends), touched, size=np.abs(ends).max(axis=0)
        )

    def _threshold(self, layer: Layer, flip: Flip) -> bool:
        assert isinstance(layer.compartment, MTIF)
        theta = other_threshold(layer, flip)
        reach = self._drive[layer.name] * self.network.num_steps
        each = len(layer.compartment.vth_mant) > 1
        mine = reach[flip.index[0]] if each else reach
        old = int(layer.compartment.vth_mant[flip.index])
        return bool((mine < min(theta, old)).all())

    def _stays_silent(
        self,
        layer: Layer,
        more: Int64,
        touched: npt.NDArray[np.bool_],
        size: Int64,
    ) -> bool:
        """Whether so much more input leaves all touched places silent, and in range."""
        if not touched.any():
            return True
        if not isinstance(layer.compartment, MTIF):
            return False  # it is read, whatever its potential
        steps = self.network.num_steps
        if int((self._size[layer.name] + size).max()) * steps > STATE.maximum:
            return False  # it might overflow, which is noticed
        reach = (self._drive[layer.name] + np.maximum(more, 0)) * steps
        return bool((reach < _thetas(layer))[touched].all())

    def _most(self, c: Connection, *, negative: bool = False) -> Int64:
        """Largest input through a connection; of its negative, if so."""
        low, high = self._low[c.source], self._high[c.source]
        if isinstance(c.synapse, AveragePool):
            most = (
                -synapse.apply(c.synapse, low)
                if negative
                else (synapse.apply(c.synapse, high))
            )
            return most << c.weight_exp
        weight = -c.synapse.weight if negative else c.synapse.weight
        parts = [
            synapse.apply(dataclasses.replace(c.synapse, weight=part), values)
            for part, values in (
                (np.maximum(weight, 0), high),
                (np.minimum(weight, 0), low),
            )
        ]
        total: Int64 = (parts[0] + parts[1]) << c.weight_exp
        return total


def _thetas(layer: Layer) -> Int64:
    assert isinstance(layer.compartment, MTIF)
    return layer.compartment.vth_mant.astype(np.int64)[:, None, None]
