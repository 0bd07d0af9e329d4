# SPDX-License-Identifier: BSD-3-Clause
"""The Lava CPU runtime as a backend: every layer a Process, one step per hop."""

from __future__ import annotations

import contextlib
import importlib.metadata
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt
from lava.magma.core.model.model import AbstractProcessModel
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import Loihi2SimCfg, RunConfig
from lava.proc.conv.process import Conv

from export import compartment
from export.network import Network
from export.synapse import IntArray
from sim import stock_run
from sim.backend import BackendError, OverflowLayerError, Progress
from sim.base import BaseSimulator
from sim.lava import fast_graph as lava_layers
from sim.lava import stock as lava_stock
from sim.lava import stock_graph as lava_graph
from sim.lava.pipeline import Pipeline, pipeline
from sim.lava.processes.compartment import (
    MTIF,
    Accumulator,
    PyAccumulatorModel,
    PyMTIFModel,
)
from sim.lava.processes.delay import DelayLine, PyDelayLineModel
from sim.lava.processes.layer import Layer
from sim.lava.processes.source import FrameSource, PyFrameSourceModel
from sim.lava.shared_array import Tap
from sim.lava.stock_conv import PyRememberingConvModel
from sim.overflow import first_in_order
from sim.recording import Payload, Recording, identity, recordable


class LavaSimulator(BaseSimulator):
    """Runs a Network in Lava, all images as one pipelined stream.

    Parameters
    ----------
    conv : {"fast", "stock"}
        The project's own convolution, one Process per layer; or the Conv that
        lava-nc ships, one Process per connection, line and compartment.

    Raises
    ------
    BackendError
        If ``conv`` is neither.
    """

    def __init__(self, conv: Literal["fast", "stock"] = "fast") -> None:
        if conv not in ("fast", "stock"):
            raise BackendError(f"conv '{conv}': fast, stock are allowed")
        self.conv = conv
        self.name = "lava" if conv == "fast" else "lava-stock"

    def run_checked(
        self,
        network: Network,
        images: IntArray,
        wanted: tuple[str, ...],
        progress: Progress | None,
    ) -> Recording:
        """Run the images as one stream through Lava.

        Raises
        ------
        BackendError
            With the stock Conv, if a sum might leave 24 bits signed; if a Lava
            process fails or dies.
        """
        started = time.perf_counter()
        count = len(images)
        # Silence follows the last image until the deepest layer has seen it.
        slots = count + _behind(network)
        try:
            with self._pipeline(network, slots, count, wanted) as running:
                running.feed(0, images)
                total = count * network.num_steps + running.stages

                def watch(step: int) -> None:
                    if progress:
                        progress(step, total)

                running.advance(total, watch)
                payloads = running.finished(0, count)
        except OverflowLayerError as error:
            raise first_in_order(self, network, images, error) from None
        return self._recording(network, images, payloads, time.perf_counter() - started)

    def stream(
        self,
        network: Network,
        batches: Iterable[npt.ArrayLike],
        *,
        batch: int,
        layers: tuple[str, ...] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Iterator[Recording]:
        """Run images as they come, in a runtime that stays up.

        A recording follows its images by as many windows as the network is deep.

        Parameters
        ----------
        network : Network
            What to run.
        batches : iterable of array_like of int, shape (images, C, H, W)
            Images, up to ``batch`` at a time; each is read when the runtime has
            done with the one before.
        batch : int
            Bounds what is held: ``batch`` and the images under way.
        layers : tuple of str or None
            Spiking layers to record; None means all.
        progress : callable or None
            Called now and then with the number of images done, fractions included.

        Yields
        ------
        Recording
            Of consecutive images, in order.

        Raises
        ------
        OverflowLayerError, BackendError
            As `run`.
        """
        T = network.num_steps
        images: deque[IntArray] = deque()
        entered = given = 0
        slots = batch + _behind(network)
        started = time.perf_counter()
        try:
            with self._pipeline(
                network, slots, None, recordable(network, layers)
            ) as running:

                def watch(step: int) -> None:
                    if progress:
                        progress(max(0, step - running.stages) / T)

                def finished(steps: int) -> Iterator[Recording]:
                    nonlocal given, started
                    done = (steps - running.stages) // T - given
                    if done > 0:
                        payloads = running.finished(given, done)
                        shown = np.stack([images.popleft() for _ in range(done)])
                        seconds = time.perf_counter() - started
                        yield self._recording(network, shown, payloads, seconds)
                        given += done
                        started = time.perf_counter()

                for some in batches:
                    checked = network.input.check(some)
                    running.feed(entered, checked)
                    images.extend(checked)
                    entered += len(checked)
                    running.advance(len(checked) * T, watch)
                    yield from finished(entered * T)
                # What follows the last image must not fail where that did not: itself,
                # window by window, since each needs the place of one that is finished.
                last = entered * T + running.stages if entered else 0
                for steps in range(entered * T, last, T):
                    running.feed(steps // T, images[-1][None])
                    end = min(steps + T, last)
                    running.advance(end - steps, watch)
                    yield from finished(end)
        except OverflowLayerError as error:
            error.image -= given  # among those that are under way
            first = first_in_order(self, network, np.stack(images), error)
            first.image += given
            raise first from None

    def stock_runner(self) -> stock_run.RunOne:
        """Return what runs a network of stock neurons on one input."""
        return lava_stock.runner(self.conv)

    def versions(self) -> dict[str, str]:
        """Return Lava's and NumPy's versions."""
        return {
            "lava-nc": importlib.metadata.version("lava-nc"),
            "numpy": np.__version__,
        }

    def _pipeline(
        self,
        network: Network,
        slots: int,
        count: int | None,
        wanted: tuple[str, ...],
    ) -> contextlib.AbstractContextManager[Pipeline]:
        if self.conv == "stock":
            lava_graph.check_bounds(network)

        def build(
            network: Network, count: int | None, taps: dict[str, Tap]
        ) -> lava_graph.Graph:
            make = lava_layers.build if self.conv == "fast" else lava_graph.build
            return make(network, num_windows=count, taps=taps)

        return pipeline(
            network, build, _config, slots=slots, count=count, wanted=wanted
        )

    def _recording(
        self,
        network: Network,
        images: IntArray,
        payloads: dict[str, Payload],
        seconds: float,
    ) -> Recording:
        output = None
        if isinstance(network.output.compartment, compartment.Accumulator):
            output = payloads.pop(network.output.name)
        return Recording(
            backend=self.name,
            **identity(network),
            steps=tuple(range(network.num_steps)),
            images=images,
            payloads=payloads,
            output=output,
            seconds=seconds,
            versions=self.versions(),
        )


def _behind(network: Network) -> int:
    """Windows by which the deepest layer is behind the input."""
    return -(-max(network.stages.values()) // network.num_steps)


def _config(source: FrameSource, graph: lava_graph.Graph) -> RunConfig:
    # Naming the model of each process spares Lava's search for models.
    models = {process: _model(process) for process in (source, *graph.processes)}
    return Loihi2SimCfg(exception_proc_model_map=models)


#: Models of the processes that are no `Layer`.
MODELS: dict[type[AbstractProcess], type[AbstractProcessModel]] = {
    FrameSource: PyFrameSourceModel,
    DelayLine: PyDelayLineModel,
    MTIF: PyMTIFModel,
    Accumulator: PyAccumulatorModel,
    Conv: PyRememberingConvModel,
}


def _model(process: AbstractProcess) -> type[AbstractProcessModel]:
    if isinstance(process, Layer):
        return lava_layers.model(process)
    return MODELS[type(process)]
