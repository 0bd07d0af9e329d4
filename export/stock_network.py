# SPDX-License-Identifier: BSD-3-Clause
"""A chain of stock neurons that runs freely, as lava-dl's netx makes it.

No windows: at time step t = 1, 2, ... of a run, a layer receives what its source
sent at step t - 1 (t - 1 - delay for a delayed synapse), or, from an injection, the
input of step t itself. Step t of the run is step t - 1 of a recording. Each run
starts at rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy.typing as npt

from export.compartment import Bias
from export.errors import NetworkError, RangeError
from export.facts import BIAS_MANT
from export.network import Connection, Input, Layer, Network
from export.stock_compartment import CUBA, Delta, SigmaDelta, StockCompartment
from export.synapse import Injection, IntArray, Shape, StockSynapse


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
    """The one connection into a stock layer, without delay or exponent."""

    # What looks at a structure takes a stock connection or layer for any other; what
    # computes sums or runs compartments asks for a Stream first.
    synapse: StockSynapse  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True, eq=False)
class StockLayer(Layer):
    """A layer of compartments that lava-nc ships; see `Layer`."""

    connections: tuple[StockConnection, ...]
    compartment: StockCompartment  # type: ignore[assignment]

    @property
    def biases(self) -> tuple[Bias, ...]:
        """The compartment's bias; empty for Delta and Sigma."""
        match self.compartment:
            case CUBA(bias=bias) | SigmaDelta(bias=bias):
                return (bias,)
            case _:
                return ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Stream(Network):
    """Chain of stock layers that runs freely.

    Parameters
    ----------
    input : Input
        `Frames`, or, where the host writes the bias of a first CUBA layer, an
        `Input` that is constant over the run.
    layers : tuple of StockLayer
        Each reads the node before it, without delay or exponent of its own.
    num_steps : int
        T, time steps of one run.
    reset : Reset or None
        When CUBA layers are reset; None means never.
    task, provenance
        As for `Network`.
    """

    layers: tuple[StockLayer, ...]
    reset: Reset | None = None

    def _check_time(self, layer: Layer, stages: Mapping[str, int]) -> None:
        where = f"layer '{layer.name}'"
        if not isinstance(layer, StockLayer) or not isinstance(
            layer.compartment, StockCompartment
        ):
            raise NetworkError(f"{where}: a Stream holds StockLayers only")
        c = layer.connections[0]
        before = list(stages)[-2]
        if len(layer.connections) > 1 or c.source != before:
            raise NetworkError(
                f"{where}: a Stream is a chain, source '{before}' needed"
            )
        if c.delay or c.weight_exp or not isinstance(c.synapse, StockSynapse):
            raise NetworkError(
                f"{where}: a Stream's connections are Conv, Dense or Injection "
                "without delay or weight_exp"
            )
        if self.reset is not None and not isinstance(layer.compartment, CUBA):
            raise NetworkError(f"{where}: only CUBA layers can be reset")
        if isinstance(c.synapse, Injection):
            self._check_injection(layer, stages[layer.name])
        elif stages[layer.name] == 1 and not self.input.changes:
            raise NetworkError(f"{where}: a Stream's input is Frames, or is injected")

    def _check_injection(self, layer: StockLayer, stage: int) -> None:
        where = f"layer '{layer.name}'"
        low, high = self.input.minimum, self.input.maximum
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
    def latency(self) -> int:
        """Time step at which the first input has reached the output."""
        synapse = self.layers[0].connections[0].synapse
        waits = 0 if isinstance(synapse, Injection) else 1
        return self.stages[self.output.name] + waits

    @property
    def traces(self) -> Mapping[str, Shape]:
        """Shape of everything a machine records per step, by name.

        ``"layer1"`` is what a layer sends, ``"layer1:u"`` a state after the step.
        """
        traces: dict[str, Shape] = {}
        for layer in self.layers:
            traces[layer.name] = layer.shape
            for state in layer.compartment.states:
                traces[f"{layer.name}:{state}"] = layer.shape
        return traces

    def check_runs(self, images: npt.ArrayLike) -> IntArray:
        """Input of all runs: (runs, T, C, H, W), or (runs, C, H, W) if constant.

        Raises
        ------
        NetworkError, RangeError
            As `Input.check`, and if frames are not ``num_steps`` long.
        """
        runs = self.input.check(images)
        if self.input.changes and runs.shape[1] != self.num_steps:
            raise NetworkError(
                f"{self.input.name}: runs of {runs.shape[1]} frames found, "
                f"num_steps is {self.num_steps}"
            )
        return runs
