# SPDX-License-Identifier: BSD-3-Clause
"""Windows too long for 8 bits: the reference's integers, or its overflow."""

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.compartment import MTIF, Bias
from export.network import Connection, Input, Layer, Network
from export.synapse import Conv
from sim.backend import OverflowLayerError, create
from sim.torch.running_totals import Reach, RunningTotals
from sim.torch.simulator import TorchSimulator
from sim.verify.comparison import compare


def chain(rng, steps, thresholds, *, scale, exp, per_channel):
    """Three layers; thresholds from tiny ones to such that hardly fire."""

    def layer(name, source, c_in, theta, weight_exp):
        shape = (4, c_in, 3, 3)
        return Layer(
            name=name,
            shape=(4, 5, 6),
            connections=(
                Connection(
                    source=source,
                    synapse=Conv(
                        weight=2 * rng.integers(-scale, scale + 1, shape),
                        padding=(1, 1),
                    ),
                    weight_exp=weight_exp,
                ),
            ),
            compartment=MTIF(
                vth_mant=rng.integers(theta, 9 * theta, 4 if per_channel else 1),
                num_thresholds=thresholds,
                bias=Bias(mant=rng.integers(-300, 900, 4)),
            ),
            scale=1.0,
        )

    theta = int(rng.integers(1, 60 * scale))
    return Network(
        input=Input(shape=(2, 5, 6), minimum=-50, maximum=99, scale=1.0),
        layers=(
            layer("a", "input", 2, theta, 0),
            layer("b", "a", 4, theta, exp),
            layer("c", "b", 4, theta, 0),
        ),
        num_steps=steps,
        task="test",
    )


def outcome(backend, network, images):
    try:
        return "", create(backend).run(network, images)
    except OverflowLayerError as error:
        return str(error), None


@given(
    seed=st.integers(0, 2**20),
    steps=st.sampled_from([1, 2, 4, 20, 40, 130]),
    thresholds=st.sampled_from([1, 4, 7, 8, 9]),
    scale=st.sampled_from([1, 20, 127]),
    exp=st.integers(0, 7),
    per_channel=st.booleans(),
)
def test_equals_the_reference(seed, steps, thresholds, scale, exp, per_channel):
    rng = np.random.default_rng(seed)
    network = chain(
        rng, steps, thresholds, scale=scale, exp=exp, per_channel=per_channel
    )
    images = rng.integers(-50, 100, (2, 2, 5, 6))
    expected, judge = outcome("reference", network, images)
    found, run = outcome("torch", network, images)
    assert found == expected
    if judge is not None:
        assert compare(run, judge).identical
        together = TorchSimulator(batch=2).run(network, images)
        assert compare(together, judge).identical


@pytest.mark.parametrize(("steps", "thresholds"), [(4, 8), (20, 4), (60, 8)])
def test_takes_the_place_of_potentials(steps, thresholds):
    rng = np.random.default_rng(0)
    network = chain(rng, steps, thresholds, scale=20, exp=0, per_channel=True)
    network = replace(
        network,
        layers=tuple(
            replace(
                layer,
                compartment=replace(
                    layer.compartment, vth_mant=np.array([150, 170, 210, 190])
                ),
            )
            for layer in network.layers
        ),
    )
    images = rng.integers(-50, 100, (2, 2, 5, 6))
    judge = create("reference").run(network, images)
    assert all(p.min() < p.max() for p in judge.payloads.values())
    ran = []
    run = RunningTotals.run

    def noted(self, *arguments):
        ran.append(self)
        return run(self, *arguments)

    with mock.patch.object(RunningTotals, "run", noted):
        assert compare(create("torch").run(network, images), judge).identical
    assert ran
    # One level more: the integers differ.
    first = network.layers[1].connections[0]
    weight = first.synapse.weight.copy()
    weight[:, :, 1, 1] += 2
    changed = replace(first, synapse=replace(first.synapse, weight=weight))
    layers = (
        network.layers[0],
        replace(network.layers[1], connections=(changed,)),
        network.layers[2],
    )
    other = create("torch").run(replace(network, layers=layers), images)
    assert not np.array_equal(other.payloads["b"], judge.payloads["b"])


@pytest.mark.parametrize("room", [0, 1])
def test_bounds_are_those_of_the_proof(room):
    sent = {"a": mock.Mock(most=100)}
    units = np.array([[3, 1], [2, 4]])
    narrow = Reach(
        units=(("a", units),),
        rest=np.array([7, 9]),
        narrow=np.array([307, 409]) - 1 + room,
    )
    assert narrow.bounds(sent) == (True, bool(room))
    wide = replace(narrow, rest=np.array([7, 2**23 - 400 - room]))
    assert wide.bounds(sent)[0] == bool(room)
