# SPDX-License-Identifier: BSD-3-Clause
"""Table of all torture tests with the counts that are published."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.torture.determinism import determinism
from benchmarks.torture.disk import disk
from benchmarks.torture.fuzz import fuzz
from benchmarks.torture.geometry import int8_geometry
from benchmarks.torture.kills import kill_export, kill_training
from benchmarks.torture.lava_kills import kill_lava
from benchmarks.torture.overflow import overflow
from benchmarks.torture.result import Result
from benchmarks.torture.security import security
from benchmarks.torture.sigma_delta import sigma_delta
from benchmarks.torture.stock import stock

# name -> (function of a result and the count, published count)
TESTS: dict[str, tuple[Callable[[Result, int], None], int]] = {
    "fuzz_net": (partial(fuzz, "net"), 20000),
    "fuzz_stock": (partial(fuzz, "stock"), 5000),
    "fuzz_checkpoint": (partial(fuzz, "checkpoint"), 5000),
    "fuzz_spiking": (partial(fuzz, "spiking"), 2000),
    "fuzz_sigma_delta": (partial(fuzz, "sigma_delta"), 2000),
    "fuzz_config": (partial(fuzz, "config"), 5000),
    "fuzz_recording": (partial(fuzz, "recording"), 2000),
    "fuzz_picture": (partial(fuzz, "picture"), 2000),
    "kill_training": (kill_training, 50),
    "kill_export": (kill_export, 200),
    "kill_lava": (kill_lava, 50),
    "disk": (disk, 150),
    "overflow": (overflow, 300),
    "stock": (stock, 500),
    "sigma_delta": (sigma_delta, 300),
    "int8_geometry": (partial(int8_geometry, None), 20000),
    "int8_geometry_avx2": (partial(int8_geometry, "AVX2"), 20000),
    "determinism": (determinism, 50),
    "security": (security, 60),
}
