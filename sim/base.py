# SPDX-License-Identifier: BSD-3-Clause
"""What the backends of this package share before the first step of a run."""

from __future__ import annotations

import abc
from collections.abc import Mapping

import numpy.typing as npt

from export.network import Network
from export.stock_network import StockNetwork
from export.synapse import IntArray
from sim import stock_run
from sim.backend import Progress
from sim.recording import Recording, recordable


class BaseSimulator(abc.ABC):
    """A `sim.backend.Simulator` that is given nothing but what it can run."""

    name: str

    def run(
        self,
        network: Network,
        images: npt.ArrayLike,
        *,
        layers: tuple[str, ...] | None = None,
        progress: Progress | None = None,
    ) -> Recording:
        """Check what enters and run it; see `sim.backend.Simulator.run`."""
        if isinstance(network, StockNetwork):
            return stock_run.record(
                self.name,
                self.stock_runner(),
                network,
                images,
                layers,
                progress,
                self.versions(),
            )
        checked = network.input.check(images)
        return self.run_checked(network, checked, recordable(network, layers), progress)

    @abc.abstractmethod
    def run_checked(
        self,
        network: Network,
        images: IntArray,
        wanted: tuple[str, ...],
        progress: Progress | None,
    ) -> Recording:
        """Run images that are within the range of the input.

        Parameters
        ----------
        network : Network
            What to run.
        images : ndarray, shape (images, C, H, W)
            From `Input.check`.
        wanted : tuple of str
            From `sim.recording.recordable`.
        progress : callable or None
            Called with (done, total) now and then.

        Returns
        -------
        Recording
            Of all images.

        Raises
        ------
        OverflowLayerError
            If a sum or potential leaves 24 bits signed.
        """

    @abc.abstractmethod
    def stock_runner(self) -> stock_run.RunOne:
        """Return what runs a network of stock neurons on one input."""

    @abc.abstractmethod
    def versions(self) -> Mapping[str, str]:
        """Return the software that runs, by name."""
