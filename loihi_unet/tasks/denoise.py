# SPDX-License-Identifier: BSD-3-Clause
"""Denoise whole pictures with any network and score the result."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from loihi_unet.data.crops import add_noise, pad_to_multiple
from loihi_unet.data.pictures import Picture
from loihi_unet.seeds import Stream, generator
from loihi_unet.tasks.metrics import Quality, mean_quality, quality

#: Maps (B, C, H, W) pixels divided by 255 to the restored ones in the same unit.
Network = Callable[[torch.Tensor], torch.Tensor]


def noisy_picture(
    picture: Picture, index: int, *, sigma: float, seed: int
) -> NDArray[np.float32]:
    """Return a test picture's noisy version: rounded, not clipped, always the same.

    Parameters
    ----------
    picture : Picture
        The clean picture.
    index : int
        Its place in the test set; each place has its own noise.
    sigma : float
        Standard deviation in gray levels.
    seed : int
        Another seed, other noise.

    Returns
    -------
    ndarray, shape (C, H, W), float32
        Integer gray levels.
    """
    return add_noise(picture.pixels, sigma, generator(seed, Stream.TEST, index))


@torch.no_grad()
def restore(
    network: Network,
    noisy: NDArray[np.float32],
    *,
    multiple: int | tuple[int, int],
    device: torch.device | None = None,
) -> NDArray[np.float32]:
    """Run a network on one picture of any size.

    Parameters
    ----------
    network : Network
        The U-Net, or a Spiking-UNet's float simulation.
    noisy : ndarray, shape (C, H, W), float32
        Gray levels.
    multiple : int or tuple of int
        The picture is reflected up to a multiple of it, or of these in height and
        width: the network's.
    device : torch.device, optional
        Where the network is; the CPU if None.

    Returns
    -------
    ndarray, shape (C, H, W), float32
        Gray levels, neither clipped nor rounded.
    """
    _, height, width = noisy.shape
    padded = pad_to_multiple(noisy, multiple)
    x = torch.from_numpy(padded / np.float32(255)).to(device or "cpu")[None]
    output = network(x)[0, :, :height, :width]
    restored: NDArray[np.float32] = (output.float() * 255).cpu().numpy()
    return restored


def score_picture(
    network: Network,
    picture: Picture,
    index: int,
    *,
    sigma: float,
    seed: int,
    multiple: int | tuple[int, int],
    device: torch.device | None = None,
) -> Quality:
    """Return a denoiser's PSNR and SSIM on one picture; parameters as in `evaluate`.

    ``index`` is the picture's place in the test set, which decides its noise.
    """
    noisy = noisy_picture(picture, index, sigma=sigma, seed=seed)
    output = restore(network, noisy, multiple=multiple, device=device)
    return quality(picture.pixels, output)


def evaluate(
    network: Network,
    pictures: list[Picture],
    *,
    sigma: float,
    seed: int,
    multiple: int | tuple[int, int],
    device: torch.device | None = None,
) -> Quality:
    """Return a denoiser's mean PSNR and SSIM over pictures.

    Parameters
    ----------
    network : Network
        As in `restore`.
    pictures : list[Picture]
        Clean pictures.
    sigma : float
        Standard deviation of the noise in gray levels.
    seed : int
        Decides the noise.
    multiple : int or tuple of int
        That of the network.
    device : torch.device, optional
        Where the network is; the CPU if None.

    Returns
    -------
    Quality
        Means over the pictures (not over their pixels).
    """
    return mean_quality(
        [
            score_picture(
                network,
                picture,
                index,
                sigma=sigma,
                seed=seed,
                multiple=multiple,
                device=device,
            )
            for index, picture in enumerate(pictures)
        ]
    )
