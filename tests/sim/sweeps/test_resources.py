# SPDX-License-Identifier: BSD-3-Clause
"""How many workers a machine takes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sim.backend import BackendError
from sim.selftest import small_network
from sim.sweeps import resources

ROOT = Path(__file__).parents[3]
MEGABYTE = 10**6


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine of so many cores and bytes, within a container or not."""

    def make(cores, available, limit=None, used=0):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
        (tmp_path / "meminfo").write_text(
            f"MemTotal: 9 kB\nMemAvailable: {available // 1024} kB\n"
        )
        (tmp_path / "memory.max").write_text("max" if limit is None else str(limit))
        (tmp_path / "memory.current").write_text(str(used))
        monkeypatch.setattr(resources, "MEMINFO", tmp_path / "meminfo")
        monkeypatch.setattr(resources, "CGROUP", tmp_path)

    return make


@pytest.mark.parametrize(
    ("cores", "available", "items", "expected"),
    [
        (8, 10000, 100, (8, 1)),
        (8, 10000, 3, (3, 2)),  # few items: more threads each
        (8, 2000, 100, (3, 2)),  # 80 % of 2000 MB is room for 3 of 500 MB
        (8, 100, 100, (1, 8)),  # too little even for one: try
        (1, 10000, 100, (1, 1)),
        (8, 10000, 0, (1, 8)),
    ],
)
def test_shares(machine, cores, available, items, expected):
    machine(cores, available * MEGABYTE)
    needs = resources.Demand(memory=500 * MEGABYTE, cores=1)
    assert resources.share_machine(needs, items) == expected


def test_a_run_that_needs_several_cores(machine):
    machine(16, 10**11)
    assert resources.share_machine(resources.Demand(memory=1, cores=8), 9) == (2, 8)
    assert resources.share_machine(resources.Demand(memory=1, cores=0), 9) == (1, 16)
    assert resources.share_machine(resources.Demand(memory=1, cores=1), 9, 5) == (5, 3)


def test_memory_of_a_container(machine, monkeypatch, tmp_path):
    machine(1, 8 * 2**30)
    assert resources.available_memory() == 8 * 2**30
    machine(1, 8 * 2**30, limit=2**30, used=2**29)
    assert resources.available_memory() == 2**29
    monkeypatch.setattr(resources, "MEMINFO", tmp_path / "none")
    assert resources.available_memory() is None
    assert resources.share_machine(resources.Demand(memory=10**15, cores=1), 9)[0] == 1


def test_more_of_everything_needs_more():
    def memory(*backends, record=False, **arguments):
        network = small_network(**arguments)
        return resources.demand(network, *backends, record=record).memory

    large = {"size": (512, 512), "num_steps": 10}
    for backend in ("torch", "reference", "lava"):
        assert memory(backend, **large) > memory(backend)
        assert memory(backend, record=True, **large) > memory(backend, **large)
    both = memory("torch", "lava", record=True, **large)
    assert both > max(memory(b, record=True, **large) for b in ("torch", "lava"))
    with pytest.raises(BackendError, match="backend 'gpu': reference, torch"):
        memory("gpu")


MEASURE = """
import re, numpy
from pathlib import Path
from benchmarks.random_unet import random_unet
from sim.backend import create
from sim.sweeps.resources import demand
for size, record in ((32, False), (256, True), (512, True)):
    network = random_unet(base_channels=8, height=size, width=size, num_steps=8)
    image = numpy.full((1, 1, size, size), 100)
    create("torch").run(network, image, layers=None if record else ())
    # Not ru_maxrss, which a child takes over from its parent.
    status = Path("/proc/self/status").read_text()
    peak = 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1])
    print(peak, demand(network, "torch", record=record).memory)
"""


def test_estimate_bounds_what_is_measured():
    """Sizes ascend, so each peak is that of its own run.

    What a run adds is compared with what it should: the resident part of the
    libraries' files, which all runs hold, depends on the machine.
    """
    done = subprocess.run(
        [sys.executable, "-c", MEASURE],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    small, *larger = (
        tuple(map(int, line.split())) for line in done.stdout.splitlines()
    )
    assert small[0] < small[1]
    assert len(larger) == 2
    for peak, estimate in larger:
        grown = peak - small[0]
        assert 0.4 * (estimate - small[1]) < grown < estimate - small[1]
