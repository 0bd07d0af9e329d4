# SPDX-License-Identifier: BSD-3-Clause
"""Which sizes of pictures a Network takes, and what its output means."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from export.network import Network


def size_multiple(network: Network) -> tuple[int, int]:
    """Numbers that an image's (height, width) must be multiples of.

    The coarsest layer decides: 16 for a U-Net of four levels.
    """
    _, height, width = network.input.shape
    return (
        max(height // layer.shape[1] for layer in network.layers),
        max(width // layer.shape[2] for layer in network.layers),
    )


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
