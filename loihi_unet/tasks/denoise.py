# SPDX-License-Identifier: BSD-3-Clause
"""Denoise whole pictures with any network and score the result."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from loihi_unet.data.crops import pad_to_multiple
from loihi_unet.data.pictures import Picture
from loihi_unet.seeds import Purpose, generator
from loihi_unet.tasks.metrics import Quality, quality
from loihi_unet.tasks.noise import Noise

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
    return with_noise(picture, index, Noise(sigma=sigma), seed)


def with_noise(
    picture: Picture, index: int, noise: Noise, seed: int
) -> NDArray[np.float32]:
    """Return a test picture with any noise; parameters as of `noisy_picture`."""
    return noise.add(picture.pixels, generator(seed, Purpose.TEST, index))


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
    sigma: float | Noise,
    seed: int,
    multiple: int | tuple[int, int],
    device: torch.device | None = None,
) -> Quality:
    """Return a denoiser's PSNR and SSIM on one picture.

    Parameters
    ----------
    network : Network
        As in `restore`.
    picture : Picture
        Clean.
    index : int
        Its place in the test set, which decides its noise.
    sigma : float or Noise
        Standard deviation of Gaussian noise in gray levels, or another noise.
    seed : int
        Decides the noise.
    multiple : int or tuple of int
        That of the network.
    device : torch.device, optional
        Where the network is; the CPU if None.

    Returns
    -------
    Quality
        On the scale 0..255.
    """
    noise = sigma if isinstance(sigma, Noise) else Noise(sigma=sigma)
    noisy = with_noise(picture, index, noise, seed)
    output = restore(network, noisy, multiple=multiple, device=device)
    return quality(picture.pixels, output)
