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
from pathlib import Path

import loihi_unet
from loihi_unet.publish import publish


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
