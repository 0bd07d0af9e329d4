# SPDX-License-Identifier: BSD-3-Clause
"""Speed and memory of the simulators: benchmarks/results.json.

    python benchmarks/bench.py [--out FILE]

Every ratio is of medians of jobs that took turns in one run, and every timed
configuration is checked for equality. The Lava runtime's own figures come from
``benchmarks/results_lava.json`` (bench_lava.py) where that exists.
"""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bench_cuda
import numpy as np
import sparsity
import torch
from random_unet import random_unet
from timing import (
    MODEL,
    exact,
    interleaved,
    machine,
    noisy_crop,
    shipped_network,
    with_steps,
)

from export.files.atomic import write_text
from export.network import Network
from loihi_unet.files.checkpoint import load_checkpoint
from sim.backend import BackendError, create
from sim.torch.simulator import TorchSimulator

HERE = Path(__file__).parent
LAVA = HERE / "results_lava.json"
ROUNDS = 15
STEPS = 10  # T of the shipped network
STOCK_STEPS = 5  # of stock Lava, timed; the rest is extrapolated


def main() -> None:
    """Measure everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "results.json")
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        print(json.dumps(largest_image()))
        return
    results: dict[str, Any] = {"machine": machine()}
    network = shipped_network()
    results["model"] = {
        "name": MODEL,
        "weights_sha256": network.provenance["weights_sha256"],
        "network_sha256": network.sha256,
    }
    parts: list[tuple[str, Callable[[], Any]]] = [
        ("torch_over_ann", lambda: [over_ann(network, n) for n in (128, 256)]),
        ("torch_speedup", lambda: over_stock(network)),
        ("lava_speedup", lava_speedup),
        ("peers", lambda: peers(network)),
        ("growth", lambda: growth(network)),
        ("profile", lambda: [profile(network, n) for n in (128, 256)]),
        ("help_seconds", help_seconds),
        ("peak_gb", peak_gb),
        ("sparsity", lambda: sparsity.measure(network)),
        ("cuda", bench_cuda.measure),
    ]
    for name, measure in parts:
        started = time.perf_counter()
        results[name] = measure()
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    write_text(arguments.out, json.dumps(results, indent=1, sort_keys=True) + "\n")


def over_ann(network: Network, size: int) -> dict[str, Any]:
    """Integer network over T steps against one float32 forward."""
    model, _ = load_checkpoint(MODEL)
    model.eval()
    network = network.resized(size, size)
    image = noisy_crop(size)
    pixels = torch.from_numpy(image).float() / 255
    simulator = TorchSimulator()

    def ann() -> None:
        with torch.inference_mode():
            model(pixels)

    run = functools.partial(simulator.run, network, image)
    seconds = interleaved([ann, lambda: run(layers=()), run], ROUNDS)
    recording = run()
    shares = [float((p != 0).mean()) for p in recording.payloads.values()]
    return {
        "config": _config(network, image),
        "nonzero_share": statistics.mean(shares),
        "ann_seconds": seconds[0],
        "torch_seconds": seconds[1],
        "torch_recording_all_layers_seconds": seconds[2],
        "value": seconds[1] / seconds[0],
        "exact": exact(recording, network, "reference" if size == 128 else "float32"),
    }


class _EnoughError(Exception):
    pass


def over_stock(network: Network) -> dict[str, Any] | None:
    """Stock Lava's time of one image, extrapolated, over the torch backend's."""
    image = noisy_crop(128)
    simulator = TorchSimulator()
    run = functools.partial(simulator.run, network, image, layers=())
    before = interleaved([run], ROUNDS)[0]
    seen: dict[int, float] = {}

    def progress(done: int, _: int) -> None:
        seen.setdefault(done, time.perf_counter())
        if done > STOCK_STEPS:
            raise _EnoughError

    try:
        create("lava-stock").run(network, image, progress=progress)
    except _EnoughError:
        pass
    except BackendError:
        return None
    marks = [seen[step] for step in sorted(seen) if step > 0]
    step_seconds = statistics.median(np.diff(marks))
    seconds = statistics.median([before, interleaved([run], ROUNDS)[0]])
    return {
        "config": _config(network, image),
        "torch_seconds": seconds,
        "stock_step_seconds": step_seconds,
        "stock_steps_timed": len(marks) - 1,
        "stock_steps_extrapolated_to": network.latency,
        "value": step_seconds * network.latency / seconds,
    }


def lava_speedup() -> dict[str, Any] | None:
    """What bench_lava.py measured."""
    return json.loads(LAVA.read_text()) if LAVA.exists() else None


def slayer() -> tuple[str, Callable[[], object]]:
    """Slayer's multi-step forward: its name, and the job."""
    from peer_slayer import SlayerUNet

    model, _ = load_checkpoint(MODEL)
    network = SlayerUNet(model.config)
    pixels = (torch.from_numpy(noisy_crop(128)).float() / 255)[..., None]
    pixels = pixels.repeat(1, 1, 1, 1, STEPS)
    version = importlib.metadata.version("lava-dl")
    text = f"slayer (lava-dl {version}), CUBA blocks, random weights"
    return text, functools.partial(network, pixels)


def spikingjelly() -> tuple[str, Callable[[], object]]:
    """SpikingJelly's multi-step forward: its name, and the job."""
    from peer_spikingjelly import SpikingJellyUNet

    model, _ = load_checkpoint(MODEL)
    network = SpikingJellyUNet(model).eval()
    pixels = torch.from_numpy(noisy_crop(128)).float() / 255
    pixels = pixels.repeat(STEPS, 1, 1, 1, 1)
    version = importlib.metadata.version("spikingjelly")
    text = f"SpikingJelly {version}, IFNode with soft reset, the same weights"
    return text, functools.partial(network, pixels)


def peers(network: Network) -> list[dict[str, Any]]:
    """Multi-step forwards that one would pick instead, in turns with ours."""
    image = noisy_crop(128)
    run = functools.partial(TorchSimulator().run, network, image, layers=())
    rows: list[dict[str, Any]] = []
    for name, package, make in (
        ("slayer", "lava-dl", slayer),
        ("SpikingJelly", "spikingjelly", spikingjelly),
    ):
        try:
            text, job = make()
        except ModuleNotFoundError as error:
            note = f"needs '{error.name}' (pip install {package})"
            print(f"peers: {name}: not measured, {note}", file=sys.stderr)
            rows.append({"peer": name, "missing": note})
            continue
        with torch.inference_mode():
            seconds = interleaved([job, run], 5)
        rows.append(
            {
                "peer": text,
                "config": _config(network, image),
                "seconds": seconds[0],
                "torch_seconds": seconds[1],
                "value": seconds[0] / seconds[1],
            }
        )
    return rows


def growth(network: Network) -> dict[str, list[dict[str, Any]]]:
    """Seconds against image area, channels and T, one thing varied at a time."""
    simulator = TorchSimulator()

    def point(x: int, of: Network, size: int) -> dict[str, Any]:
        run = functools.partial(simulator.run, of, noisy_crop(size), layers=())
        seconds = interleaved([run], 5)[0]
        return {"x": x, "seconds": seconds, "exact": exact(run(), of, "float32")}

    def width(channels: int) -> dict[str, Any]:
        wide = random_unet(base_channels=channels, height=128, width=128)
        return point(channels, wide, 128) | {"shares": profile(wide, 128)["shares"]}

    resized = network.resized
    return {
        "area": [
            point(n * n, resized(n, n), n) for n in (64, 96, 128, 192, 256, 352, 512)
        ],
        "T": [point(T, with_steps(network, T), 128) for T in (5, 10, 20, 40)],
        "channels": [width(c) for c in (8, 16, 32, 64, 128)],
    }


KINDS = {
    "onednn::qconv2d_pointwise": "int8 convolutions",
    "aten::_slow_conv2d_forward": "float convolutions (input)",
    "aten::mkldnn_convolution": "float convolutions (input)",
    "aten::copy_": "payloads to int8, interleaving",
}
COMPARTMENT = ("add_", "add", "mul", "mul_", "clamp_", "trunc_", "sub_", "aminmax")


def profile(network: Network, size: int) -> dict[str, Any]:
    """Share of the time per kind of operation (torch.profiler, CPU time)."""
    network, image = network.resized(size, size), noisy_crop(size)
    simulator = TorchSimulator()
    for _ in range(3):
        simulator.run(network, image, layers=())
    with torch.profiler.profile() as profiler:
        for _ in range(5):
            simulator.run(network, image, layers=())
    kinds: dict[str, float] = {}
    for event in profiler.key_averages():
        kind = KINDS.get(event.key, "calls, views, allocation")
        if event.key.removeprefix("aten::") in COMPARTMENT:
            kind = "compartments and sums of connections"
        kinds[kind] = kinds.get(kind, 0.0) + event.self_cpu_time_total
    total = sum(kinds.values())
    shares = {kind: value / total for kind, value in kinds.items()}
    return {"config": _config(network, image), "shares": shares}


def help_seconds() -> dict[str, Any]:
    """Wall clock of ``loihi-unet --help``, a new process each time."""
    command = [sys.executable, "-m", "loihi_unet.cli.main", "--help"]
    job = functools.partial(subprocess.run, command, check=True, capture_output=True)
    return {"config": {"rounds": ROUNDS}, "value": interleaved([job], ROUNDS)[0]}


def largest_image() -> dict[str, Any]:
    """481x321 at 64 channels and T = 20, padded to 496x336; in a fresh process."""
    wide = random_unet(base_channels=64, height=496, width=336, num_steps=20)
    image = np.random.default_rng(0).integers(0, 256, (1, 1, 496, 336), dtype=np.int32)
    recording = TorchSimulator().run(wide, image, layers=())
    # Not ru_maxrss, which a child takes over from its parent.
    status = Path("/proc/self/status").read_text()
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    peak = int(kilobytes) * 1024 / 1e9
    verdict = exact(recording, wide, "float32")
    config = _config(wide, image) | {"image": "481x321"}
    return {
        "config": config,
        "value": peak,
        "seconds": recording.seconds,
        "exact": verdict,
    }


def peak_gb() -> dict[str, Any]:
    """Largest resident memory of a process that runs `largest_image`."""
    done = subprocess.run(
        [sys.executable, __file__, "--peak"], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)


def _config(network: Network, images: np.ndarray) -> dict[str, Any]:
    _, height, width = network.input.shape
    return {
        "channels": network.layers[0].shape[0],
        "size": f"{height}x{width}",
        "T": network.num_steps,
        "batch": len(images),
    }


if __name__ == "__main__":
    main()
