# SPDX-License-Identifier: BSD-3-Clause
"""Clocks, the machine, and the networks that are timed."""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from export.lowering import lower
from export.network import Network
from loihi_unet.conversion.convert import convert
from loihi_unet.data.pictures import load_pictures
from loihi_unet.files.spiking_file import load_spiking_unet
from loihi_unet.tasks.denoise import noisy_picture
from sim.backend import create
from sim.recording import Recording
from sim.torch.simulator import TorchSimulator
from sim.verify.comparison import compare

MODEL = "denoise-gray"
SIGMA = 25.0
#: Seconds after which no library's threads spin any more.
REST = 0.1


def interleaved(jobs: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Median seconds of each job; the jobs take turns, so all see the same load.

    Threads of OpenMP and of onnxruntime go on spinning after a call, and would take
    half of the processor from the next job of another library: each turn begins with a
    rest, and with a call that is not timed.
    """
    seconds: list[list[float]] = [[] for _ in jobs]
    for job in jobs:
        job()  # allocates, packs weights, chooses kernels
    for _ in range(rounds):
        for job, times in zip(jobs, seconds, strict=True):
            time.sleep(REST)
            job()
            started = time.perf_counter()
            job()
            times.append(time.perf_counter() - started)
    return [statistics.median(times) for times in seconds]


def shipped_network(size: int = 128) -> Network:
    """Integers of the model that ships with the package: fine-tuned, T = 1, N = 8."""
    return lower(load_spiking_unet(MODEL), size, size)


@functools.cache
def converted(num_steps: int, num_thresholds: int, size: int = 128) -> Network:
    """The shipped U-Net converted as it is, all of its feature maps."""
    with tempfile.TemporaryDirectory() as folder:
        snn = convert(
            MODEL,
            Path(folder) / "spiking.safetensors",
            num_steps=num_steps,
            num_thresholds=num_thresholds,
        )
    return lower(snn, size, size)


def with_steps(network: Network, num_steps: int) -> Network:
    """Same network, another T."""
    return dataclasses.replace(network, num_steps=num_steps)


def noisy_crop(size: int) -> np.ndarray:
    """One crop of scikit-image's camera with noise, shape (1, 1, size, size).

    The picture is 512x512; large crops begin nearer to its corner.
    """
    photograph = next(p for p in load_pictures(None, 1) if p.name == "camera.png")
    noisy = noisy_picture(photograph, 0, sigma=SIGMA, seed=0)
    top, left = min(96, 512 - size), min(160, 512 - size)
    crop = noisy[:, top : top + size, left : left + size]
    return np.round(crop)[None].astype(np.int32)


def exact(recording: Recording, network: Network, judge: str) -> dict[str, Any]:
    """Verdict on a recording, every layer and step that it holds.

    Parameters
    ----------
    recording : Recording
        Of the torch backend.
    network : Network
        What ran.
    judge : {"reference", "float32"}
        The reference simulator, or, where that takes hours, torch with float32
        convolutions in place of the int8 ones, and potentials in that of totals.
    """
    layers = tuple(recording.payloads)
    if judge == "reference":
        judged = create("reference").run(network, recording.images, layers=layers)
    else:
        with (
            mock.patch("sim.torch.int8.has_onednn_int8", return_value=False),
            mock.patch("sim.torch.int8.payload_limit", return_value=0),
        ):
            simulator = TorchSimulator()
            judged = simulator.run(network, recording.images, layers=layers)
    comparison = compare(recording, judged)
    return {
        "judge": judge,
        "identical": comparison.verdict != "FAIL",
        "compared": comparison.compared,
    }


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    model = next(
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    flags = Path("/proc/cpuinfo").read_text()
    policies = {os.SCHED_OTHER: "normal", os.SCHED_FIFO: "fifo", os.SCHED_RR: "rr"}
    names = (
        *("torch", "numpy", "lava-nc", "lava-dl"),
        *("spikingjelly", "onnx", "onnxruntime"),
    )
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "cpu": model,
        "int8_instructions": [x for x in ("amx_int8", "avx512_vnni") if x in flags],
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_average_before": os.getloadavg()[0],
        "scheduling": policies[os.sched_getscheduler(0)],
        "python": platform.python_version(),
        **versions,
    }
