# SPDX-License-Identifier: BSD-3-Clause
"""``train``."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from loihi_unet.cli.console import (
    JsonOption,
    LabelColoursOption,
    WhiteLevelOption,
    config_names,
    print_json,
    print_next,
    print_table,
    print_white_levels,
)


def train(
    config: Annotated[
        str,
        typer.Option(
            help="Path of a TOML file, or a name: " + ", ".join(config_names()) + ".",
            autocompletion=config_names,
        ),
    ] = "denoise-gray",
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of images; default: scikit-image's pictures."),
    ] = None,
    run: Annotated[Path, typer.Option("--out", help="Folder of the run.")] = Path(
        "runs/train"
    ),
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change one setting: --set model.base_channels=64"),
    ] = None,
    resume: Annotated[
        bool, typer.Option(help="Continue from the run's last checkpoint.")
    ] = False,
    init: Annotated[
        str | None,
        typer.Option(help="Begin with this U-Net: run folder, checkpoint or model."),
    ] = None,
    white_level: WhiteLevelOption = None,
    label_colours: LabelColoursOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a U-Net on a folder of images.

    Example: loihi-unet train --data BSDS500-train --out runs/gray
    """
    from loihi_unet.config import load_config
    from loihi_unet.errors import ConfigError
    from loihi_unet.training.train import train as run_training

    overrides = dict(_setting(text) for text in settings or [])
    if resume and init is not None:
        raise ConfigError("--init: not together with --resume, which has its own start")
    if white_level is not None:
        overrides["white_level"] = white_level
    result = run_training(
        load_config(config, overrides),
        data,
        run,
        resume,
        init=init,
        label_colours=label_colours,
    )
    if as_json:
        record = dataclasses.asdict(result)
        print_json({k: _plain(v) for k, v in record.items()})
        return
    rows = [
        [f"held-out pictures: {result.measure}", result.best_score],
        [f"baseline, {result.baseline}", result.baseline_score],
        ["iterations", result.iterations],
        ["seconds", result.seconds],
        ["best checkpoint", result.best],
        ["last checkpoint", result.last],
    ]
    print_table("trained", ["what", "value"], rows)
    print_white_levels(result.white_levels)
    where = "" if data is None else f" --data {shlex.quote(str(data))}"
    name = shlex.quote(str(run))
    print_next(f"loihi-unet convert {name}{where} --out {name}/spiking.safetensors")


def _setting(text: str) -> tuple[str, Any]:
    """Split ``key=value``; the value is TOML, or else a string."""
    import sys

    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    from loihi_unet.errors import ConfigError

    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {text}: key=value needed")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value
