# SPDX-License-Identifier: BSD-3-Clause
"""What a network consists of: its input, its layers, and the connections into them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from export.compartment import MTIF, Accumulator, Bias, Compartment
from export.errors import NetworkError, RangeError
from export.facts import DELAY, PAYLOAD, WEIGHT_EXP
from export.synapse import IntArray, Shape, Synapse, integers


def _check_shape(shape: Shape, where: str) -> None:
    ok = isinstance(shape, tuple) and len(shape) == 3
    if not ok or any(type(n) is not int or n < 1 for n in shape):
        raise NetworkError(f"{where}: shape {shape} found, positive (C, H, W) needed")


def _check_scale(scale: float | tuple[float, ...], where: str) -> None:
    for value in scale if isinstance(scale, tuple) else (scale,):
        if not (np.isfinite(value) and value > 0):
            raise NetworkError(
                f"{where}: scale {value} found, positive and finite needed"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Input:
    """Source of the network: integers, constant over an image's window.

    Parameters
    ----------
    shape : tuple of int
        (C, H, W).
    minimum, maximum : int
        Range of the payload; a value outside is an error, never clipped.
    scale : float or tuple of float
        What one unit means, e.g. 1/255 for gray levels of an image in 0..1; of all
        channels or of each.
    name : str
        Name that connections refer to.
    """

    shape: Shape
    minimum: int
    maximum: int
    scale: float | tuple[float, ...]
    name: str = "input"
    # Whether the payload changes at every step; see `export.stock_network.Frames`.
    changes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_shape(self.shape, self.name)
        _check_scale(self.scale, self.name)
        if self.minimum > self.maximum or not PAYLOAD.contains(
            self.minimum, self.maximum
        ):
            raise RangeError(
                f"{self.name}: payload {self.minimum}..{self.maximum} found, "
                f"an interval within {PAYLOAD} needed"
            )

    @property
    def magnitude(self) -> int:
        """Largest absolute payload."""
        return max(abs(self.minimum), abs(self.maximum))

    @property
    def planes(self) -> int:
        """Binary outputs per value: 1, pixels are not taken apart."""
        return 1

    def check(self, images: npt.ArrayLike) -> IntArray:
        """Images as int32, within the declared range.

        Parameters
        ----------
        images : array_like of int
            Shape (images, C, H, W); for an input that `changes`,
            (runs, T, C, H, W).

        Raises
        ------
        NetworkError
            If the shape is wrong or a value is not an integer.
        RangeError
            If a value lies outside ``minimum..maximum``.
        """
        array = integers(images, self.name)
        lead = ("runs", "T") if self.changes else ("images",)
        ok = array.ndim == len(lead) + 3 and array.shape[-3:] == self.shape
        if not ok or not array.size:
            what = "frames" if self.changes else "images"
            needed = ", ".join(map(str, lead + self.shape))
            raise NetworkError(
                f"{self.name}: {what} of shape {array.shape} found, ({needed}) needed"
            )
        low, high = int(array.min()), int(array.max())
        if low < self.minimum or high > self.maximum:
            raise RangeError(
                f"{self.name}: values {low}..{high} found, "
                f"{self.minimum}..{self.maximum} allowed"
            )
        return array


@dataclass(frozen=True, kw_only=True, eq=False)
class Connection:
    """One synapse group into a layer: ``synapse(payload) << weight_exp``.

    Parameters
    ----------
    source : str
        Name of the input or of an earlier layer.
    synapse : Synapse
        What is done to the payload.
    weight_exp : int
        Left shift of the whole sum, 0..7.
    delay : int
        Extra time steps beyond the one that every synapse takes, 0..62.
    """

    source: str
    synapse: Synapse
    weight_exp: int = 0
    delay: int = 0

    def __post_init__(self) -> None:
        for value, allowed, what in (
            (self.weight_exp, WEIGHT_EXP, "weight_exp"),
            (self.delay, DELAY, "delay"),
        ):
            if not allowed.contains(value, value):
                raise RangeError(
                    f"connection from '{self.source}': {what} {value} outside {allowed}"
                )

    def bound(self, magnitude: int) -> int:
        """Largest |shifted sum| for payloads of at most ``magnitude``."""
        return int(self.synapse.absolute_sum().max()) * magnitude << self.weight_exp


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """Compartments of one shape and all connections into them.

    Parameters
    ----------
    name : str
        Unique name.
    shape : tuple of int
        (C, H, W) of the compartments.
    connections : tuple of Connection
        At least one; their sums are added.
    compartment : Compartment
        State, thresholds and bias.
    scale : float or tuple of float
        What one payload unit means in the trained network's activation, for the layer
        or for each channel; for an accumulator, what one unit of v means per step.
    """

    name: str
    shape: Shape
    connections: tuple[Connection, ...]
    compartment: Compartment
    scale: float | tuple[float, ...]

    def __post_init__(self) -> None:
        where = f"layer '{self.name}'"
        if not self.name or "/" in self.name or not self.name.isprintable():
            raise NetworkError(
                f"{where}: a name is non-empty and has no '/' nor control character"
            )
        _check_shape(self.shape, where)
        _check_scale(self.scale, where)
        if isinstance(self.scale, tuple) and len(self.scale) != self.shape[0]:
            raise NetworkError(
                f"{where}: scale of {len(self.scale)} channels found, shape is "
                f"{self.shape}"
            )
        if not self.connections:
            raise NetworkError(f"{where}: no connection found, one or more needed")
        for bias in self.biases:
            if bias.mant.shape[0] != self.shape[0]:
                raise NetworkError(
                    f"{where}: bias of {bias.mant.shape[0]} channels found, "
                    f"shape is {self.shape}"
                )

    @property
    def unit(self) -> npt.NDArray[np.float64]:
        """`scale` as an array that multiplies payloads, shape (1 or C, 1, 1)."""
        return np.reshape(np.asarray(self.scale, dtype=np.float64), (-1, 1, 1))

    @property
    def biases(self) -> tuple[Bias, ...]:
        """The compartment's bias; empty for a kind that has none."""
        return (self.compartment.bias,)

    @property
    def magnitude(self) -> int:
        """Largest absolute payload; 0 for a layer that never spikes."""
        if isinstance(self.compartment, Accumulator):
            return 0
        return self.compartment.payload_maximum

    @property
    def planes(self) -> int:
        """Binary outputs per compartment, `export.compartment.MTIF.planes`."""
        return self.compartment.planes if isinstance(self.compartment, MTIF) else 1
