# SPDX-License-Identifier: BSD-3-Clause
"""``finetune``."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from loihi_unet.cli.console import (
    JsonOption,
    LabelColoursOption,
    WhiteLevelOption,
    print_json,
    print_next,
    print_table,
    print_white_levels,
)


def finetune(
    spiking: Annotated[
        str, typer.Argument(help="File written by convert, or by finetune.")
    ],
    path: Annotated[Path, typer.Option("--out", help="File to write.")] = Path(
        "runs/finetuned.safetensors"
    ),
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of images; default: scikit-image's pictures."),
    ] = None,
    method: Annotated[
        Literal["steps", "flow"],
        typer.Option(help="Gradients through all steps, or through their sum."),
    ] = "steps",
    teacher: Annotated[
        str | None,
        typer.Option(
            help="Network to come close to: run, checkpoint, model, or "
            "FILE.py:FUNCTION."
        ),
    ] = None,
    prune: Annotated[
        float | None,
        typer.Option(
            help="Remove feature maps first that fire in at most this share of neurons "
            "and steps; 0: that never fire."
        ),
    ] = None,
    quiet: Annotated[
        float, typer.Option(help="Weight of synaptic operations in the loss.", min=0)
    ] = 0.0,
    iterations: Annotated[int, typer.Option(help="Optimiser steps.", min=1)] = 300,
    batch_size: Annotated[int, typer.Option(help="Crops per step.", min=1)] = 8,
    patch_size: Annotated[int, typer.Option(help="Side of a crop.", min=1)] = 64,
    learning_rate: Annotated[float, typer.Option(help="Adam's, at the start.")] = 1e-4,
    seed: Annotated[int, typer.Option(help="Of crops and noise.", min=0)] = 0,
    validation_interval: Annotated[
        int, typer.Option(help="Iterations between scores.", min=1)
    ] = 100,
    resume: Annotated[bool, typer.Option(help="Continue from the last score.")] = False,
    white_level: WhiteLevelOption = None,
    label_colours: LabelColoursOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fine-tune a converted network on the integers it is exported to.

    Example: loihi-unet finetune snn.safetensors --data BSDS500-train --out tuned.st
    """
    from loihi_unet.data.datasets import Reading
    from loihi_unet.errors import ConfigError
    from loihi_unet.finetuning.config import FinetuneConfig
    from loihi_unet.finetuning.finetune import finetune as run_finetuning

    if not 0 < learning_rate < float("inf"):
        raise ConfigError(f"learning_rate {learning_rate}: allowed above 0")
    if quiet == float("inf"):
        raise ConfigError("quiet inf: a finite number needed")
    if prune is not None and not 0 <= prune < 1:
        raise ConfigError(f"prune {prune:g}: allowed are numbers from 0 to below 1")
    settings = FinetuneConfig(
        method=method,
        teacher=teacher,
        prune=prune,
        quiet=quiet,
        iterations=iterations,
        batch_size=batch_size,
        patch_size=patch_size,
        learning_rate=learning_rate,
        seed=seed,
        validation_interval=validation_interval,
    )
    reading = Reading(white_level=white_level, label_colours=label_colours)
    result = run_finetuning(spiking, path, data, settings, resume, reading)
    if as_json:
        print_json({"out": str(path), **dataclasses.asdict(result)})
        return
    rows = [
        [f"held-out pictures: {result.measure}", result.after],
        ["baseline, before fine-tuning", result.before],
        ["best iteration", result.iteration],
        ["seconds", result.seconds],
        ["file", path],
    ]
    print_table("fine-tuned", ["what", "value"], rows)
    print_white_levels(result.white_levels)
    before = dataclasses.asdict(result.cost_before)
    after = dataclasses.asdict(result.cost_after)
    rows = [[what, number, after[what]] for what, number in before.items()]
    print_table("cost, on training crops", ["what", "before", "after"], rows)
    name = shlex.quote(str(path))
    network = shlex.quote(str(path.with_suffix(".net")))
    print_next(f"loihi-unet export {name} --out {network}")
