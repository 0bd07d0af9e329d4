# SPDX-License-Identifier: BSD-3-Clause
"""``demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from loihi_unet.cli.console import JsonOption, out, print_json, print_table, progress
from loihi_unet.cli.verdict import print_comparison


def demo(
    folder: Annotated[
        Path, typer.Option("--out", help="Folder for pictures and report.")
    ] = Path("runs/demo"),
    task: Annotated[
        Literal["denoise", "segment", "restore", "classify"] | None,
        typer.Option(
            help="A noisy photograph (default), or a retina's vessels; your own "
            "network's, if that is shown."
        ),
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="Your own U-Net instead: run folder or checkpoint."),
    ] = None,
    spiking: Annotated[
        str | None,
        typer.Option(help="What convert or finetune made of it."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Its data set, of which the first test picture is shown."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a picture through every backend and prove that they agree.

    Uses models and pictures that come with the packages. Exit code 0 if every
    comparison is EXACT, else 1.

    Example: loihi-unet demo --task segment --out runs/retina

    Your own: loihi-unet demo --checkpoint runs/cells --spiking cells.safetensors
    --data cells
    """
    from loihi_unet.demo.own_picture import OwnPicture
    from loihi_unet.demo.run import run_demo
    from loihi_unet.errors import ConfigError
    from loihi_unet.files.checkpoint import load_checkpoint
    from loihi_unet.report import head
    from loihi_unet.report.schema import Report
    from loihi_unet.runs.hashes import hash_line

    if (checkpoint is None) != (spiking is None):
        raise ConfigError("--checkpoint and --spiking: one needs the other")
    subject = None
    if checkpoint is not None and spiking is not None:
        _, config = load_checkpoint(checkpoint)
        if task not in (None, config.task.kind):
            raise ConfigError(
                f"--task {task}: {checkpoint} is a network for {config.task.kind}"
            )
        subject = OwnPicture(checkpoint, spiking, config, data)
    elif data is not None:
        raise ConfigError("--data: needs --checkpoint and --spiking")
    elif task in ("restore", "classify"):
        raise ConfigError(
            f"--task {task}: no network for it comes with the package; --checkpoint, "
            "--spiking and --data show one of your own"
        )
    with progress(quiet=as_json) as bar:
        result = run_demo(folder, bar, task or "denoise", subject)
    if as_json:
        print_json(result.report)
        raise typer.Exit(0 if result.report["identical"] else 1)
    rungs = head.rungs(Report.model_validate(result.report))
    measures = [title for title, _ in rungs[0].scores]
    rows = [[rung.title, *(value for _, value in rung.scores)] for rung in rungs]
    print_table("whole picture", ["", *measures], rows)
    seconds = [[name, value] for name, value in result.report["seconds"].items()]
    print_table("wall clock", ["backend", "seconds"], seconds)
    for comparison in result.comparisons:
        print_comparison(comparison)
    for line in result.report["skipped"]:
        out.print(f"[yellow]skipped[/] {line}")
    out.print(hash_line(result.report, result.size), soft_wrap=True)
    out.print(f"report.html, report.json, network.net and pictures in {folder}")
    raise typer.Exit(0 if result.report["identical"] else 1)
