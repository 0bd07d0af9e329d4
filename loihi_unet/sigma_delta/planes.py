# SPDX-License-Identifier: BSD-3-Clause
"""Two planes of constants that travel with the picture, and carry every bias.

A stock SigmaDelta's own bias acts from the first step, before the picture arrives.
What it sends then is cut off to whole payloads, and again when the picture comes, so
that the sum of both is not what the picture alone gives. The planes arrive with the
picture, at every layer: each has two more channels that hand them on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.stock_compartment import STATE_SHIFT
from export.synapse import Conv, ConvTranspose
from loihi_unet.errors import ConversionError
from loihi_unet.spiking.layer import Connection

#: Planes of the input, in gray levels: coarse and fine.
LEVELS = (255, 16)
#: Weight that means 1.
ONE = 1 << STATE_SHIFT
#: Largest weight, and the step between two.
LARGEST, STEP = 254, 2
#: The coarse plane grows threefold from layer to layer, up to this.
COARSEST = 8192

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Planes:
    """Payloads of a layer's two constant channels.

    Attributes
    ----------
    coarse, fine : int
    """

    coarse: int
    fine: int

    def grown(self) -> tuple[Planes, tuple[int, int]]:
        """Those of the next layer, and the weights that make them."""
        up = 3 if 3 * self.coarse <= COARSEST else 1
        coarse = up * self.coarse
        finer = 3 if LARGEST * self.fine < coarse else 1
        return Planes(coarse, finer * self.fine), (up * ONE, finer * ONE)

    @property
    def most(self) -> int:
        """Largest bias that the coarse plane carries, in units of the state."""
        return LARGEST * self.coarse

    def split(self, bias: Floats) -> Ints:
        """Even weights (C, 2) of both planes whose sum is nearest to a bias.

        Parameters
        ----------
        bias : ndarray, shape (C,)
            In units of the state, 64 to a payload.
        """
        coarse = STEP * np.rint(bias / (STEP * self.coarse))
        coarse = coarse.clip(-LARGEST, LARGEST)
        fine = STEP * np.rint((bias - coarse * self.coarse) / (STEP * self.fine))
        both = np.stack([coarse, fine.clip(-LARGEST, LARGEST)], axis=1)
        weights: NDArray[np.int64] = both.astype(np.int64)
        return weights


def taps(connection: Connection, kernel: tuple[int, int]) -> list[tuple[int, int]]:
    """Taps of which exactly one meets a value of the source, at every place.

    Parameters
    ----------
    connection : Connection
        Of any kind but a residual skip.
    kernel : tuple of int
        Along (H, W).

    Raises
    ------
    ConversionError
        If there are none: a border where only the padding is seen.
    """
    place = connection.place
    axes = zip(
        kernel,
        place.stride,
        place.padding,
        place.dilation,
        place.output_padding,
        strict=True,
    )
    up = connection.kind == "conv_transpose"
    by_axis = [_up(*axis) if up else _down(*axis) for axis in axes]
    if not all(by_axis):
        raise ConversionError(
            f"a {connection.kind} of kernel {kernel}, stride {place.stride}, padding "
            f"{place.padding}: no tap meets the picture at every place, so constants "
            "cannot pass"
        )
    return [(a, b) for a in by_axis[0] for b in by_axis[1]]


def _down(k: int, _: int, padding: int, dilation: int, __: int) -> list[int]:
    """First tap that never lies before the picture, if it never lies behind it."""
    tap = -(-padding // dilation)
    return [tap] if padding + tap * dilation <= dilation * (k - 1) else []


def _up(k: int, stride: int, padding: int, _: int, extra: int) -> list[int]:
    """A tap for each phase; output o meets value o // stride of the source."""
    inside = k - 2 * padding + extra <= stride
    return list(range(padding, padding + stride)) if inside else []


def extended(
    connection: Connection, weight: Ints, bias: Ints | None, own: tuple[int, int] | None
) -> Conv | ConvTranspose:
    """A synapse of data and planes.

    Parameters
    ----------
    connection : Connection
        Geometry; one channel group.
    weight : ndarray
        Of the data, in the axis order of the kind.
    bias : ndarray, shape (C_out, 2), or None
        Weights of the planes on the data; None from another branch.
    own : tuple of int, or None
        Weights that hand the planes on, 0 from another branch; None to an output,
        which has none.
    """
    place, kernel = connection.place, (weight.shape[2], weight.shape[3])
    up = connection.kind == "conv_transpose"
    data = weight.transpose(1, 0, 2, 3) if up else weight
    rows, columns = data.shape[:2]
    more = 0 if own is None else 2
    full = np.zeros((rows + more, columns + 2, *kernel), dtype=np.int64)
    full[:rows, :columns] = data
    for row, column in taps(connection, kernel) if bias is not None else ():
        full[:rows, columns:, row, column] = bias
        if own is not None:
            full[rows:, columns:, row, column] = np.diag(own)
    if up:
        return ConvTranspose(
            weight=full.transpose(1, 0, 2, 3),
            stride=place.stride,
            padding=place.padding,
            output_padding=place.output_padding,
        )
    return Conv(
        weight=full,
        stride=place.stride,
        padding=place.padding,
        dilation=place.dilation,
    )


def each_channel(
    weight: Ints, own: tuple[int, int], window: tuple[int, int] = (1, 1)
) -> Conv:
    """One weight for each channel, over a window of the same stride; planes last.

    Parameters
    ----------
    weight : ndarray, shape (C,)
        Of each value in the window.
    own : tuple of int
        Weights of the planes, of one value in the window.
    window : tuple of int
        Along (H, W).
    """
    full = np.zeros((len(weight) + 2, 1, *window), dtype=np.int64)
    full[:-2] = weight[:, None, None, None]
    full[-2:, 0, 0, 0] = own
    return Conv(weight=full, stride=window, groups=len(full))
