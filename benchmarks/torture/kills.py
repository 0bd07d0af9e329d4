# SPDX-License-Identifier: BSD-3-Clause
"""kill -9 at random moments of training and of export."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.torture.forked import Forked
from benchmarks.torture.result import Result


def kill_training(result: Result, count: int) -> None:
    """Kill a small training run, resume it, compare its files with an unkilled one."""
    import torch

    from loihi_unet.config import parse_config
    from loihi_unet.files.checkpoint import read_checkpoint
    from loihi_unet.training.train import train

    result.what = (
        "kill -9 at a random moment of training, then resume: the last and the "
        "best checkpoint have the bytes of a run that was never killed"
    )
    torch.set_num_threads(1)
    config = parse_config(SMALL_RUN, where="torture")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = _pictures(folder / "pictures")

        def start(run: Path, resume: bool) -> Forked:
            return Forked(lambda: train(config, pictures, run, resume), folder / "log")

        began = time.monotonic()
        whole = start(folder / "whole", False)
        assert whole.wait(300) == 0, whole.message()
        duration = time.monotonic() - began
        expected = _hashes(folder / "whole")
        result.notes["seconds of the whole run"] = round(duration, 2)
        for number in result.cases(count):
            random = np.random.default_rng([0, number])
            run = folder / f"run{number}"
            last = run / "checkpoints" / "last.safetensors"
            validations = SMALL_RUN["iterations"] // SMALL_RUN["validation_interval"]
            wanted = int(random.integers(validations))
            moment = random.uniform(0, duration / validations)
            child = start(run, False)
            _wait_for_versions(child, last, wanted)
            killed = child.wait(moment) is None
            child.kill()
            if killed:
                child.wait(60)
            if last.exists():
                read_checkpoint(last)
                result.add("killed after the first checkpoint")
            again = start(run, last.exists())
            code = again.wait(300)
            example = (
                f"killed {moment:.3f} s after checkpoint {wanted}; "
                f"{again.message()[-300:]}"
            )
            same = code == 0 and _hashes(run) == expected
            result.check(same, "resumed to the same bytes", example)


SMALL_RUN: dict[str, Any] = {
    "model": {"base_channels": 4, "levels": 1},
    "patch_size": 16,
    "batch_size": 2,
    "iterations": 40,
    "validation_images": 2,
    "validation_interval": 4,
}


def _wait_for_versions(child: Forked, path: Path, count: int) -> None:
    """Wait until ``path`` was written ``count`` times, or the child has ended."""
    seen: set[int] = set()
    deadline = time.monotonic() + 300
    while len(seen) < count and time.monotonic() < deadline:
        if child.wait(0.001) is not None:
            return
        with contextlib.suppress(FileNotFoundError):
            seen.add(path.stat().st_mtime_ns)


def _pictures(folder: Path) -> Path:
    from loihi_unet.data.pictures import write_picture

    random = np.random.default_rng(0)
    for number in range(6):
        pixels = random.integers(0, 256, (1, 32, 32))
        write_picture(folder / f"{number}.png", pixels)
    return folder


def _hashes(run: Path) -> list[str]:
    files = sorted((run / "checkpoints").glob("*.safetensors"))
    return [f"{f.name} {hashlib.sha256(f.read_bytes()).hexdigest()}" for f in files]


def kill_export(result: Result, count: int) -> None:
    """Kill a process that writes one network over another, again and again."""
    from export.netx import read_network, write_network
    from sim.selftest import small_network

    result.what = (
        "kill -9 at a random moment of writing a .net file over another: the file is "
        "absent (before the first), or whole, never half; the next write removes the "
        "hidden temporary file"
    )
    networks = [small_network(seed=seed, channels=16) for seed in (0, 1)]
    allowed = {network.sha256 for network in networks}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "network.net"

        def work() -> None:
            while True:
                for network in networks:
                    write_network(network, path)

        began = time.monotonic()
        for network in networks:
            write_network(network, path)
        duration = time.monotonic() - began
        result.notes["seconds of two writes"] = round(duration, 3)
        for number in result.cases(count):
            random = np.random.default_rng([0, number])
            if number % 8 == 0:
                path.unlink(missing_ok=True)
            child = Forked(work, folder / "log")
            moment = random.uniform(0, 2 * duration)
            child.wait(moment)
            child.kill()
            child.wait(60)
            sha256 = read_network(path).sha256 if path.exists() else None
            result.add("hidden temporary files of killed writes", _hidden(folder))
            write_network(networks[0], path)
            what = "no file yet" if sha256 is None else "a whole file"
            right = not _hidden(folder) and (sha256 is None or sha256 in allowed)
            example = f"after {moment:.4f} s: {sha256}, {_hidden(folder)} hidden files"
            result.check(right, what, example)


def _hidden(folder: Path) -> int:
    return len(list(folder.glob(".*.tmp")))
