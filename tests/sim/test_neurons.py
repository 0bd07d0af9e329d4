# SPDX-License-Identifier: BSD-3-Clause
"""The compartments' arithmetic of each backend against Python integers."""

import doctest

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from export.compartment import MTIF, Bias
from export.mapping import MAPPINGS, Mapping
from sim.lava import neuron as lava_neuron
from sim.lava import window as lava_window
from sim.reference import simulator as reference
from sim.torch import mappings as torch_mappings


def plain(v, current, theta, count):
    """Payload and potential of one neuron after one step, eq. 4-6 of the paper."""
    v += current
    payload = 0
    for i in reversed(range(count)):
        if v >= theta * 2**i:
            v -= theta * 2**i
            payload += 2**i
    return v, payload


@st.composite
def cases(draw, mappings=MAPPINGS):
    """Mapping, N, two channels' thresholds, currents (steps, channels)."""
    mapping = draw(st.sampled_from(mappings))
    count = draw(st.integers(1, 16 if mapping != "parallel-if" else 5))
    limit = Mapping(name=mapping, num_thresholds=count).largest_base
    theta = draw(st.lists(st.integers(1, limit), min_size=2, max_size=2))
    current = st.one_of(
        st.integers(-(2**18), 2**18),
        st.sampled_from([0, *theta, theta[0] - 1, theta[0] << min(count, 4)]),
    )
    steps = st.lists(st.tuples(current, current), min_size=1, max_size=8)
    return mapping, count, theta, draw(steps)


def expected(theta, count, steps):
    v, payloads = [0, 0], []
    for currents in steps:
        both = [plain(*x, count) for x in zip(v, currents, theta, strict=True)]
        v = [b[0] for b in both]
        payloads.append([b[1] for b in both])
    return payloads


@given(cases())
def test_lava(case):
    mapping, count, theta, steps = case
    vth = np.array(theta, dtype=np.int32)
    shape = lava_neuron.potential_shape((1, 1, 2), count, mapping)
    v = np.full(shape, 77, dtype=np.int32)  # what an earlier window left
    lava_neuron.rest(v, vth, mapping)
    found = []
    for currents in steps:
        v += np.array(currents, dtype=np.int32)
        found.append(lava_neuron.fire(v, vth, count, mapping).reshape(2).tolist())
    assert found == expected(theta, count, steps)


@given(cases())
def test_one_threshold_for_the_layer_in_lava(case):
    mapping, count, (theta, _), steps = case
    vth = np.array([theta], dtype=np.int32)
    v = np.zeros(lava_neuron.potential_shape((1, 1, 2), count, mapping), np.int32)
    lava_neuron.rest(v, vth, mapping)
    found = []
    for currents in steps:
        v += np.array(currents, dtype=np.int32)
        found.append(lava_neuron.fire(v, vth, count, mapping).reshape(2).tolist())
    assert found == expected([theta, theta], count, steps)


@given(cases(mappings=("parallel-if", "binary-if")))
def test_torch(case):
    mapping, count, theta, steps = case
    compartment = MTIF(
        vth_mant=np.array(theta),
        num_thresholds=count,
        bias=Bias(mant=np.zeros(2, int)),
        mapping=mapping,
    )
    vth = torch.tensor(theta, dtype=torch.int32)
    v = torch_mappings.rest(compartment, vth, torch.zeros(2))
    assert v.shape == (compartment.copies, 2)
    found = []
    for currents in steps:
        v += torch.tensor(currents, dtype=torch.int32)
        found.append(torch_mappings.fire(compartment, v, vth).tolist())
    assert found == expected(theta, count, steps)


@pytest.mark.parametrize("module", [lava_neuron, lava_window, reference])
def test_doctests(module):
    results = doctest.testmod(module)
    assert results.failed == 0
    assert results.attempted > 0
