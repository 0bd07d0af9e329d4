# SPDX-License-Identifier: BSD-3-Clause
"""Frames without steps: the integers of the judge, whatever was run before."""

import dataclasses

import numpy as np
import pytest
import sigma_delta

from loihi_unet.runs import frames_at_once
from loihi_unet.runs.frames_at_once import FramesAtOnce
from loihi_unet.runs.video import run_video
from loihi_unet.sigma_delta.thresholds import with_thresholds
from sim.backend import OverflowLayerError, create


@pytest.fixture(scope="module")
def network():
    return sigma_delta.unet()[1]


@pytest.fixture
def steps(monkeypatch):
    """How often a network was run step by step instead."""
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return run_video(*arguments)

    monkeypatch.setattr(frames_at_once, "run_video", counted)
    return calls


def moving(count=3):
    """Frames that move, a part that stands still, and noise."""
    still = sigma_delta.pictures(1, 1, (16, 24), 1)[0]
    frames = np.stack([np.roll(still, n, axis=2) for n in range(count)])
    frames[:, :, :6] = still[:, :6]
    noise = np.random.default_rng(2).integers(-9, 10, frames.shape)
    return frames + noise * (np.arange(24) > 12)


def same(found, video):
    """Whether both gave the same integers and counts."""
    return (
        np.array_equal(found.outputs, video.outputs)
        and found.events.tolist() == video.events().tolist()
        and found.operations.tolist() == video.operations().tolist()
        and all(np.array_equal(v, video.sent(n)[0]) for n, v in found.first.items())
    )


def drawn(network, random):
    """Thresholds at random, of some layers."""
    names = [layer.name for layer in network.layers[:-1] if random.random() < 0.4]
    return with_thresholds(network, {n: int(random.integers(0, 900)) for n in names})


@pytest.mark.parametrize("kind", ["residual", "plain", "colour"])
def test_integers_are_those_of_the_judge(kind, steps):
    channels = 3 if kind == "colour" else 1
    network = sigma_delta.unet(residual=kind != "plain", channels=channels)[1]
    frames = np.repeat(moving(), channels, axis=1)
    network = network.resized(8, 8)  # the frames decide
    at_once, random = FramesAtOnce(network, frames), np.random.default_rng(0)
    candidates = [network, *(drawn(network, random) for _ in range(2)), network]
    for candidate in candidates:  # each after others, of which parts are kept
        video = run_video(candidate, frames, create("reference"))
        assert same(at_once.run(candidate), video)
    assert not steps


def test_one_threshold_off_is_found(network):
    """The comparison above can fail."""
    frames = moving()
    video = run_video(network, frames, create("reference"))
    other = with_thresholds(network, {"enc0.conv1": 400})
    assert not same(FramesAtOnce(network, frames).run(other), video)


def test_what_lies_before_a_change_is_kept(network, monkeypatch):
    ran = []
    run = frames_at_once.stock_deltas.run

    def counted(layer, *arguments):
        ran.append(layer.name)
        return run(layer, *arguments)

    monkeypatch.setattr(frames_at_once.stock_deltas, "run", counted)
    at_once = FramesAtOnce(network, moving())
    at_once.run(network)
    assert ran == [layer.name for layer in network.layers]
    for name in ("dec0.conv1", "mid.conv1"):
        ran.clear()
        at_once.run(with_thresholds(network, {name: 50}))
        assert ran[0] == name
        assert "enc0.conv1" not in ran


def test_ways_of_unequal_length_are_run_step_by_step(network, steps):
    place = next(n for n, x in enumerate(network.layers) if x.delay is not None)
    layers = list(network.layers)
    layers[place] = dataclasses.replace(layers[place], delay=None)
    uneven = dataclasses.replace(network, layers=tuple(layers))
    frames = moving()
    found = FramesAtOnce(uneven, frames).run(uneven)
    assert len(steps) == 1
    assert same(found, run_video(uneven, frames, create("reference")))


def test_an_overflow_names_layer_and_step(network):
    layers = list(network.layers)
    for place in (1, 2, 3):
        [first, *rest] = layers[place].connections
        weight = np.full_like(first.synapse.weight, 254)
        synapse = dataclasses.replace(first.synapse, weight=weight)
        changed = dataclasses.replace(first, synapse=synapse)
        layers[place] = dataclasses.replace(layers[place], connections=(changed, *rest))
    loud = dataclasses.replace(network, layers=tuple(layers))
    frames = np.concatenate([0 * moving(2), 0 * moving(2) + 767])
    with pytest.raises(OverflowLayerError) as expected:
        run_video(loud, frames, create("reference"))
    with pytest.raises(OverflowLayerError) as found:
        FramesAtOnce(loud, frames).run(loud)
    assert str(found.value) == str(expected.value)
