# SPDX-License-Identifier: BSD-3-Clause
"""Speed and memory of the simulators: benchmarks/results.json.

    python benchmarks/bench.py [--out FILE] [--part PART ...]

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
import command_seconds
import forwards
import int8_limit
import loop_overhead
import numpy as np
import sparsity
import torch
from random_unet import random_unet
from timing import (
    MODEL,
    converted,
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
STEPS = 10  # T of the network that is timed against Lava, and grows
#: Of `forwards.measure`, by configuration.
RATIOS = (
    *("over_ann", "over_ort_int8", "over_int8_limit"),
    "spikingjelly_over_ours",
)
STOCK_STEPS = 5  # of stock Lava, timed; the rest is extrapolated


def main() -> None:
    """Measure everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=HERE / "results.json")
    parser.add_argument("--part", action="append", help="only this one, or these")
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        print(json.dumps(largest_image()))
        return
    unknown = set(arguments.part or ()) - set(PARTS)
    if unknown:
        parser.error(f"--part {min(unknown)}: one of {', '.join(PARTS)}")
    results: dict[str, Any] = {}
    if arguments.part:
        results = json.loads(arguments.out.read_text())
    for name in arguments.part or PARTS:
        started = time.perf_counter()
        results[name] = PARTS[name](results)
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
        results |= headlines(results)
        # After each: a part that fails can be repeated by itself.
        text = json.dumps(results, indent=1, sort_keys=True) + "\n"
        write_text(arguments.out, text)


def headlines(results: dict[str, Any]) -> dict[str, Any]:
    """The numbers that are asked for, out of the parts' details."""
    numbers: dict[str, Any] = {}
    for name in RATIOS:
        rows = results.get("forwards", [])
        numbers[name] = {row["key"]: row[name] for row in rows if name in row}
    for name, part, key in (
        ("lava_speedup", "lava", "lava_speedup"),
        ("torch_speedup", "stock", "value"),
        ("simulate_cpu_seconds", "simulate", "value"),
        ("demo_seconds", "demo", "value"),
        ("peak_gb", "peak", "value"),
    ):
        found = results.get(part)
        numbers[name] = found and found[key]
    return numbers


def model() -> dict[str, str]:
    """Which weights and integers."""
    network = shipped_network()
    return {
        "name": MODEL,
        "weights_sha256": network.provenance["weights_sha256"],
        "network_sha256": network.sha256,
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
        backend = create("lava-stock")
        from bench_lava import stock_as_shipped  # it imports Lava

        with stock_as_shipped():
            backend.run(network, image, progress=progress)
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


def lava() -> dict[str, Any] | None:
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


def peer_slayer(network: Network) -> dict[str, Any]:
    """Slayer's multi-step forward, in turns with ours."""
    image = noisy_crop(128)
    run = functools.partial(TorchSimulator().run, network, image, layers=())
    try:
        text, job = slayer()
    except ModuleNotFoundError as error:
        note = f"needs '{error.name}' (pip install lava-dl)"
        print(f"slayer: left out, {note}", file=sys.stderr)
        return {"peer": "slayer", "missing": note}
    with torch.inference_mode():
        seconds = interleaved([job, run], 5)
    return {
        "peer": text,
        "config": _config(network, image),
        "seconds": seconds[0],
        "torch_seconds": seconds[1],
        "value": seconds[0] / seconds[1],
    }


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


def profiles() -> list[dict[str, Any]]:
    """What ships first, then the corners."""
    return [
        {"name": name, **profile(network, network.input.shape[1])}
        for name, network in (
            ("shipped", shipped_network(128)),
            ("shipped", shipped_network(256)),
            *((f"T{T}N{N}", converted(T, N, 128)) for T, N in forwards.CORNERS[1:]),
        )
    ]


KINDS = {
    "onednn::qconv2d_pointwise": "int8 convolutions",
    "aten::_slow_conv2d_forward": "float convolutions (input, output)",
    "aten::mkldnn_convolution": "float convolutions (input, output)",
    "aten::copy_": "copies: conversions, interleaving",
    "aten::cat": "copies: conversions, interleaving",
    "aten::stack": "copies: conversions, interleaving",
}
#: Arithmetic of payloads, totals and potentials.
COMPARTMENT = (
    *("add_", "add", "mul", "mul_", "clamp_", "clamp_max_", "floor_", "sub_", "sub"),
    *("aminmax", "max", "minimum", "maximum", "reciprocal", "__lshift__"),
)


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
            kind = "payloads, totals and potentials"
        kinds[kind] = kinds.get(kind, 0.0) + event.self_cpu_time_total
    total = sum(kinds.values())
    shares = {kind: value / total for kind, value in kinds.items()}
    return {"config": _config(network, image), "shares": shares}


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


def peak() -> dict[str, Any]:
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


#: In this order; each is given the results so far.
PARTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "machine": lambda _: machine(),
    "model": lambda _: model(),
    "int8_limit": lambda _: int8_limit.measure(),
    "forwards": lambda results: forwards.measure(results["int8_limit"]["value"]),
    "profile": lambda _: profiles(),
    "stock": lambda _: over_stock(converted(STEPS, 4)),
    "lava": lambda _: lava(),
    "slayer": lambda _: peer_slayer(converted(STEPS, 4)),
    "growth": lambda _: growth(converted(STEPS, 4)),
    "sparsity": lambda _: sparsity.measure(converted(STEPS, 4)),
    "help_seconds": lambda _: command_seconds.help_seconds(),
    "simulate": lambda _: command_seconds.simulate_cpu_seconds(),
    "demo": lambda _: command_seconds.demo_seconds(),
    "loops": lambda _: loop_overhead.measure(),
    "peak": lambda _: peak(),
    "cuda": lambda _: bench_cuda.measure(),
}


if __name__ == "__main__":
    main()
