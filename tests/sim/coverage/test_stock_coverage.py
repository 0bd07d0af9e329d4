# SPDX-License-Identifier: BSD-3-Clause
"""Weights of stock neurons: a payload counts only if it arrives before the run ends."""

import dataclasses

import numpy as np
import pytest
from stocks import spiking

from sim.backend import create
from sim.coverage.counter import Coverage

BACKEND = create("reference")


def run(network, frames):
    recording = BACKEND.run(network, frames)
    coverage = Coverage(network)
    coverage.add(network, recording)
    return recording, coverage.report(network)


def with_weight(network, number, weight):
    layers = list(network.layers)
    (c,) = layers[number].connections
    synapse = dataclasses.replace(c.synapse, weight=weight)
    layers[number] = dataclasses.replace(
        layers[number], connections=(dataclasses.replace(c, synapse=synapse),)
    )
    return dataclasses.replace(network, layers=tuple(layers))


@pytest.mark.parametrize("last", [0, 1])
def test_what_comes_at_the_last_step_meets_nothing(last):
    network = spiking(num_steps=4)
    frames = np.zeros((1, 4, *network.input.shape), dtype=int)
    frames[0, -1 - last] = 1
    right, report = run(network, frames)
    met = report.layers[0].weights.met
    other, _ = run(
        with_weight(network, 0, -network.layers[0].connections[0].synapse.weight),
        frames,
    )
    same = all(
        np.array_equal(right.payloads[name], other.payloads[name])
        for name in right.payloads
    )
    assert same == (met == 0) == (last == 0)
    assert report.biases is report.thresholds is None
    assert report.to_json()["thresholds"] is None


def test_delays_of_dense_synapses_by_hand():
    network = spiking(seed=3, num_steps=6, delayed=True)
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 2, (2, 6, *network.input.shape))
    recording, report = run(network, frames)
    (c,) = network.layers[1].connections
    sent = recording.payloads[c.source].reshape(2, 6, -1)
    met = sum(
        any(
            sent[image, step, i] and step + 1 + c.synapse.delay[o, i] < 6
            for image in range(2)
            for step in range(6)
        )
        for o, i in np.ndindex(c.synapse.weight.shape)
    )
    found = report.layers[1].weights
    assert (found.met, found.total) == (met, c.synapse.weight.size)
    assert 0 < met < found.total
