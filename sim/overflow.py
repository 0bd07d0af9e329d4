# SPDX-License-Identifier: BSD-3-Clause
"""The check that every sum and potential fits 24 bits signed, and which comes first.

`sim.backend.OverflowLayerError` defines the place that every backend names.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy.typing as npt

from export.facts import STATE
from export.network import Network
from export.synapse import IntArray
from sim.backend import OverflowLayerError, Simulator


def extremes(values: npt.NDArray[Any]) -> tuple[int, int]:
    """Smallest and largest of integers, of any shape but an empty one."""
    return int(values.min()), int(values.max())


def overflow(
    extremes: tuple[int, int], layer: str, step: int, what: str, image: int = 0
) -> OverflowLayerError | None:
    """Error of sums or potentials that do not fit 24 bits signed.

    Parameters
    ----------
    extremes : tuple of int
        The smallest and the largest value of the layer at that step.
    layer, step, image
        As `OverflowLayerError` takes them.
    what : str
        Which quantity, without its value.

    Returns
    -------
    OverflowLayerError or None
        Names the smallest value if it is too small, else the largest; None if all
        values fit.

    Examples
    --------
    >>> overflow((-5, 2**23 - 1), "mid", 3, "potential") is None
    True
    >>> overflow((-5, 2**23), "mid", 3, "potential").what
    'potential 8388608'
    """
    low, high = extremes
    if STATE.contains(low, high):
        return None
    worst = low if low < STATE.minimum else high
    return OverflowLayerError(layer, step, f"{what} {worst}", image)


def check_range(extremes: tuple[int, int], layer: str, step: int, what: str) -> None:
    """Raise the error of `overflow` unless there is none."""
    error = overflow(extremes, layer, step, what)
    if error is not None:
        raise error


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

    On a backend that is clocked, images before that of ``error`` may be under way in
    deeper layers when it happens. They run once more by themselves.

    Parameters
    ----------
    simulator : Simulator
        The backend.
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
