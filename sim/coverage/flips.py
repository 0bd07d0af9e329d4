# SPDX-License-Identifier: BSD-3-Clause
"""Every number of a network with every single bit flipped."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from export.compartment import MTIF
from export.network import Connection, Layer, Network
from export.synapse import AveragePool, ConvTranspose

Int64 = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: Bits of a weight level (half the mantissa), a threshold and a bias mantissa.
LEVEL_BITS, THETA_BITS, BIAS_BITS = 8, 17, 13


class Flip(NamedTuple):
    """One flipped bit.

    Attributes
    ----------
    layer : str
        Where.
    what : str
        ``"weight 0"`` (of the first connection), ``"bias"`` or ``"threshold"``.
    index : tuple of int
        Into the array of these numbers.
    bit : int
        Which, from the lowest.
    """

    layer: str
    what: str
    index: tuple[int, ...]  # type: ignore[assignment]  # a tuple has a method index
    bit: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlipReport:
    """What became of every flipped bit of a small network.

    Parameters
    ----------
    noticed : int
        How many a picture gives away.
    proved : int
        How many of the others provably change nothing (`sim.coverage.bounds`).
    left : tuple of Flip
        Those of which neither is known.
    """

    noticed: int
    proved: int
    left: tuple[Flip, ...]

    @property
    def total(self) -> int:
        """All flips."""
        return self.noticed + self.proved + len(self.left)

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts and lists."""
        left = [flip._asdict() | {"index": list(flip.index)} for flip in self.left]
        return dataclasses.asdict(self) | {"total": self.total, "left": left}


def count_flips(network: Network) -> int:
    """How many there are, without making them."""
    total = 0
    for layer in network.layers:
        total += BIAS_BITS * layer.compartment.bias.mant.size
        if isinstance(layer.compartment, MTIF):
            total += THETA_BITS * layer.compartment.vth_mant.size
        for c in layer.connections:
            pool = isinstance(c.synapse, AveragePool)
            total += LEVEL_BITS * (1 if pool else c.synapse.weight.size)  # type: ignore[union-attr]
    return total


def every_flip(network: Network) -> Iterator[Flip]:
    """All of them, layer by layer."""
    for layer in network.layers:
        for number, c in enumerate(layer.connections):
            s = c.synapse
            shape = () if isinstance(s, AveragePool) else s.weight.shape
            for index in np.ndindex(shape):
                for bit in range(LEVEL_BITS):
                    yield Flip(layer.name, f"weight {number}", index, bit)
        for index in np.ndindex(layer.compartment.bias.mant.shape):
            for bit in range(BIAS_BITS):
                yield Flip(layer.name, "bias", index, bit)
        if isinstance(layer.compartment, MTIF):
            for index in np.ndindex(layer.compartment.vth_mant.shape):
                for bit in range(THETA_BITS):
                    yield Flip(layer.name, "threshold", index, bit)


def flipped(value: int, bit: int, bits: int) -> int:
    """A two's complement number of so many bits with one of them inverted."""
    value = (int(value) ^ 1 << bit) & (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


def bias_change(layer: Layer, flip: Flip) -> int:
    """What a flipped bias adds to each step's input."""
    bias = layer.compartment.bias
    mant = int(bias.mant[flip.index])
    return int((flipped(mant, flip.bit, BIAS_BITS) - mant) << bias.exp)


def other_threshold(layer: Layer, flip: Flip) -> int:
    """The flipped threshold."""
    assert isinstance(layer.compartment, MTIF)
    return int(layer.compartment.vth_mant[flip.index]) ^ 1 << flip.bit


def level_change(c: Connection, flip: Flip) -> int:
    """What a flipped weight adds, in levels."""
    s = c.synapse
    mant = s.weight_mant if isinstance(s, AveragePool) else s.weight[flip.index]
    level = int(mant) // 2
    return flipped(level, flip.bit, LEVEL_BITS) - level


def one_tap(c: Connection, index: tuple[int, ...]) -> tuple[Connection, int | None]:
    """A connection of which one weight is a level and all others are zero.

    Returns
    -------
    connection : Connection
        With that weight alone.
    channel : int or None
        That it adds to; None: to all, as a pool does.
    """
    s = c.synapse
    if isinstance(s, AveragePool):
        return dataclasses.replace(
            c, synapse=dataclasses.replace(s, weight_mant=2)
        ), None
    weight = np.zeros_like(s.weight)
    weight[index] = 2
    alone = dataclasses.replace(c, synapse=dataclasses.replace(s, weight=weight))
    return alone, index[1 if isinstance(s, ConvTranspose) else 0]
