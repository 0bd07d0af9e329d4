# SPDX-License-Identifier: BSD-3-Clause
"""A graph of stock neurons that runs freely, as lava-dl's netx makes its chains.

No windows: at time step t = 1, 2, ... of a run, a layer receives what each of its
sources sent at step t - 1 (t - 1 - delay where the source or the synapse is
delayed), or, from an injection, the input of step t itself. A layer that reads
itself receives its own spikes of step t - 1. Step t of the run is step t - 1 of a
recording. Each run starts at rest.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from typing_extensions import assert_never

from export.compartment import Bias
from export.errors import NetworkError, RangeError
from export.facts import BIAS_MANT, DELAY
from export.leaves import ADDED_LATER
from export.network import Connection, Input, Layer, Network
from export.stock_compartment import (
    CUBA,
    Delta,
    Sigma,
    SigmaDelta,
    StockCompartment,
    channels_of,
)
from export.synapse import Injection, IntArray, Shape, StockSynapse, integers


@dataclass(frozen=True, kw_only=True, eq=False)
class Frames(Input):
    """Source whose payload changes at every step: a spike train, or video."""

    changes: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class Reset:
    """When CUBA layers forget: arguments of lava-dl 0.6.0's netx Network.

    A layer of stage s (1 for the first) sets u and v to 0 before it integrates at
    every time step t with ``t % interval == (offset + s) % interval``.

    Parameters
    ----------
    interval : int
        Time steps between resets, 1 or more.
    offset : int
        Phase, 0 or more.
    """

    interval: int
    offset: int = 0

    def __post_init__(self) -> None:
        if type(self.interval) is not int or self.interval < 1:
            raise NetworkError(f"reset interval: {self.interval} found, 1 or more")
        if type(self.offset) is not int or self.offset < 0:
            raise NetworkError(f"reset offset: {self.offset} found, 0 or more")

    def due(self, step: int, stage: int) -> bool:
        """Whether a layer of that stage resets at time step ``step`` (1-based)."""
        return step % self.interval == (self.offset + stage) % self.interval


@dataclass(frozen=True, kw_only=True, eq=False)
class StockConnection(Connection):
    """A connection into a stock layer, without delay or exponent of its own."""

    # What looks at a structure takes a stock connection or layer for any other; what
    # computes sums or runs compartments asks for a StockNetwork first.
    synapse: StockSynapse  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True, eq=False)
class StockLayer(Layer):
    """A layer of compartments that lava-nc ships; see `Layer`.

    Parameters
    ----------
    delay : ndarray of shape (C,), int32, or None
        Steps by which the axons of each channel hold back what the layer sends,
        0..62; all zero is None. Recordings hold what the compartments send, before
        that.
    """

    connections: tuple[StockConnection, ...]
    compartment: StockCompartment  # type: ignore[assignment]
    delay: IntArray | None = field(default=None, metadata={ADDED_LATER: True})

    def __post_init__(self) -> None:
        super().__post_init__()
        where, channels = f"layer '{self.name}'", self.shape[0]
        if isinstance(self.compartment, StockCompartment):
            for name, given in channels_of(self.compartment).items():
                if given != channels:
                    raise NetworkError(
                        f"{where}: {name} of {given} channels found, "
                        f"shape is {self.shape}"
                    )
        if self.delay is None:
            return
        delay = integers(self.delay, f"{where} delay")
        object.__setattr__(self, "delay", delay)
        if delay.shape != (channels,):
            raise NetworkError(
                f"{where} delay: shape {delay.shape} found, ({channels},) needed"
            )
        if not delay.any():
            object.__setattr__(self, "delay", None)
        low, high = int(delay.min()), int(delay.max())
        if not DELAY.contains(low, high):
            raise RangeError(f"{where} delay: {low}..{high} outside {DELAY}")

    @property
    def recurrent(self) -> bool:
        """Whether the layer reads itself."""
        return any(c.source == self.name for c in self.connections)

    @property
    def biases(self) -> tuple[Bias, ...]:
        """The compartment's bias; empty for Delta and Sigma."""
        match self.compartment:
            case CUBA(bias=bias) | SigmaDelta(bias=bias):
                return (bias,)
            case Delta() | Sigma():
                return ()
            case _:
                assert_never(self.compartment)


@dataclass(frozen=True, kw_only=True, eq=False)
class StockNetwork(Network):
    """Graph of stock layers that runs freely.

    Parameters
    ----------
    input : Input
        `Frames`, or, where the host writes the bias of a first CUBA layer, an
        `Input` that is constant over the run.
    layers : tuple of StockLayer
        Each reads earlier nodes, and itself if it likes; sums of several add up.
    num_steps : int
        T, time steps of one run.
    reset : Reset or None
        When CUBA layers are reset; None means never.
    task, provenance
        As for `Network`.
    """

    hashed_as: ClassVar[str] = "Stream"  # its name in version 0.1.0

    layers: tuple[StockLayer, ...]
    reset: Reset | None = None
    may_recur: ClassVar[bool] = True
    in_windows: ClassVar[bool] = False

    def _check_time(self, layer: Layer, stages: Mapping[str, int]) -> None:
        where = f"layer '{layer.name}'"
        if not isinstance(layer, StockLayer) or not isinstance(
            layer.compartment, StockCompartment
        ):
            raise NetworkError(f"{where}: a StockNetwork holds StockLayers only")
        for c in layer.connections:
            if c.delay or c.weight_exp or not isinstance(c.synapse, StockSynapse):
                raise NetworkError(
                    f"{where}: connections of a StockNetwork are Conv, ConvTranspose, "
                    "Dense or Injection without delay or weight_exp"
                )
            if c.source == self.input.name and not (
                self.input.changes or isinstance(c.synapse, Injection)
            ):
                raise NetworkError(
                    f"{where}: a StockNetwork's input is Frames, or is injected"
                )
        if self.reset is not None and not isinstance(layer.compartment, CUBA):
            raise NetworkError(f"{where}: only CUBA layers can be reset")
        if any(isinstance(c.synapse, Injection) for c in layer.connections):
            self._check_injection(layer, stages[layer.name])

    def _check_injection(self, layer: StockLayer, stage: int) -> None:
        where = f"layer '{layer.name}'"
        low, high = self.input.minimum, self.input.maximum
        if len(layer.connections) > 1:
            raise NetworkError(f"{where}: an injection beside other connections found")
        match layer.compartment:
            case CUBA(bias=bias) if stage == 1 and not self.input.changes:
                if bias.mant.any():
                    raise NetworkError(f"{where}: bias and injected bias found")
                if not BIAS_MANT.contains(low, high):
                    raise RangeError(
                        f"{where}: injected bias {low}..{high} outside {BIAS_MANT}"
                    )
            case Delta() if stage == 1 and self.input.changes:
                pass
            case _:
                raise NetworkError(
                    f"{where}: an injection enters a first CUBA layer from a constant "
                    "Input, or a first Delta layer from Frames"
                )

    @property
    def takes_pictures(self) -> bool:
        """Whether it was converted from a network for pictures, one at each step."""
        return self.input.changes and self.provenance.get("neuron") == "sigma-delta"

    @property
    def latency(self) -> int:
        """Time step at which the first input has reached the output."""
        injected = any(
            isinstance(c.synapse, Injection)
            for layer in self.layers
            for c in layer.connections
        )
        return self.stages[self.output.name] + (0 if injected else 1)

    @property
    def arrivals(self) -> Mapping[str, int]:
        """Time step at which the first input has come to a layer on every way.

        Delays of axons included, those of single synapses not; of the input 0.
        """
        leaves, arrives_at = {self.input.name: 0}, {self.input.name: 0}
        for layer in self.layers:
            others = [c for c in layer.connections if c.source != layer.name]
            injected = any(isinstance(c.synapse, Injection) for c in others)
            arrives = max(leaves[c.source] for c in others)
            arrives_at[layer.name] = arrives + 1 + (not injected and arrives == 0)
            held = 0 if layer.delay is None else int(layer.delay.max())
            leaves[layer.name] = arrives_at[layer.name] + held
        return arrives_at

    @property
    def traces(self) -> Mapping[str, Shape]:
        """Shape of everything a backend records per step, by name.

        ``"layer1"`` is what a layer sends, ``"layer1:u"`` a state after the step.
        """
        traces: dict[str, Shape] = {}
        for layer in self.layers:
            traces[layer.name] = layer.shape
            for state in layer.compartment.states:
                traces[f"{layer.name}:{state}"] = layer.shape
        return traces

    def as_ran(self, num_steps: int, shape: tuple[int, ...]) -> StockNetwork:
        """Give the network with the T of a run; its size is always the file's."""
        return dataclasses.replace(self, num_steps=num_steps)

    def check_runs(self, images: npt.ArrayLike) -> IntArray:
        """Input of all runs: (runs, T, C, H, W), or (runs, C, H, W) if constant.

        A network that `takes_pictures` is shown a picture (C, H, W) at every step.

        Raises
        ------
        NetworkError, RangeError
            As `Input.check`, and if frames are not ``num_steps`` long.
        """
        images = np.asarray(images)
        if self.takes_pictures and images.ndim == 4:
            images = np.repeat(images[:, None], self.num_steps, axis=1)
        runs = self.input.check(images)
        if self.input.changes and runs.shape[1] != self.num_steps:
            raise NetworkError(
                f"{self.input.name}: runs of {runs.shape[1]} frames found, "
                f"num_steps is {self.num_steps}"
            )
        return runs
