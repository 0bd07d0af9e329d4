# SPDX-License-Identifier: BSD-3-Clause
"""A Network in the running Lava runtime, fed with images while it runs.

Images lie one behind the other in time: image i enters at steps i * T + 1 ..
(i + 1) * T, and a layer of stage l has finished it l steps later. So several are
under way at once; arrays of `slots` windows, used over and over, hold what enters
and what is recorded.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.run_configs import RunConfig

from export.compartment import Accumulator
from export.network import Network
from export.synapse import IntArray
from sim.backend import OverflowLayerError
from sim.lava import runtime as lava_runtime
from sim.lava.processes.source import FrameSource
from sim.lava.shared_array import Tap
from sim.lava.stock_graph import Graph
from sim.recording import Payload, payload_dtype

#: (network, number of windows or None, taps) to the processes of its layers.
Build = Callable[[Network, "int | None", dict[str, Tap]], Graph]
Configure = Callable[[FrameSource, Graph], RunConfig]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pipeline:
    """Layers that run; made by `pipeline`.

    Parameters
    ----------
    network : Network
        What runs.
    frames : memmap, shape (slots, C, H, W), int32
        Images that enter.
    recorded : dict of str to memmap
        Payloads (slots, T, C, H, W) of recorded layers, output (slots, C, H, W).
    clock : memmap, shape (1,), int64
        Time step that the source has reached.
    runtime : lava_runtime.Run
        Lava's processes.
    """

    network: Network
    frames: Any
    recorded: dict[str, Any]
    clock: Any
    runtime: lava_runtime.Run

    @property
    def stages(self) -> int:
        """Steps that the deepest layer is behind; perhaps not the output."""
        return max(self.network.stages.values())

    def feed(self, window: int, images: IntArray) -> None:
        """Let images (images, C, H, W) enter from window ``window`` on."""
        slots = np.arange(window, window + len(images)) % len(self.frames)
        self.frames[slots] = images

    def advance(self, steps: int, watch: Callable[[int], None]) -> None:
        """Run that many time steps; ``watch(step)`` is called some times a second.

        Raises
        ------
        OverflowLayerError
            If a sum or a potential leaves 24 bits signed.
        BackendError
            If a Lava process fails or dies.
        """
        try:
            self.runtime.steps(steps, lambda: watch(int(self.clock[0])))
        except lava_runtime.OverflowsError as overflows:
            raise _first(overflows, self.network) from None

    def finished(self, window: int, count: int) -> dict[str, Payload]:
        """What was recorded in ``count`` windows from ``window`` on, copied."""
        slots = np.arange(window, window + count)
        return {n: array[slots % len(array)] for n, array in self.recorded.items()}


@contextlib.contextmanager
def pipeline(
    network: Network,
    build: Build,
    configure: Configure,
    *,
    slots: int,
    count: int | None,
    wanted: tuple[str, ...],
) -> Iterator[Pipeline]:
    """Start a Network's processes, and end them in any case.

    Parameters
    ----------
    network : Network
        What to run.
    build, configure : callable
        Make the processes, and choose their models.
    slots : int
        Windows that are held.
    count : int or None
        Windows after which the layers rest; None means never.
    wanted : tuple of str
        Layers to record; the output is, always.

    Yields
    ------
    Pipeline
        At time step 0.
    """
    folder = Path(tempfile.mkdtemp(prefix="loihi-unet-"))
    try:
        taps = _taps(network, wanted, slots, folder)
        frames = Tap(
            path=folder / "frames",
            shape=(slots, *network.input.shape),
            dtype=np.dtype(np.int32),
        ).create()
        clock = Tap(path=folder / "clock", shape=(1,), dtype=np.dtype(np.int64))
        clock.create()
        opened = {name: tap.open() for name, tap in taps.items()}
        with contextlib.ExitStack() as stack:
            with lava_runtime.tidy():
                source = FrameSource(
                    frames=frames,
                    num_steps=network.num_steps,
                    clock=clock.path,
                    name=network.input.name,
                )
                graph = build(network, count, taps)
                for entry in graph.entries:
                    source.s_out.connect(entry)
                config = configure(source, graph)
                running = Pipeline(
                    network=network,
                    frames=frames.open(),
                    recorded=opened,
                    clock=clock.open(),
                    runtime=stack.enter_context(lava_runtime.running(source, config)),
                )
            # Every process has mapped its file; what has no name any more is
            # freed with the last of them, even if this one is killed.
            shutil.rmtree(folder)
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # as a rule it is gone


def _taps(
    network: Network, wanted: tuple[str, ...], slots: int, folder: Path
) -> dict[str, Tap]:
    """Files for the payloads of the wanted layers and for the output."""
    taps = {}
    for number, layer in enumerate(network.layers):
        path = folder / f"layer{number}"
        if layer.name in wanted:
            taps[layer.name] = Tap(
                path=path,
                shape=(slots, network.num_steps, *layer.shape),
                dtype=payload_dtype(layer.magnitude),
            ).create()
        elif layer is network.output and isinstance(layer.compartment, Accumulator):
            taps[layer.name] = Tap(
                path=path, shape=(slots, *layer.shape), dtype=np.dtype(np.int32)
            ).create()
    return taps


def _first(
    overflows: lava_runtime.OverflowsError, network: Network
) -> OverflowLayerError:
    """Of overflows in one time step, that which `OverflowLayerError` defines."""
    order = [layer.name for layer in network.layers]

    def rank(error: OverflowLayerError) -> tuple[int, int, int]:
        layer = network.layers[order.index(error.layer)]
        inputs = [f"input from '{c.source}'" for c in layer.connections]
        named = [i for i, text in enumerate(inputs) if text in str(error)]
        kind = named[0] if named else len(inputs)
        return error.image, order.index(error.layer), kind

    return min(overflows.errors, key=rank)
