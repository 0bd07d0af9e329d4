# SPDX-License-Identifier: BSD-3-Clause
"""What commands take, each in a new process."""

from __future__ import annotations

import functools
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from timing import MODEL, interleaved, noisy_crop

ROUNDS = 15
SIMULATIONS = 5
DEMOS = 1


def help_seconds() -> float:
    """Wall clock of ``loihi-unet --help``."""
    command = [sys.executable, "-m", "loihi_unet.cli.main", "--help"]
    return interleaved([functools.partial(_run, command)], ROUNDS)[0]


def simulate_cpu_seconds() -> dict[str, Any]:
    """CPU seconds, all threads, of ``loihi-unet simulate --crop 128x128``.

    Beside it of the one import that nobody can spare, in turns.
    """
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "camera.png"
        pixels = noisy_crop(512)[0, 0].clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(picture)
        command = [
            *(sys.executable, "-m", "loihi_unet", "simulate", MODEL, str(picture)),
            *("--crop", "128x128", "--out", str(Path(folder) / "recording.h5")),
        ]
        _run(command)  # compiles Python's files
        seconds: list[float] = []
        imports: list[float] = []
        for _ in range(SIMULATIONS):
            seconds.append(_cpu_seconds(command))
            imports.append(_cpu_seconds([sys.executable, "-c", "import torch"]))
    return {
        "rounds": SIMULATIONS,
        "value": statistics.median(seconds),
        "import_torch": statistics.median(imports),
    }


def demo_seconds() -> dict[str, Any]:
    """Wall clock of ``loihi-unet demo``, which is `make demo` after set-up."""
    seconds = []
    for _ in range(DEMOS):
        with tempfile.TemporaryDirectory() as folder:
            out = str(Path(folder) / "demo")
            started = time.perf_counter()
            _run([sys.executable, "-m", "loihi_unet", "demo", "--out", out])
            seconds.append(time.perf_counter() - started)
    return {"rounds": DEMOS, "value": statistics.median(seconds)}


def _run(command: list[str]) -> None:
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    known = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    subprocess.run(command, check=True, capture_output=True, env=known)


def _cpu_seconds(command: list[str]) -> float:
    before = _children()
    _run(command)
    return _children() - before


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
