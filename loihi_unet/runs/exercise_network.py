# SPDX-License-Identifier: BSD-3-Clause
"""Two backends on pictures that are made to exercise a network file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from export.images import size_multiple
from export.network import Network
from loihi_unet.runs.network_source import load_for_pictures
from sim.backend import BackendError, Progress, check_name
from sim.coverage.choose import choose
from sim.coverage.exercise import Exercise, exercise

#: Side of the pictures, in pixels. Weights do not depend on it, time does.
SIDE = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Exercised:
    """What ran, and what came out.

    Attributes
    ----------
    network : Network
        At the pictures' size.
    exercise : Exercise
        The verdict.
    """

    network: Network
    exercise: Exercise


def exercise_network(
    path: Path,
    backends: tuple[str, str],
    *,
    size: tuple[int, int] | None = None,
    count: int | None = None,
    seed: int = 0,
    progress: Callable[[str], Progress],
) -> Exercised:
    """Make pictures on torch, and run two backends on them.

    Parameters
    ----------
    path : Path
        netx file.
    backends : tuple of str
        Two different names that `sim.backend.create` knows.
    size : tuple of int, optional
        (H, W) of the pictures; None: that of the file, but not more than `SIDE`.
    count : int, optional
        How many pictures; None: until coverage no longer grows.
    seed : int
        Decides the pictures.
    progress : callable
        ``progress(title)`` gives a callable that takes (done, all).

    Raises
    ------
    BackendError
        If the two backends are one, or one does not exist.
    DataError
        If the network has stock neurons, which take no pictures.
    NetworkError
        If it cannot take that size.
    """
    for name in backends:
        check_name(name)
    if backends[0] == backends[1]:
        raise BackendError(f"verify: backend '{backends[0]}' twice; two needed")
    network = load_for_pictures(path)
    network = network.resized(*(size or _size(network)))
    chosen = choose(
        network, count=count, seed=seed, progress=progress("weights that had a say")
    )
    result = exercise(
        network,
        chosen,
        backends,
        progress=progress(f"{' and '.join(backends)}, pictures"),
    )
    return Exercised(network=network, exercise=result)


def _size(network: Network) -> tuple[int, int]:
    """The file's size, or the multiple next to `SIDE` that the network takes."""
    height, width = (
        min(n, -(-SIDE // m) * m)
        for n, m in zip(network.input.shape[1:], size_multiple(network), strict=True)
    )
    return height, width
