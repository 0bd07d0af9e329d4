# SPDX-License-Identifier: BSD-3-Clause
"""What commands cost from the shell: processor seconds, and the demo's wall clock.

    python benchmarks/commands.py [--demo]

``simulate`` is of the shipped denoise-gray on the middle 128x128 of scikit-image's
camera. Processor seconds are user and system of the process, of three the smallest.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import skimage.data
import skimage.io

MODEL = "denoise-gray"
TIMES = 3


def cpu_seconds(*arguments: str) -> float:
    """Processor seconds of a command of this package, children included."""
    return _cpu([sys.executable, "-m", "loihi_unet", *arguments])


def _cpu(command: list[str]) -> float:
    before = os.times()
    subprocess.run(command, check=True, capture_output=True)
    after = os.times()
    return (
        after.children_user
        + after.children_system
        - before.children_user
        - before.children_system
    )


def simulate_cpu_seconds() -> dict[str, Any]:
    """Of ``simulate``, and beside it of the one import that nobody can spare."""
    with tempfile.TemporaryDirectory() as folder:
        picture, recording = Path(folder) / "camera.png", Path(folder) / "a.h5"
        skimage.io.imsave(picture, skimage.data.camera())
        crop = ("--crop", "128x128", "--out", str(recording))
        seconds, imports = [], []
        for _ in range(TIMES):
            seconds.append(cpu_seconds("simulate", MODEL, str(picture), *crop))
            imports.append(_cpu([sys.executable, "-c", "import torch"]))
    return {"value": min(seconds), "import_torch": min(imports)}


def demo_seconds() -> dict[str, Any]:
    """Wall clock of ``demo`` on the machine as it is, and its processor seconds."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        spent = cpu_seconds("demo", "--json", "--out", folder)
        return {"value": time.perf_counter() - started, "cpu_seconds": spent}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", action="store_true", help="the demo, too")
    results = {"simulate_cpu_seconds": simulate_cpu_seconds()}
    if parser.parse_args().demo:
        results["demo_seconds"] = demo_seconds()
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
