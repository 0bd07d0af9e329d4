# SPDX-License-Identifier: BSD-3-Clause
"""The same integers in torch, layer by layer, on CPU or CUDA.

A window needs no clock: with aligned delays, algorithm step t of a layer uses
step t of its sources, so a layer runs all its T steps before the next one begins,
many steps in one batch. The input is constant over a window, so a connection from
it is computed once.

Exactness is argued in `sim.torch.exact` (sums) and `sim.torch.compartment`
(closed form); `sim.torch.plan` chooses the arithmetic from static bounds.
"""

from __future__ import annotations

import time
import weakref

import numpy as np
import numpy.typing as npt
import torch

from export.network import Network
from export.stock_network import StockNetwork
from export.synapse import IntArray
from sim import stock_run
from sim.backend import BackendError, OverflowLayerError, Progress
from sim.base import BaseSimulator
from sim.recording import Payload, Recording, identity
from sim.torch.exact import exact_arithmetic
from sim.torch.plan import PreparedLayer, prepare_network
from sim.torch.stock import StockRunner
from sim.torch.stock_clock import StockClock
from sim.torch.window import Window


class TorchSimulator(BaseSimulator):
    """Layer-by-layer simulation with many steps in the batch.

    Networks are prepared (weights packed, bounds computed) when they first run, and
    stay prepared while they live.

    Parameters
    ----------
    device : str
        ``"cpu"`` or ``"cuda"``.
    batch : int
        Images that run together.

    Raises
    ------
    BackendError
        If the device is missing.
    """

    def __init__(self, device: str = "cpu", batch: int = 1) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise BackendError("backend 'cuda': torch finds no CUDA device here")
        self.name = "torch" if device == "cpu" else device
        self.device = torch.device(device)
        self.batch = batch
        self._stock_runner = StockRunner(self.device)
        self._prepared: weakref.WeakKeyDictionary[
            Network, tuple[PreparedLayer, ...]
        ] = weakref.WeakKeyDictionary()

    @torch.inference_mode()
    @exact_arithmetic()
    def run(
        self,
        network: Network,
        images: npt.ArrayLike,
        *,
        layers: tuple[str, ...] | None = None,
        progress: Progress | None = None,
    ) -> Recording:
        """Run the images, some at a time; see `sim.backend.Simulator.run`."""
        return super().run(network, images, layers=layers, progress=progress)

    def run_checked(
        self,
        network: Network,
        images: IntArray,
        wanted: tuple[str, ...],
        progress: Progress | None,
    ) -> Recording:
        """Run the images, ``batch`` of them at a time."""
        started = time.perf_counter()
        if network not in self._prepared:
            self._prepared[network] = prepare_network(network, self.device)
        plan = self._prepared[network]
        payloads: dict[str, list[Payload]] = {name: [] for name in wanted}
        outputs: list[Payload] = []
        for first in range(0, len(images), self.batch):
            together = images[first : first + self.batch]
            window = Window(network, together, self.device)
            for number, prepared in enumerate(plan):
                name = prepared.layer.name
                try:
                    output = window.run(prepared)
                except OverflowLayerError as error:
                    earliest = self._first_overflow(network, together) or error
                    earliest.image += first
                    raise earliest from None
                if output is not None:
                    outputs.append(output.cpu().numpy())
                if name in payloads:
                    payloads[name].append(window.recorded(prepared))
                window.forget(name)
                if progress:
                    done = first * len(plan) + window.images * (number + 1)
                    progress(done, len(images) * len(plan))
        return Recording(
            backend=self.name,
            **identity(network),
            steps=tuple(range(network.num_steps)),
            images=images,
            payloads={name: np.concatenate(p) for name, p in payloads.items()},
            output=np.concatenate(outputs) if outputs else None,
            seconds=time.perf_counter() - started,
            versions=self.versions(),
        )

    def stock_runner(self) -> stock_run.RunOne:
        """Return what runs a network of stock neurons on one input."""
        return self._stock_runner

    def clock(self, network: StockNetwork) -> StockClock:
        """Give the network at rest; see `sim.backend.Clocked`."""
        return StockClock(network, self._stock_runner.sums_of)

    def versions(self) -> dict[str, str]:
        """Return torch's version."""
        return {"torch": torch.__version__}

    def _first_overflow(
        self, network: Network, images: IntArray
    ) -> OverflowLayerError | None:
        """Find the place that `OverflowLayerError` defines, image by image.

        Layer by layer, a window first meets the overflow of its first layer, not that
        of its first time step. So it runs again up to the time step of the overflow
        that was found, without that step, until there is none: then with it. All
        values before the first overflow are right, and nothing else is looked at.
        """
        for number in range(len(images)):
            alone = images[number : number + 1]
            end = None
            while error := self._overflow(network, alone, end):
                end = error.step + network.stages[error.layer]
            if end is not None:
                first = self._overflow(network, alone, end + 1)
                assert first is not None  # the same arithmetic found it before
                first.image = number
                return first
        return None

    def _overflow(
        self, network: Network, images: IntArray, end: int | None
    ) -> OverflowLayerError | None:
        """First overflow, layer by layer, before time step ``end`` of the chip."""
        window = Window(network, images, self.device, end)
        for prepared in self._prepared[network]:
            try:
                window.run(prepared)
            except OverflowLayerError as error:
                return error
            window.forget(prepared.layer.name)
        return None
