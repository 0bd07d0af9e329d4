# SPDX-License-Identifier: BSD-3-Clause
"""Functions that workers of a sweep import."""

import os
import signal
import time
from pathlib import Path

import numpy as np


def square(x):
    return x * x


def fail_on_three(x):
    if x == 3:
        raise ValueError("three is not allowed")
    return x


def always_die(x):
    os.kill(os.getpid(), signal.SIGKILL)


def simulate_and_die_once(item):
    """Run one image; the first to run item 2 takes its worker with it."""
    from sim.backend import create
    from sim.selftest import small_network

    folder, number = item
    marker = Path(folder) / "died"
    if number == 2 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    with (Path(folder) / "calls").open("a") as file:
        file.write(f"{number}\n")
    time.sleep(0.02)
    images = np.full((1, 1, 8, 8), 10 * number)
    return create("torch").run(small_network(), images, layers=()).output


def run_small_network(backend):
    """Output of one image."""
    from sim.backend import create
    from sim.selftest import small_network

    images = np.arange(64).reshape(1, 1, 8, 8)
    return create(backend).run(small_network(), images, layers=()).output
