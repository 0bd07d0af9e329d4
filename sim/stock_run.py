# SPDX-License-Identifier: BSD-3-Clause
"""What all backends share when they run a StockNetwork: bookkeeping, no arithmetic."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from export.stock_network import StockLayer, StockNetwork
from export.synapse import Dense, IntArray, StockSynapse
from sim.backend import OverflowLayerError, Progress
from sim.recording import Payload, Recording, identity, payload_dtype, recordable

# One run: input (T, C, H, W), or (C, H, W) if constant, and the traces that are wanted
# -> those at least, by name, each (T, C, H, W).
RunOne = Callable[[StockNetwork, IntArray, tuple[str, ...]], Mapping[str, Payload]]


def record(
    name: str,
    run_one: RunOne,
    network: StockNetwork,
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
    network : StockNetwork
        What runs.
    images, layers, progress
        As for `Simulator.run`.
    versions : mapping
        Software that runs.
    """
    started = time.perf_counter()
    runs = network.check_runs(images)
    wanted = recordable(network, layers)
    collected: dict[str, list[Payload]] = {trace: [] for trace in wanted}
    for number, values in enumerate(runs):
        try:
            traces = run_one(network, values, wanted)
        except OverflowLayerError as error:
            error.image = number
            raise
        for trace in wanted:
            collected[trace].append(traces[trace].astype(trace_dtype(network, trace)))
        if progress:
            progress(number + 1, len(runs))
    return Recording(
        backend=name,
        **identity(network),
        steps=tuple(range(network.num_steps)),
        images=runs,
        payloads={trace: np.stack(values) for trace, values in collected.items()},
        output=None,
        seconds=time.perf_counter() - started,
        versions=versions,
    )


def trace_dtype(network: StockNetwork, trace: str) -> np.dtype[np.integer]:  # type: ignore[type-arg]
    """Dtype that a trace is recorded in: int32 for states."""
    if ":" in trace:
        return np.dtype(np.int32)
    return payload_dtype(network.nodes[trace].magnitude)


def arriving(layer: StockLayer) -> str:
    """What an error calls the sum of all that arrives at a layer."""
    if len(layer.connections) == 1:
        return f"input from '{layer.connections[0].source}'"
    return "sum of all inputs"


def by_delay(synapse: StockSynapse) -> list[tuple[int, StockSynapse]]:
    """Parts of a synapse by their extra delay; the weights of the others are zero."""
    if not isinstance(synapse, Dense) or synapse.delay is None:
        return [(0, synapse)]
    return [
        (int(d), Dense(weight=np.where(synapse.delay == d, synapse.weight, 0)))
        for d in np.unique(synapse.delay)
    ]
