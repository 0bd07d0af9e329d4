# SPDX-License-Identifier: BSD-3-Clause
"""A tensor of the network: linear in layers of ReLUs."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from loihi_unet.frontend.module.taps import Taps
from loihi_unet.spiking.layer import Pair

#: A plane of ones of the picture's size: carries a bias before a border of zeros.
ONES = "ones"

Shape = tuple[int, int, int]


@dataclass(eq=False)
class Value:
    """A tensor of the network, without its batch axis.

    Attributes
    ----------
    shape : tuple of int
        (C, H, W); of a flat tensor before it was flattened.
    terms : dict[str, Taps]
        Linear maps of the input, the plane of ones, and layers; their sum.
    bias : Tensor, shape (C,), float64
        Added everywhere.
    name : str
        For a layer that carries it.
    flat : bool
        Whether torch holds it with two axes.
    head : str
        What is left to the reader at the output; else empty.
    """

    shape: Shape
    terms: dict[str, Taps]
    bias: Tensor
    name: str
    flat: bool = False
    head: str = ""

    @property
    def size(self) -> Pair:
        """(H, W)."""
        return self.shape[1:]
