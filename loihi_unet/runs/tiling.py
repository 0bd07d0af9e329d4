# SPDX-License-Identifier: BSD-3-Clause
"""An integer network on whole pictures of any size, tile by tile if need be."""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from typing_extensions import assert_never

from export.images import completed, decode, size_multiple
from export.network import Network
from export.synapse import AveragePool, Conv, ConvTranspose, Dense, Injection
from loihi_unet.errors import DataError
from sim.backend import Simulator
from sim.pictures import needed, output_of
from sim.streaming import SIZES


def receptive_radius(network: Network) -> int:
    """How far from an output pixel the input can still change it.

    Parameters
    ----------
    network : Network
        Any; a layer's scale is told by its height.

    Returns
    -------
    int
        Pixels of the input, an upper bound: 137 for a U-Net of four levels.
    """
    height = network.input.shape[1]
    reach = {network.input.name: 0}
    for layer in network.layers:
        reaches = []
        for c in layer.connections:
            pixels = height // network.nodes[c.source].shape[1]
            match c.synapse:
                case Conv(padding=padding, dilation=dilation, weight=weight):
                    kernel = weight.shape[2:]
                    steps = max(
                        max(p, (k - 1) * d - p)
                        for k, p, d in zip(kernel, padding, dilation, strict=True)
                    )
                case Injection():
                    steps = 0
                case Dense():
                    raise DataError(
                        f"layer {layer.name!r} is dense: pictures of one size only"
                    )
                case ConvTranspose():
                    # A fine pixel of a 3x3 stride 2 kernel sees its own coarse pixel
                    # and the next.
                    steps = 1
                case AveragePool(kernel_size=window):
                    steps = max(window) - 1
                case _:
                    assert_never(c.synapse)
            reaches.append(reach[c.source] + steps * pixels)
        reach[layer.name] = max(reaches)
    return reach[network.output.name]


class Tile(NamedTuple):
    """A piece of one axis: rows ``start:stop`` are run, ``first:last`` are kept."""

    start: int
    stop: int
    first: int
    last: int


def tiles(length: int, tile: int, margin: int, multiple: int) -> Iterator[Tile]:
    """Cut an axis into pieces that see `margin` pixels more than they keep.

    Parameters
    ----------
    length : int
        Of the axis, a multiple of `multiple`.
    tile : int
        Longest piece.
    margin : int
        What a piece sees beyond what it keeps, where the picture goes on.
    multiple : int
        Pieces begin and end at multiples of it, as the coarsest layer needs.

    Yields
    ------
    Tile
        Together they keep every pixel once.

    Raises
    ------
    DataError
        If a tile has no room for more than its margins.
    """
    if length <= tile:
        yield Tile(0, length, 0, length)
        return
    margin += -margin % multiple
    keep = (tile - 2 * margin) // multiple * multiple
    if keep < multiple:
        raise DataError(
            f"tile {tile}: allowed from {2 * margin + multiple} (two margins of "
            f"{margin} pixels and {multiple} to keep)"
        )
    for first in range(0, length, keep):
        last = min(first + keep, length)
        yield Tile(max(0, first - margin), min(length, last + margin), first, last)


class WholeNetwork:
    """An integer network as a `loihi_unet.tasks.denoise.Network`: floats in and out.

    Parameters
    ----------
    network : Network
        For any size of image.
    simulator : Simulator
        The backend.
    tile : int
        Longest side that is run in one piece; larger pictures are cut into tiles
        that overlap by at least the receptive radius, which changes nothing.
    """

    def __init__(self, network: Network, simulator: Simulator, tile: int) -> None:
        self.network = network
        self.simulator = simulator
        self.tile = tile
        self.multiple = size_multiple(network)
        self.margin = receptive_radius(network)
        # A simulator prepares a Network once: keep those of the sizes that recur.
        self._resized = functools.lru_cache(maxsize=SIZES)(network.resized)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Run pictures.

        Parameters
        ----------
        x : Tensor, shape (B, C, H, W), float32
            Integer gray levels divided by 255; sides are multiples of `multiple`.

        Returns
        -------
        Tensor, shape (B, C_out, H, W), float32
            What the output means in the unit of training.
        """
        levels = torch.round(x * 255).to(torch.int32)
        *_, height, width = levels.shape
        output = torch.empty(len(x), self.network.output.shape[0], height, width)
        vertical, horizontal = self.multiple
        for rows in tiles(height, self.tile, self.margin, vertical):
            for columns in tiles(width, self.tile, self.margin, horizontal):
                piece = levels[
                    ..., rows.start : rows.stop, columns.start : columns.stop
                ]
                result = self._run(piece)
                output[..., rows.first : rows.last, columns.first : columns.last] = (
                    result[
                        ...,
                        rows.first - rows.start : rows.last - rows.start,
                        columns.first - columns.start : columns.last - columns.start,
                    ]
                )
        return output

    def _run(self, levels: torch.Tensor) -> torch.Tensor:
        network = self._resized(levels.shape[2], levels.shape[3])
        images = np.stack([completed(network, one) for one in levels.numpy()])
        recording = self.simulator.run(network, images, layers=needed(network, ()))
        output = output_of(network, recording)
        assert output is not None  # every network for pictures has an output
        return torch.from_numpy(decode(network, output)).float()
