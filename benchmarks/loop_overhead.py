# SPDX-License-Identifier: BSD-3-Clause
"""An iteration of ``train`` and of ``finetune --method steps`` against a plain loop.

    python benchmarks/loop_overhead.py [--rounds 10]

The plain loop is the one of PyTorch's tutorials around the same network, on one batch
that is there already: forward, loss, backward, Adam. The commands' own iterations draw
crops and noise besides and set the step size; fine-tuning folds and settles the trained
parameters into integers for every pass. Both take turns in one run, on scikit-image's
photographs; seconds are the processor's, of the median iteration.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from timing import MODEL, machine

from loihi_unet.config import load_config
from loihi_unet.data.datasets import AS_STATED, Reading, load_training
from loihi_unet.files.spiking_file import load_spiking_unet
from loihi_unet.finetuning import fit as finetuning
from loihi_unet.finetuning import state as finetune_state
from loihi_unet.finetuning.config import FinetuneConfig
from loihi_unet.finetuning.objective import find_task
from loihi_unet.finetuning.steps import StepsUNet
from loihi_unet.seeds import Purpose
from loihi_unet.tasks.make import make_task
from loihi_unet.training import state as train_state
from loihi_unet.training import train

Job = Callable[[], object]


def ratio(ours: Job, plain: Job, rounds: int) -> dict[str, float]:
    """Median processor seconds of two jobs that take turns, and their ratio."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for job, times in zip((ours, plain), seconds, strict=True):
            started = time.process_time()
            job()
            if turn:  # the first allocates and chooses kernels
                times.append(time.process_time() - started)
    mine, theirs = map(statistics.median, seconds)
    return {"seconds": mine, "plain_seconds": theirs, "value": mine / theirs}


def training(rounds: int) -> dict[str, Any]:
    """Of ``train`` with the settings of the shipped denoise-gray."""
    config = load_config(MODEL)
    _, pictures, validation = load_training(config, None, Reading())
    task = make_task(config, pictures, validation)
    with tempfile.TemporaryDirectory() as folder:
        state, other = (
            train_state.begin(
                config,
                train_state.RunFiles(Path(folder) / name),
                torch.device("cpu"),
                "",
                None,
            )
            for name in ("ours", "plain")
        )
    x, target = task.batch(0)
    x = x.to(memory_format=torch.channels_last)
    low = config.precision == "bfloat16"

    def plain() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
            output = other.model(x)
        loss = task.loss(output.float(), target)
        other.optimiser.zero_grad()
        torch.autograd.backward(loss)
        other.optimiser.step()

    other.model.train()
    return {
        "batch": list(x.shape),
        **ratio(lambda: train.step(state, task, config, state.model), plain, rounds),
    }


def steps(rounds: int) -> dict[str, Any]:
    """Of ``finetune --method steps`` with its default settings."""
    settings = FinetuneConfig()
    snn = load_spiking_unet(MODEL)
    task, _ = find_task(snn, settings, None, None, AS_STATED, where=MODEL)
    state, other = (
        finetune_state.begin(snn, settings.learning_rate, "steps") for _ in range(2)
    )
    many = snn.num_steps >= finetuning.RECOMPUTE_FROM
    network = StepsUNet(other.snn, other.parameters, recompute=many)
    x, target = task.batch(1, Purpose.FINETUNING)

    def plain() -> None:
        loss = task.loss(network(x), target)
        other.optimiser.zero_grad()
        torch.autograd.backward(loss)
        other.optimiser.step()

    ours = ratio(lambda: finetuning.step(state, task, settings), plain, rounds)
    return {"batch": list(x.shape), "T": snn.num_steps, **ours}


def measure(rounds: int = 10) -> dict[str, Any]:
    """Both, as a JSON object."""
    return {"train": training(rounds), "finetune_steps": steps(rounds)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    print(json.dumps({"machine": machine(), **measure(rounds)}, indent=1))


if __name__ == "__main__":
    main()
