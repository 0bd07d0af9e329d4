# SPDX-License-Identifier: BSD-3-Clause
"""The check that every sum and potential fits 24 bits signed, and which comes first.

`sim.backend.OverflowLayerError` defines the place that every machine names.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from export.facts import STATE
from export.network import Network
from export.synapse import IntArray
from sim.backend import OverflowLayerError, Simulator


def check_state(
    values: npt.NDArray[np.int64], layer: str, step: int, what: str
) -> None:
    """Raise `OverflowLayerError` unless all ``values`` fit 24 bits signed."""
    low, high = int(values.min()), int(values.max())
    if not STATE.contains(low, high):
        worst = low if low < STATE.minimum else high
        raise OverflowLayerError(layer, step, f"{what} {worst}")


@contextlib.contextmanager
def of_image(image: int) -> Iterator[None]:
    """Say of an overflow within this context which image it belongs to."""
    try:
        yield
    except OverflowLayerError as error:
        error.image = image
        raise


def first_in_order(
    simulator: Simulator,
    network: Network,
    images: IntArray,
    error: OverflowLayerError,
) -> OverflowLayerError:
    """Overflow of the first image that has one.

    On a machine that is clocked, images before that of ``error`` may be under way in
    deeper layers when it happens. They run once more by themselves.

    Parameters
    ----------
    simulator : Simulator
        The machine.
    network : Network
        What runs.
    images : ndarray, shape (images, C, H, W)
        What was run.
    error : OverflowLayerError
        The first overflow in time.

    Returns
    -------
    OverflowLayerError
        ``error``, or that of an image before.
    """
    # An image leaves the deepest layer so many windows after it entered.
    behind = -(-max(network.stages.values()) // network.num_steps)
    start = max(0, error.image - behind)
    if start < error.image:
        try:
            simulator.run(network, images[start : error.image], layers=())
        except OverflowLayerError as earlier:
            earlier.image += start
            return earlier
    return error
