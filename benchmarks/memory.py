# SPDX-License-Identifier: BSD-3-Clause
"""Peak memory of training on many large pictures, for docs/your-own-data.md.

    python benchmarks/memory.py --pictures 1000 --side 2048

Writes a few pictures and their labels, links them under as many names as are wanted,
trains in a process of its own and prints the most memory that it held. Every file is
opened, decoded and counted as a picture of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DIFFERENT = 4
CONFIG = """
loss = "cross_entropy"
iterations = 4
validation_interval = 4
[model]
out_channels = 1
residual = false
[task]
kind = "segment"
dataset = "folders"
[task.folders]
images = "images"
labels = "labels"
classes = ["background", "cell"]
[task.folders.split]
by = "seed"
test = 4
"""


def drawn(seed: int, side: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return waves and noise, gray levels (side, side), and where they are bright."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side].astype(np.float32) / random.uniform(20, 60)
    levels = 128 + 60 * np.sin(rows) * np.cos(columns)
    levels += random.normal(0, 8, levels.shape).astype(np.float32)
    clipped = np.clip(levels, 0, 255).astype(np.uint8)
    return clipped, (clipped > 128).astype(np.uint8)


def make(folder: Path, count: int, side: int) -> None:
    """Write images and labels of `count` names."""
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for index in range(count):
        both = None if index >= DIFFERENT else drawn(index, side)
        for place, part in enumerate(("images", "labels")):
            path = folder / part / f"{index:04d}.png"
            if both is not None:
                Image.fromarray(both[place]).save(path, compress_level=1)
            else:
                os.link(folder / part / f"{index % DIFFERENT:04d}.png", path)


def measure(count: int, side: int) -> dict[str, Any]:
    """Train on so many squares of that side; memory in MiB, seconds by the clock."""
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        make(home / "data", count, side)
        (home / "large.toml").write_text(CONFIG)
        command = [
            *(sys.executable, "-m", "loihi_unet", "train", "--config", "large.toml"),
            *("--data", "data", "--out", "run", "--json"),
        ]
        paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        known = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        started = time.monotonic()
        subprocess.run(command, cwd=home, env=known, check=True, capture_output=True)
        seconds = time.monotonic() - started
    # Of the largest child, in KiB on Linux; nothing else was started.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    pixels = 2 * count * side**2 / 2**20
    return {
        "pictures": count,
        "side": side,
        "pixels_mib": round(pixels),
        "peak_mib": round(peak),
        "seconds": round(seconds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--side", type=int, default=2048)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.pictures, arguments.side)))


if __name__ == "__main__":
    main()
