# SPDX-License-Identifier: BSD-3-Clause
"""What a backend did: payloads of layers at steps, and the output accumulator."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from export.compartment import Accumulator
from export.errors import UserError
from export.network import Network
from export.synapse import Shape

Payload = npt.NDArray[np.integer[Any]]


class RecordingError(UserError):
    """A recording, or a file that should hold one, is not well formed."""


def payload_dtype(magnitude: int) -> np.dtype[Any]:
    """Smallest dtype that payloads up to ``magnitude`` are recorded in."""
    return np.dtype(np.uint8 if magnitude < 2**8 else np.int32)


def recordable(network: Network, layers: tuple[str, ...] | None) -> tuple[str, ...]:
    """Names of what to record, in network order.

    Parameters
    ----------
    network : Network
        Network that will run.
    layers : tuple of str or None
        Wanted layers; None means all. A StockNetwork's states count as layers.

    Returns
    -------
    tuple of str
        Names of spiking layers; for a StockNetwork, of `StockNetwork.traces`.

    Raises
    ------
    RecordingError
        If a name is not a spiking layer of the network.
    """
    spiking = list(network.traces)
    if layers is None:
        return tuple(spiking)
    for name in layers:
        if name not in spiking:
            raise RecordingError(f"layer '{name}': not a spiking layer of the network")
    return tuple(name for name in spiking if name in layers)


class Identity(TypedDict):
    """Arguments of a `Recording` that say which network ran."""

    network_sha256: str
    network_sha256_any_size: str
    num_steps: int
    layers: Mapping[str, Shape]
    has_output: bool


def identity(network: Network) -> Identity:
    """What a recording has to say of the network that ran.

    Parameters
    ----------
    network : Network
        At the size of the images that entered.

    Returns
    -------
    Identity
        Keyword arguments of `Recording`.
    """
    return Identity(
        network_sha256=network.sha256,
        network_sha256_any_size=network.sha256_any_size,
        num_steps=network.num_steps,
        layers={layer.name: layer.shape for layer in network.layers},
        has_output=isinstance(network.output.compartment, Accumulator),
    )


def layer_of(name: str, layers: Collection[str]) -> str | None:
    """The layer whose payload, or whose state (``"layer1:u"``), has that name."""
    owner = name if name in layers else name.rpartition(":")[0]
    return owner if owner in layers else None


def _check_integers(values: Payload, what: str) -> None:
    # uint64 and int64 would meet in float64, where unequal integers may be equal.
    if values.dtype.kind not in "iu" or values.dtype == np.uint64:
        raise RecordingError(
            f"recording {what}: dtype {values.dtype} found, integers up to int64 needed"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """Integers that one backend gave for some images.

    Parameters
    ----------
    backend : str
        Backend, e.g. ``"torch"``, ``"lava (stock Conv)"`` or a chip's name.
    network_sha256 : str or None
        `Network.sha256` of what ran; None if the backend could not tell.
        `Network.sha256_any_size` is taken here as well.
    num_steps : int
        T of the network.
    steps : tuple of int
        Recorded algorithm steps, ascending, each in 0..T-1.
    images : ndarray, shape (images, C, H, W), int32
        Integers that entered; (runs, T, C, H, W) if they changed at every step.
    payloads : mapping of str to ndarray, shape (images, len(steps), C, H, W)
        Graded spikes of each recorded layer; of a StockNetwork, also states after the
        step (``"layer1:u"``).
    output : ndarray, shape (images, C, H, W), int32, or None
        Accumulator after the last step; None if the last layer spikes, or the
        backend did not tell.
    seconds : float
        Wall clock of the run.
    versions : mapping of str to str
        Software that ran.
    network_sha256_any_size : str or None
        `Network.sha256_any_size` of what ran.
    layers : mapping of str to (C, H, W), or None
        All layers of the network that ran, in its order, recorded or not; None if
        the backend could not tell. Without it no verdict is EXACT.
    has_output : bool or None
        Whether the network's last layer is an accumulator, `output`, which sends
        nothing; None if the backend could not tell.
    """

    backend: str
    network_sha256: str | None
    num_steps: int
    steps: tuple[int, ...]
    images: Payload
    payloads: Mapping[str, Payload]
    output: Payload | None
    seconds: float
    versions: Mapping[str, str]
    network_sha256_any_size: str | None = None
    layers: Mapping[str, Shape] | None = None
    has_output: bool | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "payloads", MappingProxyType(dict(self.payloads)))
        object.__setattr__(self, "versions", MappingProxyType(dict(self.versions)))
        if list(self.steps) != sorted(set(self.steps)) or any(
            not 0 <= t < self.num_steps for t in self.steps
        ):
            raise RecordingError(
                f"recording steps: {self.steps} found, ascending steps within "
                f"0..{self.num_steps - 1} needed"
            )
        if self.images.ndim not in (4, 5):
            raise RecordingError(
                f"recording images: shape {self.images.shape} found, "
                "(images, C, H, W) or (runs, T, C, H, W) needed"
            )
        if 0 in self.images.shape[1:]:
            raise RecordingError(
                f"recording images: shape {self.images.shape} found, pixels needed"
            )
        for digest in (self.network_sha256, self.network_sha256_any_size):
            if digest is not None and not re.fullmatch("[0-9a-f]{64}", digest):
                raise RecordingError(
                    f"recording sha256: '{digest}' found, 64 hexadecimal digits needed "
                    "(loihi-unet inspect prints them)"
                )
        lead = (len(self.images), len(self.steps))
        for name, payload in self.payloads.items():
            if payload.ndim != 5 or payload.shape[:2] != lead:
                raise RecordingError(
                    f"recording layer '{name}': shape {payload.shape} found, "
                    f"({lead[0]}, {lead[1]}, C, H, W) needed"
                )
            _check_integers(payload, f"layer '{name}'")
        _check_integers(self.images, "images")
        if self.output is not None:
            _check_integers(self.output, "output")
        if self.output is not None and self.output.shape[:1] != lead[:1]:
            raise RecordingError(
                f"recording output: {len(self.output)} images found, {lead[0]} needed"
            )
        if self.output is not None and self.output.ndim != 4:
            raise RecordingError(
                f"recording output: shape {self.output.shape} found, "
                f"({lead[0]}, C, H, W) needed"
            )
        if self.layers is not None:
            layers = {k: tuple(shape) for k, shape in self.layers.items()}
            object.__setattr__(self, "layers", MappingProxyType(layers))
            _check_layers(layers, self.payloads)


def _check_layers(
    layers: Mapping[str, tuple[int, ...]], payloads: Iterable[str]
) -> None:
    """Refuse a list of layers that is none, or that lacks what was recorded.

    A payload of another shape than listed is not refused: its axes may be in another
    order, which `sim.verify.comparison.compare` and `sim.verify.diagnose` say.
    """
    if not layers:
        raise RecordingError("recording layers: none found, all of the network needed")
    for name, shape in layers.items():
        if len(shape) != 3 or min(shape) < 1:
            raise RecordingError(
                f"recording layers: '{name}' has shape {shape}, (C, H, W) needed"
            )
    for name in payloads:
        if layer_of(name, layers) is None:
            raise RecordingError(
                f"recording layer '{name}': not one of the {len(layers)} in its list "
                "of layers"
            )


def hashes_of(recording: Recording) -> set[str]:
    """The hashes of its network that a recording states."""
    return {
        h for h in (recording.network_sha256, recording.network_sha256_any_size) if h
    }
