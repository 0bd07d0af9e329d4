# SPDX-License-Identifier: BSD-3-Clause
"""docs/costs.md says what its record holds; other people's counters agree with ours."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.random_unet import random_unet
from sim.backend import create
from sim.statistics import activity

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def costs():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import costs

    yield costs
    sys.path.remove(str(ROOT / "benchmarks"))


@pytest.fixture
def record():
    return json.loads((ROOT / "docs" / "costs.json").read_text())


def test_page_is_that_of_the_record(costs, record):
    page = costs.costs_page.page(record)
    assert page == (ROOT / "docs" / "costs.md").read_text()
    assert "differ" not in page
    assert "OTHER" not in page
    record["neurobench"]["effective"] += 1
    record["loihi1"]["sanafe"]["same_spikes"] = False
    assert "| differ |" in costs.costs_page.page(record)
    assert "OTHER neurons" in costs.costs_page.page(record)


def test_counts_of_a_small_network_by_neurobench(costs):
    pytest.importorskip("neurobench")
    network = random_unet(base_channels=2, height=8, width=8, levels=1, num_steps=3)
    images = np.random.default_rng(0).integers(0, 256, (2, 1, 8, 8), dtype=np.int32)
    recording = create("torch").run(network, images)
    mine = costs.ours(network, activity(network, recording))
    theirs = costs.neurobench(network, recording)
    assert mine["effective"] == theirs["effective"]
    assert mine["dense"] == theirs["dense"]
    assert mine["footprint"] == theirs["footprint"]
    assert mine["sparsity"] == pytest.approx(theirs["sparsity"], abs=1e-12)
    assert mine["effective_transposed"] > 0


def test_spikes_and_events_of_a_chain_by_sanafe(costs):
    pytest.importorskip("sanafe")
    found = costs.costs_sanafe.measure()
    assert found["sanafe"]["same_spikes"]
    assert found["sanafe"]["synaptic_events"] == found["fit"]["synaptic_events"]
