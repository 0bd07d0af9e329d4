# SPDX-License-Identifier: BSD-3-Clause
"""Images per second on a GPU, and whether its integers are the CPU's.

    python benchmarks/bench_cuda.py [--channels 64] [--size 256] [--steps 10]
        [--batch 8]

Prints one JSON object. Where there is no GPU, one line says so and the exit code is 0.
The integers are compared at every layer and step (batch 2), and at the output of the
whole batch, with the torch backend on the CPU, which the tests compare with the
reference.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from typing import Any

import numpy as np
import torch
from random_unet import random_unet
from timing import interleaved, noisy_crop

from sim.backend import create
from sim.verify.comparison import compare

ROUNDS = 15


def measure(
    channels: int = 64, size: int = 256, steps: int = 10, batch: int = 8
) -> dict[str, Any] | None:
    """Time and compare; None where there is no GPU.

    Parameters
    ----------
    channels, size, steps, batch : int
        Of the first level, of the square image, T, images that run together.
    """
    if not torch.cuda.is_available():
        return None
    network = random_unet(
        base_channels=channels, height=size, width=size, num_steps=steps
    )
    crop = noisy_crop(size)
    # Different images: each a step to the side of the one before.
    images = np.concatenate([np.roll(crop, shift, axis=3) for shift in range(batch)])
    simulator, judge = create("cuda"), create("torch")
    torch.cuda.reset_peak_memory_stats()
    # `run` ends with a copy to the host, so the clock sees all of the GPU's work.
    run = functools.partial(simulator.run, network, images, layers=())
    seconds = interleaved([run], ROUNDS)[0]
    peak = torch.cuda.max_memory_allocated()
    layers = compare(simulator.run(network, images[:2]), judge.run(network, images[:2]))
    outputs = compare(run(), judge.run(network, images, layers=()))
    return {
        "config": {
            "channels": channels,
            "size": f"{size}x{size}",
            "T": steps,
            "batch": batch,
            "device": torch.cuda.get_device_name(),
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
        },
        "value": batch / seconds,
        "seconds": seconds,
        "peak_gb": peak / 1e9,
        "exact": {
            "judge": "torch on the CPU",
            "identical": layers.identical and outputs.verdict != "FAIL",
            "compared": layers.compared + outputs.compared,
        },
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, default in (("channels", 64), ("size", 256), ("steps", 10), ("batch", 8)):
        parser.add_argument(f"--{name}", type=int, default=default)
    result = measure(**vars(parser.parse_args()))
    if result is None:
        print("no GPU here: torch finds no CUDA device", file=sys.stderr)
        return
    print(json.dumps(result, indent=2))
    sys.exit(0 if result["exact"]["identical"] else 1)


if __name__ == "__main__":
    main()
