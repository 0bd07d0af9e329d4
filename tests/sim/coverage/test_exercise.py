# SPDX-License-Identifier: BSD-3-Clause
"""Two backends on made pictures: the verdict, overflows included; that it can fail."""

import dataclasses
import itertools

import numpy as np
import pytest

import sim.coverage.exercise
from export.network import Input
from sim.backend import OverflowLayerError, create
from sim.coverage.choose import Chosen, choose
from sim.coverage.counter import Coverage
from sim.coverage.exercise import exercise
from sim.coverage.stimuli import KINDS, stimuli
from sim.selftest import small_network

NETWORK = small_network(size=(4, 4))


def test_stimuli_are_seeded_and_within_the_range():
    source = Input(shape=(2, 5, 7), minimum=-3, maximum=200, scale=1.0)

    def drawn(seed):
        return list(itertools.islice(stimuli(source, seed), 4 * len(KINDS)))

    pictures = drawn(1)
    for stimulus, again in zip(pictures, drawn(1), strict=True):
        assert stimulus.name == again.name
        assert np.array_equal(stimulus.levels, again.levels)
        source.check(stimulus.levels[None])
    assert len({p.name for p in pictures}) == len(pictures)
    assert any(
        not np.array_equal(a.levels, b.levels)
        for a, b in zip(pictures, drawn(2), strict=True)
    )
    levels = np.stack([p.levels for p in pictures])
    assert (levels.min(), levels.max()) == (-3, 200)


def test_climbing_makes_a_silent_channel_fire():
    from sim.torch.climb import STRIDES, Climber

    network = small_network(size=(8, 8), seed=3)
    backend = create("torch")
    black = np.full((1, 1, 8, 8), -256, dtype=np.int32)
    before = backend.run(network, black).payloads
    silent = [
        (name, int(channel))
        for name in ("down", "mid", "up")
        for channel in np.flatnonzero(~before[name].any(axis=(0, 1, 3, 4)))
    ]
    assert silent
    climber = Climber(network)
    start = black.repeat(len(STRIDES), axis=0)
    fired = 0
    for name, channel in silent:
        climbed = climber.climb(start, (name, channel), None)
        if climbed is not None:
            payloads = backend.run(network, climbed[None]).payloads[name]
            fired += payloads[:, :, channel].any()
    assert fired > len(silent) / 2


def test_climbing_to_a_place():
    """A channel fires where it is wanted, and not a little only."""
    from sim.torch.climb import ENOUGH, STRIDES, Climber

    network = small_network(size=(8, 8), seed=3)
    climber = Climber(network)
    black = np.full((len(STRIDES), 1, 8, 8), -256, dtype=np.int32)
    corner = np.zeros((8, 8), dtype=np.bool_)
    corner[0, 7] = True
    for channel in range(3):
        target = ("down", channel)
        climbed = climber.climb(black, target, corner)
        assert climbed is not None
        heights = climber.heights(climbed, {target: corner})
        assert heights["down"][channel] >= ENOUGH - 0.5  # rounded to whole levels
        sent = create("torch").run(network, climbed[None]).payloads["down"]
        assert sent[0, :, channel, 0, 7].any()


@pytest.fixture(scope="module")
def chosen():
    return choose(NETWORK, count=20)


def test_equal_backends(chosen):
    found = exercise(NETWORK, chosen, ("torch", "reference"))
    assert found.identical
    assert found.comparison.images == len(found.pictures) == 20
    record = found.to_json()
    assert record["identical"] is True
    assert record["coverage"]["weights"]["met"] > 0
    assert record["coverage"]["images"] == 20


def other_backend(monkeypatch, run):
    """The right backend runs by ``run(backend, network, images)``."""
    real = create("reference")

    class Backend:
        name = "other"

        def run(self, network, images, *, layers=None, progress=None):
            return run(real, network, np.asarray(images))

    backends = {"left": create("reference"), "right": Backend()}
    monkeypatch.setattr(sim.coverage.exercise, "create", backends.__getitem__)


def test_a_wrong_payload_fails(chosen, monkeypatch):
    def run(backend, network, images):
        recording = backend.run(network, images)
        payloads = dict(recording.payloads)
        if np.array_equal(images[0], chosen.pictures[9].levels):
            payloads["mid"] = payloads["mid"].copy()
            payloads["mid"][0, 1, 2, 0, 1] += 1
        return dataclasses.replace(recording, payloads=payloads)

    other_backend(monkeypatch, run)
    found = exercise(NETWORK, chosen, ("left", "right"))
    assert not found.identical
    assert found.comparison.mismatches == 1
    assert found.to_show is chosen.pictures[9]


def overflowing(network, names):
    """Pictures, of which some are said to overflow."""
    pictures = tuple(itertools.islice(stimuli(network.input), 4))
    return Chosen(
        pictures=pictures,
        overflowing=frozenset(pictures[i].name for i in names),
        coverage=Coverage(network),
    )


@pytest.mark.parametrize("foreseen", [(), (2,)])
@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (("up", 1), ("up", 1), True),
        (("up", 1), ("up", 2), False),
        (("up", 1), ("mid", 1), False),
        (("up", 1), None, False),
    ],
)
def test_overflows_have_to_be_at_one_place(left, right, same, foreseen, monkeypatch):
    chosen = overflowing(NETWORK, foreseen)
    real = create("reference")

    class Backend:
        def __init__(self, place):
            self.name, self.place = str(place), place

        def run(self, network, images, *, layers=None, progress=None):
            if self.place and np.array_equal(images[0], chosen.pictures[2].levels):
                raise OverflowLayerError(*self.place, "potential 8388608")
            return real.run(network, images)

    backends = {"left": Backend(left), "right": Backend(right)}
    monkeypatch.setattr(sim.coverage.exercise, "create", backends.__getitem__)
    found = exercise(NETWORK, chosen, ("left", "right"))
    assert found.identical is same
    (overflow,) = found.overflows
    assert (overflow.left, overflow.right) == (left, right)
    assert overflow.picture == chosen.pictures[2].name
    assert len(found.pictures) == found.comparison.images == 3


def test_all_overflow_is_not_exact():
    chosen = overflowing(NETWORK, ())
    nothing = dataclasses.replace(chosen, pictures=())
    found = exercise(NETWORK, nothing, ("torch", "reference"))
    assert not found.identical
    assert found.comparison is found.to_show is None
