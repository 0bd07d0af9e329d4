# SPDX-License-Identifier: BSD-3-Clause
"""Every backend gives the integers of the plain-Python oracle."""

import numpy as np
import pytest
import torch
from hypothesis import Phase, assume, example, given, settings
from hypothesis import strategies as st
from oracle import run_image
from strategies import runs

from export.compartment import Accumulator
from export.errors import UnsupportedLayerError
from sim.backend import BACKENDS, BackendError, OverflowLayerError, create
from sim.reference.simulator import mtif_step
from sim.selftest import small_network
from sim.torch.simulator import TorchSimulator
from sim.verify.comparison import compare

cuda = pytest.param("cuda", marks=pytest.mark.cuda)


def assert_equals_oracle(network, images, recording):
    for index, image in enumerate(images):
        payloads, v = run_image(network, image)
        for name, payload in recording.payloads.items():
            np.testing.assert_array_equal(payload[index], np.array(payloads[name]))
        if isinstance(network.output.compartment, Accumulator):
            np.testing.assert_array_equal(recording.output[index], np.array(v))


@given(runs())
def test_reference_and_torch_equal_the_oracle(run):
    network, images = run
    try:
        judge = create("reference").run(network, images)
    except OverflowLayerError:
        with pytest.raises(OverflowLayerError):
            create("torch").run(network, images)
        return
    assert_equals_oracle(network, images, judge)
    assert compare(judge, create("torch").run(network, images)).identical


@pytest.mark.lava
# Each run starts some twenty processes: shrinking a failure would take an hour.
@settings(max_examples=6, phases=[Phase.explicit, Phase.generate])
@given(runs())
def test_lava_equals_the_reference(run):
    network, images = run
    try:
        judge = create("reference").run(network, images)
        backend = create("lava").run(network, images)
    except (OverflowLayerError, UnsupportedLayerError):
        assume(False)  # e.g. a transposed convolution cut inside its stride
    assert compare(judge, backend).identical


@given(
    v=st.integers(-(2**23), 2**23 - 1),
    vth=st.integers(1, 131071),
    num_thresholds=st.integers(1, 8),
)
@example(v=15 * 131071, vth=131071, num_thresholds=4)
@example(v=15 * 131071 - 1, vth=131071, num_thresholds=4)
def test_closed_form(v, vth, num_thresholds):
    left, payload = mtif_step(np.array([v]), np.array([vth]), num_thresholds)
    assert payload[0] == min(max(v, 0) // vth, 2**num_thresholds - 1)
    assert left[0] == v - payload[0] * vth


def test_hand_trace_of_one_compartment():
    """vth 10, N 2 (thresholds 20 and 10), input 17 a step, v carried over.

    t=0: v = 17           -> 10 fires: payload 1, v = 7
    t=1: v = 24           -> 20 fires: payload 2, v = 4
    t=2: v = 21           -> 20 fires: payload 2, v = 1
    t=3: v = 18           -> 10 fires: payload 1, v = 8
    """
    v = np.array([0])
    sent = []
    for _ in range(4):
        v, payload = mtif_step(v + 17, np.array([10]), 2)
        sent.append((int(payload[0]), int(v[0])))
    assert sent == [(1, 7), (2, 4), (2, 1), (1, 8)]


def test_batch_of_16_is_exact_without_winograd():
    """NNPACK's Winograd, torch's fallback from batch 16 on, is not exact."""
    network = small_network(num_steps=16, size=(16, 20), channels=8)
    images = np.random.default_rng(0).integers(-256, 512, (1, 1, 16, 20))
    left = create("torch").run(network, images)
    assert compare(left, create("reference").run(network, images)).identical


@pytest.mark.cuda
@pytest.mark.parametrize("count", [1, 7, 8, 17])
@pytest.mark.parametrize("channels", [3, 16])
def test_batches_on_cuda(count, channels):
    network = small_network(num_steps=5, size=(16, 20), channels=channels)
    images = np.random.default_rng(0).integers(-256, 512, (count, 1, 16, 20))
    left = create("cuda").run(network, images)
    assert compare(left, create("reference").run(network, images)).identical


@pytest.mark.parametrize("backend", ["reference", "torch", cuda])
def test_subset_of_layers(backend):
    network = small_network()
    images = np.full((2, 1, 8, 8), 100)
    recording = create(backend).run(network, images, layers=("mid", "down"))
    assert list(recording.payloads) == ["down", "mid"]
    with pytest.raises(ValueError, match="layer 'nope': not a spiking layer"):
        create(backend).run(network, images, layers=("nope",))


@pytest.mark.parametrize("backend", ["reference", "torch", cuda])
def test_progress_reaches_its_total(backend):
    calls = []
    create(backend).run(
        small_network(),
        np.zeros((1, 1, 8, 8), int),
        progress=lambda *call: calls.append(call),
    )
    assert calls[-1][0] == calls[-1][1]


def test_unknown_backend_names_those_that_exist():
    with pytest.raises(BackendError, match="backend 'gpu': reference, torch"):
        create("gpu")
    assert "lava" in BACKENDS


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_missing_cuda():
    with pytest.raises(BackendError, match="torch finds no CUDA device here"):
        TorchSimulator("cuda")


@pytest.mark.cuda
@given(runs())
def test_cuda_equals_the_reference(run):
    network, images = run
    try:
        judge = create("reference").run(network, images)
    except OverflowLayerError:
        with pytest.raises(OverflowLayerError):
            create("cuda").run(network, images)
        return
    assert compare(judge, create("cuda").run(network, images)).identical
