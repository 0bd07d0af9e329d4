# SPDX-License-Identifier: BSD-3-Clause
"""Frames one a step: what is kept, what is sent, and what it costs."""

import numpy as np
import pytest
import sigma_delta

from export.fit.fanout import fan_out
from export.images import decode
from export.synapse import Injection
from loihi_unet.errors import ConversionError, DataError
from loihi_unet.runs.video import run_video, video_network
from loihi_unet.sigma_delta.thresholds import at_share, usual_payloads, with_thresholds
from sim.backend import create
from sim.selftest import small_network

BACKENDS = ["reference", "torch", pytest.param("lava", marks=pytest.mark.lava)]


@pytest.fixture(scope="module")
def network():
    return sigma_delta.unet()[1]


def still(count=1, seed=1):
    """The same picture so many times."""
    return np.repeat(sigma_delta.pictures(1, 1, (16, 24), seed), count, axis=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_still_picture_is_sent_once(network, backend):
    video = run_video(network, still(4), create(backend))
    expected = decode(network, sigma_delta.integer_ann(network, still()[0]))
    for output in video.outputs:
        np.testing.assert_array_equal(output, expected)
    events, operations = video.events(), video.operations()
    assert events[0] > 0
    assert operations[0] > events[0]
    assert not events[1:].any()
    assert not operations[1:].any()


def test_what_changes_is_sent_and_the_output_follows(network):
    frames = still(3)
    frames[1, :, 4:8, 4:8] += 40
    frames[2] = frames[1]
    video = run_video(network, frames, create("reference"))
    moved = decode(network, sigma_delta.integer_ann(network, frames[1]))
    # A layer sends whole payloads, cut off at each change: close, and no drift since.
    assert np.abs(video.outputs[1] - moved).max() < 0.01
    np.testing.assert_array_equal(video.outputs[2], video.outputs[1])
    events = video.events()
    assert 0 < events[1] < events[0]
    assert events[2] == 0


def test_operations_are_fan_out_of_what_was_sent(network):
    frames = still(2)
    frames[1, 0, 3, 5] += 9
    video = run_video(network, frames, create("torch"))
    expected = np.zeros(2, dtype=int)
    for layer in video.network.layers:
        for c in layer.connections:
            if isinstance(c.synapse, Injection):
                continue
            source = video.network.nodes[c.source]
            sent = video.recording.payloads[c.source][0] != 0
            fan = fan_out(c.synapse, source.shape, nonzero_only=True)
            first = video.network.arrivals[c.source] - 1
            for k in range(2):
                expected[k] += int(fan[sent[first + k]].sum())
    assert video.operations().tolist() == expected.tolist()


def test_thresholds_hold_back_small_changes(network):
    frames = still(2)
    frames[1] += np.random.default_rng(3).integers(-2, 3, frames[1].shape)
    plain = run_video(network, frames, create("torch"))
    sent = {x.name: plain.sent(x.name)[0] for x in network.layers}
    usual = usual_payloads(network, sent)
    assert not any("@" in name for name in usual)
    held = at_share(network, usual, 0.25)
    found = run_video(held, frames, create("torch"))
    assert found.operations()[1] < plain.operations()[1] / 2
    again = run_video(at_share(held, usual, 0), frames, create("torch"))
    np.testing.assert_array_equal(again.outputs, plain.outputs)


def test_bad_input_is_said(network):
    with pytest.raises(DataError, match="--stream keeps the state of sigma-delta"):
        video_network(small_network(), "a.net")
    with pytest.raises(ConversionError, match="'out': it has no threshold"):
        with_thresholds(network, {"out": 3})
    with pytest.raises(ConversionError, match=r"thresholds of \['nose'\]"):
        with_thresholds(network, {"nose": 3})
