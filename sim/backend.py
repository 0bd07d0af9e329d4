# SPDX-License-Identifier: BSD-3-Clause
"""The protocol of a backend that runs a Network, and the table of backends."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol, cast, runtime_checkable

import numpy.typing as npt

from export.errors import one_line
from export.network import Network
from export.stock_network import StockNetwork
from export.synapse import IntArray
from sim import foreign
from sim.errors import BackendError as BackendError
from sim.errors import OverflowLayerError as OverflowLayerError
from sim.recording import Recording

Progress = Callable[[int, int], None]  # (done, total)


class Simulator(Protocol):
    """A backend that runs a Network.

    Implementations have no state between runs.
    """

    name: str

    def run(
        self,
        network: Network,
        images: npt.ArrayLike,
        *,
        layers: tuple[str, ...] | None = None,
        progress: Progress | None = None,
    ) -> Recording:
        """Run all images, each over a window of ``network.num_steps`` steps.

        Parameters
        ----------
        network : Network
            What to run.
        images : array_like of int, shape (images, C, H, W)
            Payloads of the input, within its declared range.
        layers : tuple of str or None
            Spiking layers to record; None means all.
        progress : callable or None
            Called with (done, total) now and then.

        Returns
        -------
        Recording
            Payloads of the recorded layers at every step, and the output.

        Raises
        ------
        OverflowLayerError
            If a sum or potential leaves 24 bits signed.
        """
        ...


@runtime_checkable
class Pipelined(Simulator, Protocol):
    """A backend in which several images are under way at once."""

    def stream(
        self,
        network: Network,
        batches: Iterable[npt.ArrayLike],
        *,
        batch: int,
        layers: tuple[str, ...] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Iterator[Recording]:
        """Run images as they come; `sim.streaming.stream` is how to call it.

        Parameters
        ----------
        network : Network
            What to run.
        batches : iterable of array_like of int, shape (images, C, H, W)
            Images, up to ``batch`` at a time.
        batch : int
            Bounds what is held.
        layers : tuple of str or None
            Spiking layers to record; None means all.
        progress : callable or None
            Called now and then with the number of images done, fractions included.

        Yields
        ------
        Recording
            Of consecutive images, in order.
        """
        ...


class Clock(Protocol):
    """A network of stock neurons under way, whose state stays from step to step."""

    def step(self, frame: IntArray) -> Mapping[str, IntArray]:
        """Advance by a step.

        Parameters
        ----------
        frame : ndarray of int, shape (C, H, W)
            What enters.

        Returns
        -------
        mapping of str to ndarray, shape (C, H, W)
            Each of `StockNetwork.traces` after the step.

        Raises
        ------
        OverflowLayerError
            With layer and step, as `Simulator.run`.
        """
        ...


@runtime_checkable
class Clocked(Simulator, Protocol):
    """A backend that runs stock neurons step by step, without end."""

    def clock(self, network: StockNetwork) -> Clock:
        """Give the network at rest."""
        ...

    def versions(self) -> Mapping[str, str]:
        """Return the software that runs, by name."""
        ...


# name -> (module, class, keyword arguments); imported only when asked for.
BACKENDS: dict[str, tuple[str, str, dict[str, str | int]]] = {
    "reference": ("sim.reference.simulator", "ReferenceSimulator", {}),
    "torch": ("sim.torch.simulator", "TorchSimulator", {"device": "cpu"}),
    "cuda": ("sim.torch.simulator", "TorchSimulator", {"device": "cuda", "batch": 8}),
    "lava": ("sim.lava.simulator", "LavaSimulator", {"conv": "fast"}),
    "lava-stock": ("sim.lava.simulator", "LavaSimulator", {"conv": "stock"}),
}


def names() -> list[str]:
    """Backends of this project, and those that other packages bring.

    Returns
    -------
    list of str
        Names that `create` knows; ``module:Class`` is allowed as well.
    """
    return [*BACKENDS, *(n for n in foreign.installed() if n not in BACKENDS)]


def check_name(name: str) -> None:
    """Raise `BackendError` unless that is a backend's name, or ``module:Class``."""
    if name in BACKENDS or foreign.is_class(name):
        return  # without a look at every package that is installed
    if name not in names():
        raise BackendError(
            f"backend '{name}': {', '.join(names())} are allowed, or module:Class of "
            "a backend of your own"
        )


def create(name: str) -> Simulator:
    """Make the simulator of that name.

    Parameters
    ----------
    name : str
        One of `names`, or ``module:Class`` for a class of anybody's that is called
        without arguments; a module in the current folder is found, too. A name of
        `BACKENDS` always means this project's backend.

    Returns
    -------
    Simulator
        Ready to run.

    Raises
    ------
    BackendError
        If there is no such backend, or what it needs is not installed.
    """
    check_name(name)
    if name not in BACKENDS:
        return cast(Simulator, foreign.create(name))
    module, kind, arguments = BACKENDS[name]
    if name.startswith("lava") and not hasattr(os, "fork"):
        raise BackendError(
            f"backend '{name}': needs a system that can fork (Linux, macOS); the "
            "backends reference, torch and cuda need none"
        )
    try:
        factory = getattr(importlib.import_module(module), kind)
    except ModuleNotFoundError as error:
        raise BackendError(
            f"backend '{name}': needs '{error.name}', which is not installed here; "
            f"{foreign.remedy(error.name or '')}"
        ) from error
    except Exception as error:
        if not name.startswith("lava"):
            raise
        # Another release of Lava, or an installation damaged in any way.
        text = one_line(f"{type(error).__name__}: {error}")
        raise BackendError(
            f"backend '{name}': Lava cannot be imported here ({text}); "
            "run: loihi-unet setup-lava"
        ) from error
    return cast(Simulator, factory(**arguments))
