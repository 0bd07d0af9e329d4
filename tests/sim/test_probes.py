# SPDX-License-Identifier: BSD-3-Clause
"""Every probe tells its answers apart; the first is what backends do here."""

import itertools

import numpy as np
import pytest

from sim.backend import create
from sim.probes.all import probes

PROBES = probes()


def recorded(backend, probe):
    images = probe.images[None] if probe.network.input.changes else probe.images
    found = create(backend).run(probe.network, images).payloads[probe.layer]
    return found.reshape(-1, found.shape[2])


def test_there_is_a_question_for_everything_that_is_open():
    assert len(PROBES) >= 5
    asked = " ".join(f"{p.question} {p.reason}" for p in PROBES.values())
    for thing in ("322", "threshold", "decay", "Loihi 1", "graded", "reset", "delay"):
        assert thing in asked


@pytest.mark.parametrize("name", PROBES)
def test_no_two_answers_record_the_same(name):
    probe = PROBES[name]
    assert len(probe.answers) >= 2
    for a, b in itertools.combinations(range(len(probe.answers)), 2):
        left, right = probe.recordings[a], probe.recordings[b]
        assert left.shape == right.shape == probe.shape
        # Two values at least: one bit that is read wrongly makes no other answer.
        assert (left != right).sum() >= 2, (probe.answers[a], probe.answers[b])


@pytest.mark.parametrize("backend", ["reference", "torch"])
@pytest.mark.parametrize("name", PROBES)
def test_the_first_answer_is_what_backends_do_here(name, backend):
    probe = PROBES[name]
    assert probe.answered(recorded(backend, probe)) == 0
    assert probe.answers[0].then == ""
    assert all(answer.then for answer in probe.answers[1:])


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.parametrize("name", PROBES)
def test_lava_gives_the_first_answer_too(name):
    assert PROBES[name].answered(recorded("lava", PROBES[name])) == 0


@pytest.mark.parametrize("name", PROBES)
def test_what_is_none_of_the_answers_is_none(name):
    probe = PROBES[name]
    changed = probe.recordings[0].copy()
    changed[-1, -1] += 1
    assert probe.answered(changed) is None
    assert probe.answered(np.full(probe.shape, 3)) is None
