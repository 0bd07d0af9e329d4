# SPDX-License-Identifier: BSD-3-Clause
"""The Lava benchmark runs, and says so if the backends differ."""

import numpy as np
import pytest

pytest.importorskip("lava.magma", reason="no Lava: loihi-unet setup-lava")

from benchmarks import bench_lava as bench
from sim.selftest import small_network

pytestmark = pytest.mark.lava


def test_measures_every_route():
    network = small_network(size=(8, 8), num_steps=40)
    images = np.random.default_rng(0).integers(0, 255, (4, 1, 8, 8))
    results = bench.measure(network, images)
    assert results["exact"]
    assert results["lava_speedup"] > 0
    assert results["lava_speedup_drop_in"] > 0
    assert results["stock"]["time_steps"] == 40 + 6
    assert results["fast_stream"]["steps_timed"] == [7, 160]


def test_clock_averages_over_blocks():
    clock = bench.Clock()
    clock.seen = {step: step * 0.5 for step in range(1, 30) if step not in (6, 7)}
    assert clock.step_seconds(1, 20, 5) == pytest.approx([0.5] * 3)
