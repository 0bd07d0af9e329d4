# SPDX-License-Identifier: BSD-3-Clause
"""What all machines share when they run a Stream: bookkeeping, no arithmetic."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from export.stock_network import Stream
from export.synapse import IntArray
from sim.backend import OverflowLayerError, Progress
from sim.recording import Payload, Recording, identity, payload_dtype, recordable

# One run: input (T, C, H, W), or (C, H, W) if constant -> traces by name,
# each (T, C, H, W).
RunOne = Callable[[Stream, IntArray], Mapping[str, Payload]]


def record(
    name: str,
    run_one: RunOne,
    network: Stream,
    images: npt.ArrayLike,
    layers: tuple[str, ...] | None,
    progress: Progress | None,
    versions: Mapping[str, str],
) -> Recording:
    """Run each input from rest and record; see `sim.backend.Simulator.run`.

    Parameters
    ----------
    name : str
        Backend.
    run_one : callable
        Gives at least the traces that were asked for.
    network : Stream
        What runs.
    images, layers, progress
        As for `Simulator.run`.
    versions : mapping
        Software that runs.
    """
    started = time.perf_counter()
    runs = network.check_runs(images)
    wanted = recordable(network, layers)
    found: dict[str, list[Payload]] = {trace: [] for trace in wanted}
    for number, values in enumerate(runs):
        try:
            traces = run_one(network, values)
        except OverflowLayerError as error:
            error.image = number
            raise
        for trace in wanted:
            found[trace].append(traces[trace].astype(trace_dtype(network, trace)))
        if progress:
            progress(number + 1, len(runs))
    return Recording(
        backend=name,
        **identity(network),
        steps=tuple(range(network.num_steps)),
        images=runs,
        payloads={trace: np.stack(values) for trace, values in found.items()},
        output=None,
        seconds=time.perf_counter() - started,
        versions=versions,
    )


def trace_dtype(network: Stream, trace: str) -> np.dtype[np.integer]:  # type: ignore[type-arg]
    """Dtype that a trace is recorded in: int32 for states."""
    if ":" in trace:
        return np.dtype(np.int32)
    return payload_dtype(network.nodes[trace].magnitude)
