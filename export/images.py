# SPDX-License-Identifier: BSD-3-Clause
"""Pictures to input integers of a Network, and its output back to pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from export.network import Network

Image = npt.NDArray[Any]


def size_multiple(network: Network) -> tuple[int, int]:
    """Numbers that an image's (height, width) must be multiples of.

    The coarsest layer decides: 16 for a U-Net of four levels.
    """
    _, height, width = network.input.shape
    return (
        max(height // layer.shape[1] for layer in network.layers),
        max(width // layer.shape[2] for layer in network.layers),
    )


def pad_to_multiple(image: Image, multiple: tuple[int, int]) -> Image:
    """Extend an image by reflection at its lower and right sides.

    Parameters
    ----------
    image : ndarray, shape (C, H, W)
        Any dtype, H and W of any size.
    multiple : tuple of int
        What height and width become multiples of.

    Returns
    -------
    ndarray, shape (C, H', W')
        The image itself at the top left.
    """
    missing = [-n % m for n, m in zip(image.shape[1:], multiple, strict=True)]
    return np.pad(image, ((0, 0), (0, missing[0]), (0, missing[1])), mode="symmetric")


def centre_crop(image: Image, height: int, width: int) -> Image:
    """Cut the middle of an image, reflecting it first where it is too small.

    Parameters
    ----------
    image : ndarray, shape (C, H, W)
        Any dtype.
    height, width : int
        Size of the result.
    """
    grow = [
        max(0, n - s) for n, s in zip((height, width), image.shape[1:], strict=True)
    ]
    image = np.pad(image, ((0, 0), (0, grow[0]), (0, grow[1])), mode="symmetric")
    top = (image.shape[1] - height) // 2
    left = (image.shape[2] - width) // 2
    return image[:, top : top + height, left : left + width]


def decode(network: Network, accumulator: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """What an output accumulator means, in the unit the network was trained in.

    Parameters
    ----------
    network : Network
        Gives T and the output's scale.
    accumulator : ndarray of int
        `Recording.output`, any shape.

    Returns
    -------
    ndarray of float64
        ``accumulator * scale / T``; 0..1 is black to white for a denoiser.
    """
    output = network.output
    scale = output.unit if isinstance(output.scale, tuple) else output.scale
    return accumulator.astype(np.float64) * (scale / network.num_steps)
