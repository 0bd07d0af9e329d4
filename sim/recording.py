# SPDX-License-Identifier: BSD-3-Clause
"""What a machine did: payloads of layers at steps, and the output accumulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from export.compartment import Accumulator
from export.errors import UserError
from export.network import Network
from export.stock_network import Stream

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
        Wanted layers; None means all. A Stream's states count as layers.

    Returns
    -------
    tuple of str
        Names of spiking layers; for a Stream, of `Stream.traces`.

    Raises
    ------
    RecordingError
        If a name is not a spiking layer of the network.
    """
    if isinstance(network, Stream):
        spiking = list(network.traces)
    else:
        spiking = [
            layer.name
            for layer in network.layers
            if not isinstance(layer.compartment, Accumulator)
        ]
    if layers is None:
        return tuple(spiking)
    for name in layers:
        if name not in spiking:
            raise RecordingError(f"layer '{name}': not a spiking layer of the network")
    return tuple(name for name in spiking if name in layers)


def _check_integers(values: Payload, what: str) -> None:
    # uint64 and int64 would meet in float64, where unequal integers may be equal.
    if values.dtype.kind not in "iu" or values.dtype == np.uint64:
        raise RecordingError(
            f"recording {what}: dtype {values.dtype} found, integers up to int64 needed"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """Integers that one machine gave for some images.

    Parameters
    ----------
    backend : str
        Machine, e.g. ``"torch"``, ``"lava (stock Conv)"`` or a chip's name.
    network_sha256 : str or None
        `Network.sha256` of what ran; None if the machine could not tell.
    num_steps : int
        T of the network.
    steps : tuple of int
        Recorded algorithm steps, ascending, each in 0..T-1.
    images : ndarray, shape (images, C, H, W), int32
        Integers that entered; (runs, T, C, H, W) if they changed at every step.
    payloads : mapping of str to ndarray, shape (images, len(steps), C, H, W)
        Graded spikes of each recorded layer; of a Stream, also states after the
        step (``"layer1:u"``).
    output : ndarray, shape (images, C, H, W), int32, or None
        Accumulator after the last step; None if the last layer spikes, or the
        machine did not tell.
    seconds : float
        Wall clock of the run.
    versions : mapping of str to str
        Software that ran.
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
