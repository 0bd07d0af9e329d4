# SPDX-License-Identifier: BSD-3-Clause
"""Make the files of a model that ships with the package.

The commands that make the run and the fine-tuned network are in each model's recipe,
``loihi_unet/models/<name>.json``; then, for example::

    python benchmarks/publish_model.py denoise-gray --data BSDS500-train \
        --checkpoint runs/denoise-gray --spiking runs/denoise-gray.safetensors \
        --command "loihi-unet train ..." --command "loihi-unet convert ..." \
        --command "loihi-unet finetune ..."
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import loihi_unet
from export.files.atomic import write_text
from loihi_unet.conversion.calibrate import calibrate
from loihi_unet.data.datasets import load_data
from loihi_unet.data.pictures import fingerprint
from loihi_unet.errors import CheckpointError
from loihi_unet.files.checkpoint import (
    find_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from loihi_unet.files.spiking_file import load_spiking_unet
from loihi_unet.finetuning.compact_file import save_compact


def publish(
    checkpoint: str | Path,
    spiking: Path,
    folder: Path,
    name: str,
    data: Path | None,
    *,
    commands: Sequence[str],
) -> dict[str, Any]:
    """Write a U-Net, the network fine-tuned from it, and their recipe.

    ``<name>.safetensors``: the U-Net's weights as float16, half the size, and the
    scales of the default conversion, so that converting it needs no pictures.
    ``spiking/<name>.safetensors``: the fine-tuned network's integers.
    ``<name>.json``: the recipe.

    Parameters
    ----------
    checkpoint : str or Path
        As in `loihi_unet.files.checkpoint.find_checkpoint`.
    spiking : Path
        Fine-tuned from it.
    folder : Path
        ``loihi_unet/models``.
    name : str
        Of the model.
    data : Path or None
        The pictures the U-Net was trained on.
    commands : Sequence[str]
        How both were made, in order, for the recipe.

    Returns
    -------
    dict[str, Any]
        The recipe.

    Raises
    ------
    CheckpointError
        If a file cannot be read, or `data` is not what the U-Net was trained on.
    ConversionError
        If `spiking` is not fine-tuned.
    DataError
        If pictures cannot be read.
    """
    loaded = read_checkpoint(find_checkpoint(checkpoint))
    config = loaded.record.config
    pictures = load_data(config.task, data, config.model.in_channels)
    if fingerprint(pictures) != loaded.record.data_sha256:
        raise CheckpointError(
            f"{checkpoint}: was trained on other pictures than {data or 'the default'}"
        )
    model = loaded.model.half()
    stored = {key: value.clone() for key, value in model.state_dict().items()}
    calibration = calibrate(model.float(), config, pictures)
    snn = load_spiking_unet(spiking)
    recipe = {
        "name": name,
        "commands": list(commands),
        "config": config.model_dump(mode="json"),
        "data": {
            "name": data.name if data else "scikit-image",
            "pictures": len(pictures),
            "sha256": loaded.record.data_sha256,
        },
        "iteration": loaded.record.iteration,
        "validation": loaded.record.measures,
        "torch": {"trained": loaded.record.torch_version, "now": torch.__version__},
        "weights_sha256": calibration.weights_sha256,
        "spiking": {
            "num_steps": snn.num_steps,
            "num_thresholds": snn.num_thresholds,
            "base_threshold": snn.base_threshold,
            "finetune": snn.provenance.get("finetune"),
        },
    }
    (folder / "spiking").mkdir(parents=True, exist_ok=True)
    save_compact(folder / "spiking" / f"{name}.safetensors", snn)
    record = loaded.record.model_copy(update={"calibration": calibration})
    save_checkpoint(folder / f"{name}.safetensors", stored, record)
    text = json.dumps(recipe, indent=2, sort_keys=True)
    write_text(folder / f"{name}.json", f"{text}\n")
    return recipe


def main() -> None:
    """Read the command line, publish, print the recipe."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="of the model")
    parser.add_argument("--checkpoint", required=True, help="checkpoint or run folder")
    parser.add_argument("--spiking", type=Path, required=True, help="fine-tuned file")
    parser.add_argument("--data", type=Path, required=True, help="training pictures")
    parser.add_argument(
        "--command", action="append", required=True, help="how it was made; repeat"
    )
    arguments = parser.parse_args()
    recipe = publish(
        arguments.checkpoint,
        arguments.spiking,
        Path(loihi_unet.__file__).parent / "models",
        arguments.name,
        arguments.data,
        commands=arguments.command,
    )
    print(json.dumps(recipe, indent=2, sort_keys=True))


if __name__ == "__main__":
    main()
