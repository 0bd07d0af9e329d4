# SPDX-License-Identifier: BSD-3-Clause
"""Wall clock per time step in the Lava runtime: stock Conv against the project's.

    python benchmarks/bench_lava.py [--size 128] [--images 12] [--out FILE]

One network (`denoise-gray`: 16 channels, 4 levels, T = 10), one machine, one run:

- stock: backend ``lava-stock``, one image, all its T + l_out time steps, with the
  Conv model as lava-nc ships it;
- fast: backend ``lava``, the same image, then a stream of images;
- drop-in: a Lava application of the user's that names FAST_CONV and changes
  nothing else;
- start: what passes before the first step, of the compiler and of starting processes.

A step's time is the median over steps at which every layer is busy. ``lava_speedup``
is stock's median over the stream's.
"""

from __future__ import annotations

import sim.lava.mends  # noqa: F401  # before Lava

# isort: split
import argparse
import contextlib
import importlib.metadata
import itertools
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source

from export.files.atomic import write_text
from export.lowering import lower
from export.network import Network
from loihi_unet.conversion.convert import convert
from loihi_unet.data.pictures import load_pictures
from loihi_unet.tasks.denoise import noisy_picture
from sim.backend import create
from sim.lava import runtime as lava_runtime
from sim.lava import simulator
from sim.lava.dropin.network import Network as NetworkProcess
from sim.lava.fast_conv import FAST_CONV
from sim.recording import Recording
from sim.verify.comparison import compare

MODEL = "denoise-gray"
SIGMA = 25.0
DROP_IN_STEPS = 30


@contextlib.contextmanager
def stock_as_shipped() -> Iterator[None]:
    """Let ``lava-stock`` add up every message here, as lava-nc's Conv model does.

    Otherwise it remembers the sums of a message that comes again.
    """
    with mock.patch.dict(simulator.MODELS, {Conv: PyConvModelFixed}):
        yield


class Clock:
    """Progress callback that keeps when each time step was first seen."""

    def __init__(self) -> None:
        self.seen: dict[int, float] = {}

    def __call__(self, done: int, _: int) -> None:
        """Note the time step that the source has reached."""
        self.seen.setdefault(done, time.perf_counter())

    def step_seconds(self, first: int, last: int, block: int) -> list[float]:
        """Seconds per step, of blocks of steps: the watch looks 50 times a second."""
        ends: list[int] = []
        for step in sorted(self.seen):  # short steps may pass between two looks
            if first <= step <= last and (not ends or step >= ends[-1] + block):
                ends.append(step)
        return [
            (self.seen[b] - self.seen[a]) / (b - a) for a, b in itertools.pairwise(ends)
        ]


def timed(
    backend: str, network: Network, images: np.ndarray, *, block: int
) -> tuple[Recording, dict[str, Any]]:
    """Run a backend; its recording, and its times."""
    clock = Clock()
    recording = create(backend).run(network, images, progress=clock)
    stages = max(network.stages.values())
    total = len(images) * network.num_steps + stages
    # The pipeline is full from step `stages` until the last image has entered; a
    # single short image never fills it, so all its steps count.
    full = (stages + 1, len(images) * network.num_steps)
    first, last = full if full[0] < full[1] else (2, total - 1)
    seconds = clock.step_seconds(first, last, block)
    return recording, {
        "backend": backend,
        "images": len(images),
        "time_steps": total,
        "steps_timed": [first, last],
        "step_seconds_median": statistics.median(seconds),
        "step_seconds_min_max": [min(seconds), max(seconds)],
        "run_seconds": recording.seconds,
    }


def start_seconds(network: Network, image: np.ndarray) -> dict[str, float]:
    """Wall clock until the layers run: Lava's compiler, then making the processes.

    The smallest of three runs of the backend ``lava``.
    """
    spent: dict[str, list[float]] = {"compile": [], "start_processes": []}

    def clocked(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            result = function(*arguments, **named)
            spent[name].append(time.perf_counter() - started)
            return result

        return call

    compiled = clocked("compile", AbstractProcess.compile)
    initialized = clocked("start_processes", lava_runtime.Run.initialize)
    with (
        mock.patch.object(AbstractProcess, "compile", compiled),
        mock.patch.object(lava_runtime.Run, "initialize", initialized),
    ):
        for _ in range(3):
            create("lava").run(network, image[None])
    return {f"{name}_seconds": min(seconds) for name, seconds in spent.items()}


def drop_in(network: Network, image: np.ndarray) -> dict[str, Any]:
    """A user's application: netx-like Process, one more argument."""
    process = NetworkProcess(network)
    frame = image.transpose(2, 1, 0)[..., None]
    source = Source(data=frame.astype(np.int32))
    sink = Sink(shape=process.out.shape, buffer=1)
    source.s_out.connect(process.inp)
    process.out.connect(sink.a_in)
    config = Loihi2SimCfg(
        select_tag="fixed_pt", exception_proc_model_map={Conv: FAST_CONV["stock"]}
    )
    try:
        source.run(RunSteps(num_steps=network.latency), config)  # fills the pipeline
        started = time.perf_counter()
        source.run(RunSteps(num_steps=DROP_IN_STEPS), config)
        seconds = (time.perf_counter() - started) / DROP_IN_STEPS
    finally:
        source.stop()
    return {"time_steps": DROP_IN_STEPS, "step_seconds_mean": seconds}


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    model = next(
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    versions = {
        name: importlib.metadata.version(name) for name in ("lava-nc", "numpy", "scipy")
    }
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "load_average_before": os.getloadavg()[0],
        "python": platform.python_version(),
        **versions,
    }


def shipped(size: int, num_images: int) -> tuple[Network, np.ndarray, dict[str, Any]]:
    """Network of the shipped model, noisy crops of a photograph, and what they are."""
    with tempfile.TemporaryDirectory() as folder:
        snn = convert(MODEL, Path(folder) / "spiking.safetensors")
    photograph = next(p for p in load_pictures(None, 1) if p.name == "camera.png")
    crop = (slice(None), slice(96, 96 + size), slice(160, 160 + size))
    images = [
        noisy_picture(photograph, 0, sigma=SIGMA, seed=seed)[crop]
        for seed in range(num_images)
    ]
    description = {
        "model": MODEL,
        "image": f"{photograph.name}, {size}x{size}, sigma {SIGMA:g}",
    }
    return lower(snn, size, size), np.stack(images).astype(np.int32), description


def measure(network: Network, images: np.ndarray) -> dict[str, Any]:
    """All of it, as a JSON object."""
    before = machine()
    one, one_times = timed("lava", network, images[:1], block=1)
    stream, stream_times = timed("lava", network, images, block=network.num_steps)
    with lava_runtime.tidy():
        user = drop_in(network, images[0])
    with stock_as_shipped():
        stock, stock_times = timed("lava-stock", network, images[:1], block=1)
    judge = create("torch").run(network, images)
    exact = compare(stock, one).identical and compare(stream, judge).identical
    per_step = stock_times["step_seconds_median"]
    return {
        "configuration": {
            "network_sha256": network.sha256,
            "layers": len(network.layers),
            "num_steps": network.num_steps,
            "latency": network.latency,
        },
        "machine": before,
        "stock": stock_times,
        "fast_one_image": one_times,
        "fast_stream": stream_times,
        "drop_in": user,
        "start": start_seconds(network, images[0]),
        "exact": exact,
        "lava_speedup": per_step / stream_times["step_seconds_median"],
        "lava_speedup_one_image_run": stock_times["run_seconds"]
        / one_times["run_seconds"],
        "lava_speedup_drop_in": per_step / user["step_seconds_mean"],
    }


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--images", type=int, default=12)
    default = Path(__file__).parent / "results_lava.json"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()
    network, images, description = shipped(arguments.size, arguments.images)
    results = measure(network, images)
    results["configuration"] |= description
    write_text(arguments.out, json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
