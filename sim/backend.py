# SPDX-License-Identifier: BSD-3-Clause
"""The protocol of a backend that runs a Network, and the table of backends."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, cast, runtime_checkable

import numpy.typing as npt

from export.errors import UserError, one_line
from export.network import Network
from sim.recording import Recording

Progress = Callable[[int, int], None]  # (done, total)


class OverflowLayerError(UserError):
    """A sum or a potential left 24 bits signed; names layer and step.

    Where several do, every backend names the same one: of the first image in which
    any does, what happens at the first time step of the chip (a layer of stage l does
    step t at time step t + l of its image); of that time step, the first layer in the
    order of the network; of that layer, the first connection, or else the potential.
    The value is the worst of that layer's at that step: the smallest if it is too
    small, else the largest.

    Parameters
    ----------
    layer : str
        Layer whose compartment would overflow.
    step : int
        Algorithm step 0..T-1.
    what : str
        Which quantity, and its value.
    image : int
        Index of the image in its run.
    """

    def __init__(self, layer: str, step: int, what: str, image: int = 0) -> None:
        super().__init__(f"layer '{layer}', step {step}: {what} outside 24 bits signed")
        self.layer = layer
        self.step = step
        self.what = what
        self.image = image

    def __reduce__(self) -> tuple[type[OverflowLayerError], tuple[str, int, str, int]]:
        # Raised in the processes of Lava's runtime; must survive pickling.
        return type(self), (self.layer, self.step, self.what, self.image)


class BackendError(UserError):
    """A backend that does not exist or cannot run here; says what to do.

    Parameters
    ----------
    text : str
        Kept as it is: may end in the traceback of a Lava process.
    """

    def __init__(self, text: str) -> None:
        ValueError.__init__(self, text)


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


# name -> (module, class, keyword arguments); imported only when asked for.
BACKENDS: dict[str, tuple[str, str, dict[str, str | int]]] = {
    "reference": ("sim.reference.simulator", "ReferenceSimulator", {}),
    "torch": ("sim.torch.simulator", "TorchSimulator", {"device": "cpu"}),
    "cuda": ("sim.torch.simulator", "TorchSimulator", {"device": "cuda", "batch": 8}),
    "lava": ("sim.lava.simulator", "LavaSimulator", {"conv": "fast"}),
    "lava-stock": ("sim.lava.simulator", "LavaSimulator", {"conv": "stock"}),
}


def check_name(name: str) -> None:
    """Raise `BackendError` unless there is a backend of that name."""
    if name not in BACKENDS:
        raise BackendError(f"backend '{name}': {', '.join(BACKENDS)} are allowed")


def create(name: str) -> Simulator:
    """Make the simulator of that name.

    Parameters
    ----------
    name : str
        A key of `BACKENDS`.

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
            f"{_remedy(error.name or '')}"
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


def _remedy(module: str) -> str:
    package = module.split(".")[0]
    if package == "lava":
        return "run: loihi-unet setup-lava"
    return f"run: pip install {package}"
