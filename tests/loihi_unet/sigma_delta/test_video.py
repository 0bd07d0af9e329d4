# SPDX-License-Identifier: BSD-3-Clause
"""Frames one a step: what is kept, what is sent, and what it costs."""

import dataclasses
import gc
import tracemalloc
import weakref

import numpy as np
import pytest
import sigma_delta

from export.fit.fanout import fan_out
from export.images import completed, decode
from export.synapse import Injection
from loihi_unet.errors import ConversionError, DataError
from loihi_unet.runs.video import network_at, run_video, steps_of, video_network
from loihi_unet.sigma_delta.thresholds import at_share, usual_payloads, with_thresholds
from sim.backend import OverflowLayerError, create
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


def moving(network, count):
    """Frames as they enter, one after the other, each another."""
    for n in range(count):
        frame = np.roll(sigma_delta.pictures(1, 1, (16, 24), 1)[0], n, axis=1)
        yield completed(network, frame)


@pytest.mark.parametrize("backend", BACKENDS)
def test_steps_are_those_of_one_run(network, backend):
    """Payloads and states, step by step, against all steps at once on torch."""
    sized = network_at(network, (16, 24), 3)
    wanted = tuple(sized.traces)
    frames = np.stack([*moving(network, 3)])
    shown = np.concatenate([frames, np.repeat(frames[-1:], sized.num_steps - 3, 0)])
    expected = create("torch").run(sized, shown[None], layers=wanted)
    parts = [*steps_of(sized, moving(network, 3), create(backend), wanted)]
    assert [part.steps for part in parts] == [(t,) for t in range(sized.num_steps)]
    for name in wanted:
        found = np.concatenate([part.payloads[name] for part in parts], axis=1)
        np.testing.assert_array_equal(found, expected.payloads[name], err_msg=name)
    # And the comparison sees a single step that is late.
    late = np.concatenate([p.payloads["out"] for p in parts[1:]], axis=1)
    assert not np.array_equal(late, expected.payloads["out"][:, :-1])


@pytest.mark.parametrize("name", ["torch", "reference"])
def test_few_frames_are_held_at_a_time(network, name):
    alive: list[weakref.ref] = []
    most = 0

    def frames():
        for frame in moving(network, 30):
            alive.append(weakref.ref(frame))
            yield frame

    sized = network_at(network, (16, 24), 30)
    for _ in steps_of(sized, frames(), create(name), ("out",)):
        gc.collect(0)
        most = max(most, sum(ref() is not None for ref in alive))
    assert len(alive) == 30
    assert most <= 4


def peak(run):
    """Largest memory that NumPy had from here on."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow  # bytes are counted at every allocation
def test_memory_does_not_grow_with_the_frames(network):
    def streamed(count):
        sized = network_at(network, (16, 24), count)
        for _ in steps_of(sized, moving(network, count), create("reference"), None):
            pass

    def at_once(count):
        levels = np.stack([*moving(network, count)])[:, :1]
        run_video(network, levels, create("reference"))

    streamed(2)  # what is made once and kept
    assert peak(lambda: streamed(24)) < 1.2 * peak(lambda: streamed(4))
    # The measure can tell: all frames in one run take more.
    assert peak(lambda: at_once(24)) > 1.4 * peak(lambda: at_once(4))


def test_an_overflow_names_layer_and_step_as_in_one_run(network):
    layers = list(network.layers)
    for place in (1, 2, 3):
        [first, *rest] = layers[place].connections
        weight = np.full_like(first.synapse.weight, 254)
        synapse = dataclasses.replace(first.synapse, weight=weight)
        changed = dataclasses.replace(first, synapse=synapse)
        layers[place] = dataclasses.replace(layers[place], connections=(changed, *rest))
    loud = dataclasses.replace(network, layers=tuple(layers))
    frames = np.concatenate([np.zeros((2, 1, 16, 24), int), still(2) * 0 + 767])
    with pytest.raises(OverflowLayerError) as expected:
        run_video(loud, frames, create("reference"))
    sized = network_at(loud, (16, 24), 4)
    for name in ("torch", "reference"):
        entering = (completed(loud, frame) for frame in frames)
        with pytest.raises(OverflowLayerError) as found:
            for _ in steps_of(sized, entering, create(name), ("out",)):
                pass
        assert str(found.value) == str(expected.value)


def test_bad_input_is_said(network):
    with pytest.raises(DataError, match="--stream keeps the state of sigma-delta"):
        video_network(small_network(), "a.net")
    with pytest.raises(ConversionError, match="'out': it has no threshold"):
        with_thresholds(network, {"out": 3})
    with pytest.raises(ConversionError, match=r"thresholds of \['nose'\]"):
        with_thresholds(network, {"nose": 3})
