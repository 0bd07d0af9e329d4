# SPDX-License-Identifier: BSD-3-Clause
"""Which sizes of pictures a Network takes, and what its output means."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from export.errors import NetworkError
from export.network import Network

Image = npt.NDArray[Any]


def size_multiple(network: Network) -> tuple[int, int]:
    """Numbers that an image's (height, width) must be multiples of.

    The coarsest layer decides: 16 for a U-Net of four levels.
    """
    _, height, width = network.input.shape
    return (
        max(1, *(height // layer.shape[1] for layer in network.layers)),
        max(1, *(width // layer.shape[2] for layer in network.layers)),
    )


def picture_channels(network: Network) -> int:
    """Channels of the pictures that a network takes, constant planes left out."""
    return network.input.shape[0] - len(constant_planes(network))


def constant_planes(network: Network) -> list[int]:
    """Gray levels of the planes that enter behind a picture's channels.

    Raises
    ------
    NetworkError
        If the provenance, which is part of a file, says nonsense.
    """
    recorded = network.provenance.get("constant_plane")
    if not recorded:
        return []
    if recorded is True:
        return [255]
    levels: list[int] = recorded if isinstance(recorded, list) else [-1]
    whole = all(type(level) is int and 0 <= level <= 255 for level in levels)
    if not whole or len(levels) >= network.input.shape[0]:
        raise NetworkError(
            f"provenance constant_plane: {str(recorded)[:40]} found, fewer gray levels "
            f"0..255 than the input's {network.input.shape[0]} channels needed"
        )
    return levels


def completed(network: Network, levels: Image) -> Image:
    """Return a picture as it enters, with the constant planes where there are any.

    A white one carries what a network adds before a border of zeros; those of a
    sigma-delta network carry its biases.

    Parameters
    ----------
    network : Network
        Whose provenance says so.
    levels : ndarray, shape (C, H, W)
        Gray levels.
    """
    if levels.shape[0] == network.input.shape[0]:
        return levels
    planes = [np.full_like(levels[:1], level) for level in constant_planes(network)]
    return np.concatenate([levels, *planes])


def only_size(network: Network) -> tuple[int, int] | None:
    """(H, W) of the only pictures that a network takes; None if there are others."""
    if not network.provenance.get("fixed_size"):
        return None
    height, width = network.input.shape[1:]
    return height, width


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
        ``accumulator * scale / T``; 0..1 is black to white for a denoiser. Of a
        StockNetwork, whose last layer holds a picture's value, ``* scale``.
    """
    output = network.output
    steps = network.num_steps if network.in_windows else 1
    scale = output.unit if isinstance(output.scale, tuple) else output.scale
    return accumulator.astype(np.float64) * (scale / steps)
