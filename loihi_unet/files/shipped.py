# SPDX-License-Identifier: BSD-3-Clause
"""Files of weights that come with the package."""

from importlib import resources
from pathlib import Path

SUFFIX = ".safetensors"


def shipped(folder: str) -> dict[str, Path]:
    """Return the files of a folder of the package, by name.

    Parameters
    ----------
    folder : str
        ``"models"`` for U-Nets, ``"models/spiking"`` for fine-tuned networks.

    Returns
    -------
    dict[str, Path]
        ``<name>.safetensors`` by ``<name>``, in the order of the names.
    """
    directory = resources.files("loihi_unet") / folder
    names = (entry.name for entry in directory.iterdir() if entry.name.endswith(SUFFIX))
    return {
        name: Path(str(directory / f"{name}{SUFFIX}"))
        for name in sorted(name.removesuffix(SUFFIX) for name in names)
    }
