# SPDX-License-Identifier: BSD-3-Clause
"""Thresholds of each layer: what pays is raised, and the budget holds."""

import pytest
import sigma_delta

from loihi_unet.sigma_delta.search import LADDER, Measured, search


@pytest.fixture(scope="module")
def network():
    return sigma_delta.unet()[1]


USUAL = {"enc0.conv1": 1000.0, "enc0.conv2": 1000.0, "mid.conv1": 1000.0}
#: What a threshold of 1000 saves and costs: the last hardly costs anything.
SAVED = {"enc0.conv1": 10.0, "enc0.conv2": 10.0, "mid.conv1": 40.0}
LOST = {"enc0.conv1": 4.0, "enc0.conv2": 1.0, "mid.conv1": 0.01}


def measure(network):
    """Quality and operations of a made-up video, linear in thresholds."""
    shares = {
        layer.name: layer.compartment.vth_mant / 1000
        for layer in network.layers
        if layer.name in USUAL
    }
    return Measured(
        quality=30 - sum(LOST[n] * s for n, s in shares.items()),
        operations=100 - sum(SAVED[n] * s for n, s in shares.items()),
    )


def test_what_pays_is_raised(network):
    found = search(network, USUAL, 0.5, measure)
    assert found.measured.quality >= found.plain.quality - 0.5
    assert measure(found.network) == found.measured
    # One share for all is 0.09, as 5.01 * 0.09 is less than the budget.
    assert found.common == 0.09
    assert found.measured.operations < found.at_common.operations
    assert found.shares["mid.conv1"] > found.common
    assert found.shares["mid.conv1"] > found.shares["enc0.conv1"]


def test_without_a_budget_nothing_is_held_back(network):
    found = search(network, USUAL, 0.0, measure)
    assert set(found.shares.values()) == {0.0}
    assert found.measured == found.plain == measure(network)


def test_with_any_budget_all_are_at_the_top(network):
    found = search(network, USUAL, 100.0, measure)
    assert set(found.shares.values()) == {LADDER[-1]}


def test_progress_ends(network):
    calls = []
    search(network, USUAL, 0.5, measure, lambda *both: calls.append(both))
    done = [n for n, _ in calls]
    assert done == sorted(done)
    assert calls[-1][0] == calls[-1][1]
