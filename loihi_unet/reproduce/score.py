# SPDX-License-Identifier: BSD-3-Clause
"""Quality of any network on squares of test pictures."""

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from export.lowering import lower
from loihi_unet.config import TrainConfig
from loihi_unet.data.pictures import Picture
from loihi_unet.runs.tiling import WholeNetwork
from loihi_unet.spiking.run_float import run
from loihi_unet.spiking.spiking_unet import SpikingUNet
from loihi_unet.tasks.denoise import Network, noisy_picture
from loihi_unet.tasks.judge import Judge
from loihi_unet.training.parallel import best_device
from sim.backend import create

#: Longest side that is run in one piece.
TILE = 1024
#: Of the noise.
SEED = 0
#: The measure that a table shows.
SHOWN = {"denoise": "psnr", "segment": "f1"}


def middle(picture: Picture, side: int, multiple: int = 1) -> Picture:
    """Return the square in the middle of a picture.

    Parameters
    ----------
    picture : Picture
        With label and mask, where it has them.
    side : int
        In pixels, at most the picture's; 0 for the whole picture.
    multiple : int
        Both sides are cut down to multiples of it.

    Returns
    -------
    Picture
        Of the same name.
    """
    height, width = picture.pixels.shape[1:]
    rows, columns = min(side or height, height), min(side or width, width)
    rows, columns = rows - rows % multiple, columns - columns % multiple
    top, left = (height - rows) // 2, (width - columns) // 2
    window = np.s_[..., top : top + rows, left : left + columns]
    return dataclasses.replace(
        picture,
        pixels=picture.pixels[window],
        label=None if picture.label is None else picture.label[window],
        mask=None if picture.mask is None else picture.mask[window],
    )


def shown_pixels(
    picture: Picture, index: int, sigma: float | None
) -> NDArray[np.int32]:
    """Return the integer gray levels that a network is shown, (C, H, W).

    Parameters
    ----------
    picture : Picture
        Of the test part.
    index : int
        Its place in it, which decides its noise, as in `evaluate`.
    sigma : float or None
        Noise in gray levels; None: the picture as it is.
    """
    if sigma is None:
        return picture.pixels.astype(np.int32)
    return noisy_picture(picture, index, sigma=sigma, seed=SEED).astype(np.int32)


def integers(snn: SpikingUNet) -> WholeNetwork:
    """Return the integer network that `snn` exports to, on the GPU if there is one."""
    side = snn.multiple
    backend = "cuda" if torch.cuda.is_available() else "torch"
    return WholeNetwork(lower(snn, side, side), create(backend), TILE)


def floats(snn: SpikingUNet) -> Network:
    """Return the Spiking-UNet in floating point, on the GPU if there is one."""
    device = best_device()
    return lambda x: run(snn, x.to(device)).output.cpu()


def score(
    network: Network, pictures: list[Picture], config: TrainConfig, sigma: float | None
) -> dict[str, Any]:
    """Score a network as `evaluate` does.

    Parameters
    ----------
    network : Network
        On the CPU.
    pictures : list[Picture]
        What to run it on.
    config : TrainConfig
        Names the task.
    sigma : float or None
        Noise in gray levels; None for segmentation.

    Returns
    -------
    dict[str, Any]
        The task's measures.
    """
    judge = Judge(task=config.task, sigma=sigma or 0.0, seed=SEED)
    multiple = config.model.multiple
    return judge.measures(
        [
            judge.judge(network, picture, index, multiple=multiple)
            for index, picture in enumerate(pictures)
        ]
    )
