# SPDX-License-Identifier: BSD-3-Clause
"""Which weights of a connection met a payload, told from where its source fired.

A weight meets a payload where the source position that it reads was not silent and
the product reaches a compartment: a tap that reads the padding, a position that a
stride skips, and an output that a padding cuts away do not count. All output
channels of a group read the same positions, so a tap of one source channel stands
for all weights behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from typing_extensions import assert_never

from export.synapse import (
    AveragePool,
    Conv,
    ConvTranspose,
    Dense,
    Injection,
    Shape,
    StockSynapse,
    Synapse,
)

Bools = npt.NDArray[np.bool_]
Steps = npt.NDArray[np.int64]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class TapShape:
    """How the weights of one connection are counted.

    Parameters
    ----------
    taps : tuple of int
        Shape of the array of taps; the first axis is the source's channels.
    weights : int
        Weights behind each tap, one for every output channel that reads it.
    shared : bool
        One weight serves all channels (`AveragePool`): the first axis is 1.
    """

    taps: tuple[int, ...]
    weights: int
    shared: bool = False

    @property
    def total(self) -> int:
        """All weights of the connection."""
        return int(np.prod(self.taps)) * self.weights

    def unread(self, silent: Bools) -> int:
        """Weights that meet nothing because their source channels are silent."""
        if self.shared:
            return self.total if silent.all() else 0
        return self.total // len(silent) * int(silent.sum())


def tap_shape(synapse: Synapse | StockSynapse, source: Shape) -> TapShape:
    """Taps of a synapse that reads a source of shape (C, H, W).

    Returns
    -------
    TapShape
        (C, K_h, K_w) for convolutions, (1, 1, 1) for an average pool, whose one
        weight serves all channels, (C, H * W, N_out) for `Dense`, nothing for an
        injection.
    """
    match synapse:
        case Conv(weight=weight, groups=groups):
            taps = (source[0], *weight.shape[2:])
            return TapShape(taps=taps, weights=len(weight) // groups)
        case ConvTranspose(weight=weight):
            return TapShape(
                taps=(source[0], *weight.shape[2:]), weights=weight.shape[1]
            )
        case AveragePool():
            return TapShape(taps=(1, 1, 1), weights=1, shared=True)
        case Dense(weight=weight):
            pixels = source[1] * source[2]
            return TapShape(taps=(source[0], pixels, len(weight)), weights=1)
        case Injection():
            return TapShape(taps=(source[0], 0, 0), weights=0)
        case _:
            assert_never(synapse)


def met_taps(synapse: Synapse | StockSynapse, first: Steps, steps: int) -> Bools:
    """Taps that met a payload which came in time.

    Parameters
    ----------
    synapse : Synapse or StockSynapse
        What reads the source.
    first : ndarray, shape (C, H, W), int64
        Step of the first payload that was not zero; ``steps`` or more where there
        was none.
    steps : int
        Number of steps whose payloads arrive in time, where nothing else delays them.

    Returns
    -------
    ndarray of bool
        Of the shape that `tap_shape` says.
    """
    shape = (first.shape[0], first.shape[1], first.shape[2])
    fired = first < steps
    match synapse:
        case Conv():
            rows, columns = (_read_by_conv(synapse, shape, axis) for axis in (0, 1))
            return _per_tap(fired, rows, columns)
        case ConvTranspose():
            rows, columns = (
                _read_by_transposed(synapse, shape, axis) for axis in (0, 1)
            )
            return _per_tap(fired, rows, columns)
        case AveragePool():
            return np.full((1, 1, 1), bool(fired.any()))
        case Dense(weight=weight, delay=delay):
            waits = np.zeros(weight.shape, np.int64) if delay is None else delay
            arrived: Bools = first.reshape(1, -1) + waits < steps
            by_tap: Bools = arrived.T.reshape(tap_shape(synapse, shape).taps)
            return by_tap
        case Injection():
            return np.zeros(tap_shape(synapse, shape).taps, dtype=np.bool_)
        case _:
            assert_never(synapse)


def meeting(synapse: Conv | ConvTranspose, source: Shape, taps: Bools) -> Bools:
    """Source positions at which a payload meets any of these taps.

    Parameters
    ----------
    synapse : Conv or ConvTranspose
        What reads the source.
    source : tuple of int
        (C, H, W).
    taps : ndarray of bool, shape (K_h, K_w)
        The taps, of one channel.

    Returns
    -------
    ndarray of bool, shape (H, W)
    """
    read = _read_by_conv if isinstance(synapse, Conv) else _read_by_transposed
    rows, columns = (read(synapse, source, axis) for axis in (0, 1))  # type: ignore[arg-type]
    positions = np.zeros(source[1:], dtype=np.bool_)
    for ky, kx in zip(*np.nonzero(taps), strict=True):
        positions[np.ix_(np.unique(rows[ky]), np.unique(columns[kx]))] = True
    return positions


def _per_tap(
    fired: Bools, rows: Sequence[Positions], columns: Sequence[Positions]
) -> Bools:
    """Whether a channel fired at any position that a tap reads, (C, K_h, K_w)."""
    met = np.zeros((len(fired), len(rows), len(columns)), dtype=np.bool_)
    for ky, read in enumerate(rows):
        line: Bools = np.any(fired[:, read], axis=1)
        for kx, across in enumerate(columns):
            met[:, ky, kx] = line[:, across].any(axis=1)
    return met


def _read_by_conv(conv: Conv, source: Shape, axis: int) -> list[Positions]:
    """Source positions along an axis that each tap reads, padding left out."""
    size = source[1 + axis]
    outputs = np.arange(conv.output_shape(source)[1 + axis])
    return _inside(
        conv.weight.shape[2 + axis],
        lambda tap: (
            outputs * conv.stride[axis] + tap * conv.dilation[axis] - conv.padding[axis]
        ),
        size,
    )


def _inside(taps: int, read: Callable[[int], Positions], size: int) -> list[Positions]:
    positions = [read(tap) for tap in range(taps)]
    return [p[(p >= 0) & (p < size)] for p in positions]


def _read_by_transposed(
    conv: ConvTranspose, source: Shape, axis: int
) -> list[Positions]:
    """Source positions along an axis whose product through each tap is kept."""
    size = conv.output_shape(source)[1 + axis]
    positions = np.arange(source[1 + axis])
    reached = [
        positions * conv.stride[axis] + tap - conv.padding[axis]
        for tap in range(conv.weight.shape[2 + axis])
    ]
    return [positions[(to >= 0) & (to < size)] for to in reached]
