# SPDX-License-Identifier: BSD-3-Clause
"""Frames in, results out, in constant memory: video and whole data sets."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from export.errors import NetworkError
from export.network import Network
from sim.backend import OverflowLayerError, Pipelined, Simulator, create
from sim.recording import Recording

#: Image sizes that stay prepared at once: portrait, landscape and two more.
SIZES = 4


def stream(
    network: Network,
    frames: Iterable[npt.ArrayLike],
    *,
    backend: str | Simulator = "torch",
    batch: int = 1,
    layers: tuple[str, ...] | None = (),
    progress: Callable[[float], None] | None = None,
) -> Iterator[Recording]:
    """Run frames as they come; each has its own window of T steps.

    Memory does not grow with the number of frames: at most ``batch`` of them are
    read ahead, and nothing is kept of those already given out. The results are
    those of one `Simulator.run` over all frames, cut into pieces. Lava's runtime
    stays up, with as many frames under way as the network is windows deep.

    Parameters
    ----------
    network : Network
        What to run. Frames of another size run on ``network.resized``.
    frames : iterable of array_like of int, shape (C, H, W)
        Payloads of the input, within its declared range; may be endless.
    backend : str or Simulator
        A name that `sim.backend.create` knows, or a backend that exists already.
    batch : int
        Frames to run together if their sizes agree.
    layers : tuple of str or None
        Spiking layers to record; None means all, the default none.
    progress : callable or None
        Called now and then with the number of frames done, fractions included.

    Yields
    ------
    Recording
        Of up to ``batch`` frames, in order.

    Raises
    ------
    NetworkError
        If a frame does not fit the network.
    OverflowLayerError
        If a sum or potential leaves 24 bits signed.

    Examples
    --------
    >>> from sim.selftest import small_network
    >>> frames = (np.full((1, 8, 8), level) for level in (0, 100, 200))
    >>> [r.output.shape for r in stream(small_network(), frames, batch=2)]
    [(2, 1, 8, 8), (1, 1, 8, 8)]
    """
    simulator = create(backend) if isinstance(backend, str) else backend
    resized = functools.lru_cache(maxsize=SIZES)(network.resized)
    given = 0
    for size, alike in itertools.groupby(map(_frame, frames), lambda x: x.shape[1:]):
        same = size == network.input.shape[1:]
        sized = network if same else resized(*size)
        batches = _batches(alike, batch)
        tell = functools.partial(_tell, progress, given)
        if isinstance(simulator, Pipelined) and network.in_windows:
            parts = simulator.stream(
                sized, batches, batch=batch, layers=layers, progress=tell
            )
        else:
            parts = _one_by_one(simulator, sized, batches, layers, tell)
        with _counted_from(given), _closed(parts):
            for recording in parts:
                given += len(recording.images)
                yield recording


@contextlib.contextmanager
def _closed(parts: Iterator[Recording]) -> Iterator[None]:
    """Stop the backend when the reader stops, as ``yield from`` would."""
    try:
        yield
    finally:
        if isinstance(parts, Generator):
            parts.close()


@contextlib.contextmanager
def _counted_from(first: int) -> Iterator[None]:
    """Let an overflow name the frame, of which ``first`` have gone before."""
    try:
        yield
    except OverflowLayerError as error:
        error.image += first
        raise


def _tell(progress: Callable[[float], None] | None, before: int, done: float) -> None:
    if progress:
        progress(before + done)


def _one_by_one(
    simulator: Simulator,
    network: Network,
    batches: Iterator[npt.NDArray[np.generic]],
    layers: tuple[str, ...] | None,
    progress: Callable[[float], None],
) -> Iterator[Recording]:
    before = 0
    for images in batches:
        count = len(images)

        def tell(done: int, total: int, before: int = before, n: int = count) -> None:
            progress(before + n * done / total)

        with _counted_from(before):
            recording = simulator.run(network, images, layers=layers, progress=tell)
        yield recording
        before += count


def _frame(values: npt.ArrayLike) -> npt.NDArray[np.generic]:
    array = np.asarray(values)
    if array.ndim != 3:
        raise NetworkError(f"frame: shape {array.shape} found, (C, H, W) needed")
    return array


def _batches(
    frames: Iterator[npt.NDArray[np.generic]], batch: int
) -> Iterator[npt.NDArray[np.generic]]:
    """Consecutive frames, at most ``batch``, as (images, C, H, W)."""
    while waiting := list(itertools.islice(frames, batch)):
        stacked = np.stack(waiting)
        del waiting
        yield stacked
