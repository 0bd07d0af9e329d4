# SPDX-License-Identifier: BSD-3-Clause
"""Counts of recordings, each by a second way."""

import dataclasses

import numpy as np
import oracle
import pytest
import strategies
from hypothesis import assume, given

from export.compartment import MTIF
from export.fit.bounds import potential_bounds
from export.mapped import mapped
from sim.backend import OverflowLayerError
from sim.recording import RecordingError
from sim.reference.simulator import ReferenceSimulator
from sim.selftest import small_network
from sim.statistics import activity


def record(network, images):
    try:
        return ReferenceSimulator().run(network, images)
    except OverflowLayerError:
        assume(False)


@pytest.fixture(scope="module")
def recorded():
    network = small_network(size=(4, 6))
    images = np.random.default_rng(1).integers(-256, 512, (2, 1, 4, 6))
    return network, ReferenceSimulator().run(network, images)


def count_products(network, recording, connection, target, value):
    """Products that are not zero, one by one from the oracle's definition."""
    total = 0
    for index in range(len(recording.images)):
        for t in range(network.num_steps):
            payload = (
                recording.images[index]
                if connection.source == network.input.name
                else recording.payloads[connection.source][index, t]
            )
            counted = np.vectorize(value)(payload).tolist()
            ones = counting(connection.synapse)
            at = oracle.AT[type(connection.synapse)]
            total += sum(
                at(ones, counted, *place) for place in np.ndindex(*target.shape)
            )
    return total


def counting(synapse):
    """The synapse with 2 for every weight that is not zero; counts come doubled."""
    if not hasattr(synapse, "weight"):
        return synapse
    return dataclasses.replace(synapse, weight=2 * (synapse.weight != 0))


def test_effective_operations_product_by_product(recorded):
    network, recording = recorded
    links = {(x.source, x.target): x for x in activity(network, recording).links}
    for layer in network.layers:
        for c in layer.connections:
            doubled = count_products(
                network, recording, c, layer, lambda g: int(g != 0)
            )
            assert links[c.source, layer.name].effective * 2 == doubled


def test_mapped_operations_spike_by_spike(recorded):
    network, recording = recorded
    links = {(x.source, x.target): x for x in activity(network, recording).links}
    for layer in network.layers[1:5]:
        for c in layer.connections:
            filled = c
            if hasattr(c.synapse, "weight"):
                weight = np.full_like(c.synapse.weight, 2)
                synapse = dataclasses.replace(c.synapse, weight=weight)
                filled = dataclasses.replace(c, synapse=synapse)
            for field, value in (
                ("messages", lambda g: int(g != 0)),
                ("payload", int),
                ("bits", lambda g: bin(g).count("1")),
            ):
                doubled = count_products(network, recording, filled, layer, value)
                assert getattr(links[c.source, layer.name], field) * 2 == doubled


def test_layer_counts(recorded):
    network, recording = recorded
    counts = {x.name: x for x in activity(network, recording).layers}
    payload = recording.payloads["mid"].tolist()
    flat = np.array(payload).ravel().tolist()
    assert counts["mid"].messages == sum(g > 0 for g in flat)
    assert counts["mid"].payload == sum(flat)
    assert counts["mid"].bits == sum(f"{g:b}".count("1") for g in flat)
    pixels = int(np.count_nonzero(recording.images))
    assert counts["input"].messages == pixels * network.num_steps
    assert counts["input"].payload == counts["input"].bits == 0


@given(run=strategies.runs())
def test_potentials_by_the_oracle_lie_within_the_static_bounds(run):
    network, images = run
    network = mapped(network, "graded")  # potentials of neurons, not of their copies
    recording = record(network, images)
    counts = {x.name: x for x in activity(network, recording).layers}
    for layer in network.layers:
        low, high = potential_bounds(layer, network)
        if isinstance(layer.compartment, MTIF):
            seen = oracle_potentials(network, images, layer)
            measured = counts[layer.name]
            assert (measured.potential_minimum, measured.potential_maximum) == seen
            assert low <= seen[0] <= seen[1] <= high
        elif recording.output is not None:
            assert low <= recording.output.min() <= recording.output.max() <= high


def oracle_potentials(network, images, layer):
    """Potential before the reset, from the payloads that the oracle emits."""
    theta = layer.compartment.vth_mant.astype(np.int64)
    theta = np.broadcast_to(theta, layer.shape[:1])[:, None, None]
    seen = []
    for image in images:
        for steps in range(1, network.num_steps + 1):
            cut = dataclasses.replace(network, num_steps=steps)
            payloads, _ = oracle.run_image(cut, image)
            v = final_potential(cut, image, layer.name)
            last = np.array(payloads[layer.name][-1])
            before = v + theta * last
            seen += [before.min(), before.max()]
    return min(seen), max(seen)


def final_potential(network, image, name):
    """Potential of a layer after the last step: it made the network's last layer."""
    index = [layer.name for layer in network.layers].index(name)
    head = dataclasses.replace(network, layers=network.layers[: index + 1])
    return np.array(oracle.run_image(head, image)[1])


def test_recording_of_another_network(recorded):
    _, recording = recorded
    other = small_network(seed=1, size=(4, 6))
    with pytest.raises(RecordingError, match=r"recording: of network .*, this one is"):
        activity(other, recording)


def test_recording_without_a_layer_or_a_step(recorded):
    network, recording = recorded
    payloads = {n: p for n, p in recording.payloads.items() if n != "mid"}
    with pytest.raises(RecordingError, match="recording: layer 'mid' is missing"):
        activity(network, dataclasses.replace(recording, payloads=payloads))
    fewer = dataclasses.replace(
        recording,
        steps=(0, 2),
        payloads={n: p[:, [0, 2]] for n, p in recording.payloads.items()},
    )
    with pytest.raises(RecordingError, match="2 steps found, all 3 needed"):
        activity(network, fewer)


def test_recording_of_another_size(recorded):
    network, recording = recorded
    cut = {n: p[..., :-1] for n, p in recording.payloads.items()}
    unnamed = dataclasses.replace(recording, payloads=cut, network_sha256=None)
    with pytest.raises(
        RecordingError,
        match=r"layer 'down': shape \(3, 4, 5\) found, \(3, 4, 6\) needed",
    ):
        activity(network, unnamed)
