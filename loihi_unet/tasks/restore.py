# SPDX-License-Identifier: BSD-3-Clause
"""Restoration: pairs of pictures, of one size or of several."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from loihi_unet.config import RestoreConfig
from loihi_unet.data.crops import pad_to_multiple
from loihi_unet.data.pictures import Picture
from loihi_unet.tasks.denoise import Network


def shuffled(output: torch.Tensor, scale: int, channels: int) -> torch.Tensor:
    """Put a network's outputs in place: a pixel shuffle, where it does none itself.

    Parameters
    ----------
    output : Tensor, shape (B, channels * scale**2, H, W), or what results
        Of the network.
    scale : int
        How many times as large a target is as its input.
    channels : int
        Of a target.

    Returns
    -------
    Tensor, shape (B, channels, scale * H, scale * W)
        Pixels divided by 255.
    """
    if scale == 1 or output.shape[1] == channels:
        return output
    return functional.pixel_shuffle(output, scale)


@torch.no_grad()
def restored(
    network: Network,
    picture: Picture,
    task: RestoreConfig,
    *,
    multiple: int | tuple[int, int],
    device: torch.device | None = None,
) -> NDArray[np.float32]:
    """Run a network on one picture.

    Parameters
    ----------
    network : Network
        As in `loihi_unet.tasks.denoise.restore`.
    picture : Picture
        Its pixels are the input.
    task : RestoreConfig
        Gives the scale.
    multiple : int or tuple of int
        What the input's sides are reflected up to multiples of.
    device : torch.device, optional
        Where the network is; the CPU if None.

    Returns
    -------
    ndarray, shape (C, scale * H, scale * W), float32
        Gray levels, neither clipped nor rounded.
    """
    pixels = picture.pixels.astype(np.float32)
    _, height, width = pixels.shape
    padded = pad_to_multiple(pixels, multiple) / np.float32(255)
    x = torch.from_numpy(padded).to(device or "cpu")[None]
    output = shuffled(network(x), task.scale, task.channels)[0]
    output = output[:, : height * task.scale, : width * task.scale]
    levels: NDArray[np.float32] = (output.float() * 255).cpu().numpy()
    return levels


def target_of(picture: Picture) -> NDArray[np.uint8]:
    """Return what a picture should become."""
    assert picture.target is not None  # load_data gives every picture of a pair one
    return picture.target
