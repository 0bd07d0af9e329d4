# SPDX-License-Identifier: BSD-3-Clause
"""Streaming gives what one run gives, in constant memory."""

import gc
import itertools
import multiprocessing
import weakref

import numpy as np
import pytest

from export.errors import NetworkError
from sim.backend import create
from sim.selftest import small_network
from sim.streaming import stream

lava = pytest.param("lava", marks=pytest.mark.lava)
cuda = pytest.param("cuda", marks=pytest.mark.cuda)


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("backend", ["torch", "reference", cuda, lava])
def test_equals_one_run(backend, batch):
    assert_stream_equals_run(small_network(), backend, batch)


@pytest.mark.lava
@pytest.mark.parametrize(
    ("backend", "num_steps"),
    [("lava-stock", 4), ("lava", 1), ("lava", 5), ("lava", 6), ("lava", 7)],
)
def test_pipeline_deeper_than_a_window_and_not(backend, num_steps):
    """The network has six stages: windows begin while 6, 2 or 1 are under way."""
    assert_stream_equals_run(small_network(num_steps=num_steps), backend, 2)


def assert_stream_equals_run(network, backend, batch):
    images = np.random.default_rng(0).integers(-256, 512, (5, 1, 8, 8))
    parts = list(stream(network, images, backend=backend, batch=batch, layers=None))
    whole = create("reference").run(network, images)
    for name in ("images", "output"):
        found = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(found, getattr(whole, name))
    assert parts[0].payloads.keys() == whole.payloads.keys()
    for name, payload in whole.payloads.items():
        found = np.concatenate([part.payloads[name] for part in parts])
        np.testing.assert_array_equal(found, payload)


def test_frames_are_read_when_needed():
    read = []

    def camera():
        for number in itertools.count():
            read.append(number)
            yield np.full((1, 8, 8), number)

    recordings = stream(small_network(), camera(), batch=2)
    assert read == []
    next(recordings)
    assert read == [0, 1]
    next(recordings)
    assert read == [0, 1, 2, 3]


@pytest.mark.parametrize("backend", ["torch", "reference", cuda, lava])
def test_memory_is_constant(backend):
    """Frames and outputs alive: a batch of each, and what is in the pipeline."""
    alive = weakref.WeakSet()
    counts = []

    class Array(np.ndarray):
        """An array that can be counted."""

        __hash__ = object.__hash__

    def camera():
        for number in range(12):
            frame = np.full((1, 8, 8), number).view(Array)
            alive.add(frame)
            yield frame
            del frame

    for recording in stream(small_network(), camera(), backend=backend, batch=2):
        alive.add(recording.output.view(Array))
        gc.collect()
        counts.append(len(alive))
    assert len(counts) >= 6
    assert max(counts) <= 4


@pytest.mark.lava
def test_lava_stops_when_the_reader_does():
    camera = (np.full((1, 8, 8), number) for number in itertools.count())
    recordings = stream(small_network(), camera, backend="lava")
    assert next(recordings).output.shape == (1, 1, 8, 8)
    assert multiprocessing.active_children()
    recordings.close()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("backend", ["torch", lava])
def test_sizes_may_change(backend):
    sizes = [(8, 8), (8, 8), (8, 12), (12, 8), (8, 8)]
    frames = [np.full((1, *size), 77) for size in sizes]
    parts = list(stream(small_network(num_steps=8), frames, backend=backend, batch=4))
    outputs = [output.shape[1:] for part in parts for output in part.output]
    assert outputs == sizes


def test_a_frame_that_does_not_fit():
    with pytest.raises(NetworkError, match=r"frame: shape \(8, 8\) found"):
        next(stream(small_network(), [np.zeros((8, 8), int)]))
    with pytest.raises(NetworkError, match=r"window \(2, 2\) does not divide"):
        next(stream(small_network(), [np.zeros((1, 7, 8), int)]))
