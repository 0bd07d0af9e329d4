# SPDX-License-Identifier: BSD-3-Clause
"""Child process of `benchmarks.torture.stock`: ``KIND FIRST END FOLDER``.

It prints what `benchmarks.torture.worker` prints, of random networks of stock neurons.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import numpy as np

from benchmarks.torture.cases import judge_cases
from export.compartment import Bias
from export.errors import NetworkError, UserError
from export.network import Input
from export.stock_compartment import CUBA, Delta, Sigma, SigmaDelta, StockCompartment
from export.stock_network import (
    Frames,
    Reset,
    StockConnection,
    StockLayer,
    StockNetwork,
)
from export.synapse import Conv, ConvTranspose, Dense, Injection, IntArray, StockSynapse
from sim.backend import BackendError, OverflowLayerError, create
from sim.recording import Recording
from sim.verify.comparison import compare

Shape = tuple[int, int, int]
#: Every how manyth case runs in Lava, too: it starts a process for each layer.
LAVA_EVERY = 10


class Draw:
    """A network of chance: case ``number``, the same in every run."""

    def __init__(self, number: int) -> None:
        self.random = np.random.default_rng([11, number])
        self.exponent = int(self.random.choice([6, 6, 0, 4]))
        self.spiking = bool(self.random.random() < 0.6)
        # Small weights are what networks have, large ones what overflows.
        self.largest = int(self.random.choice([6, 20, 60, 254]))
        self.nodes: dict[str, Shape] = {}
        self.layers: list[StockLayer] = []

    def network(self) -> StockNetwork:
        """Draw input, layers and resets."""
        source = self._source()
        self.nodes[source.name] = source.shape
        injected = not source.changes or (not self.spiking and self._chance(0.7))
        if injected:
            self._add("inject", source.name, Injection(), (), source.shape)
        while len(self.layers) < 1 + injected + int(self.random.integers(0, 5)):
            self._next(source.name if not injected else "")
        if not self.spiking and self._chance(0.4):
            self._next("", last=True)
        reset = None
        if self.spiking and self._chance(0.5):
            interval, offset = self._from(1, 8), self._from(0, 20)
            reset = Reset(interval=interval, offset=offset)
        return StockNetwork(
            input=source,
            layers=tuple(self.layers),
            num_steps=self._from(1, 14),
            reset=reset,
            task="test",
        )

    def values(self, network: StockNetwork) -> IntArray:
        """Input of one run."""
        source = network.input
        steps = (network.num_steps,) if source.changes else ()
        shape = (1, *steps, *source.shape)
        if source.maximum == 1:
            drawn = self.random.random(shape) < self.random.choice([0.05, 0.4, 1.0])
            return drawn.astype(np.int32)
        return self.random.integers(source.minimum, source.maximum + 1, shape)

    def _chance(self, share: float) -> bool:
        return bool(self.random.random() < share)

    def _from(self, low: int, end: int) -> int:
        return int(self.random.integers(low, end))

    def _source(self) -> Input:
        shape = (self._from(1, 5), self._from(1, 9), self._from(1, 9))
        if self._chance(0.3):
            shape = (self._from(1, 12), 1, 1)
        if self.spiking and self._chance(0.3):
            return Input(shape=shape, minimum=-4096, maximum=4095, scale=1.0)
        most = 1 if self.spiking else 2 ** self._from(1, 12)
        least = -most if most > 1 else 0
        return Frames(shape=shape, minimum=least, maximum=most, scale=1.0)

    def _next(self, source: str, last: bool = False) -> None:
        """Add a layer that reads one node, or two, or itself."""
        names = [name for name in self.nodes if name != "input" or source]
        before = names[-1] if self._chance(0.7) else str(self.random.choice(names))
        for synapse in self._synapses(before):
            try:
                shape = synapse.output_shape(self.nodes[before])
            except NetworkError:
                continue  # this geometry leaves nothing of the source
            more = [] if last else list(self._more(synapse, before, names))
            name = f"layer{len(self.layers)}"
            self._add(name, before, synapse, more, shape, last)
            return

    def _synapses(self, before: str) -> Iterator[StockSynapse]:
        """Kinds at random, until one fits."""
        channels, height, width = self.nodes[before]
        while True:
            kind = str(self.random.choice(["conv", "conv", "convT", "pool", "dense"]))
            if kind == "dense" or height * width == 1:
                size = self._from(1, 8)
                yield self._dense(size, channels * height * width)
            elif kind == "pool":
                side = self._from(1, 4)
                weight = np.full((channels, 1, side, side), 2 * self._from(1, 60))
                pair = (side, side)
                if self._chance(0.5):
                    yield Conv(weight=weight, stride=pair, groups=channels)
                else:
                    yield ConvTranspose(
                        weight=weight, stride=pair, groups=channels, **self._plain()
                    )
            else:
                yield self._kernel(kind, channels)

    def _plain(self) -> dict[str, tuple[int, int]]:
        return {"padding": (0, 0), "output_padding": (0, 0)}

    def _kernel(self, kind: str, channels: int) -> Conv | ConvTranspose:
        divisors = [n for n in range(1, channels + 1) if channels % n == 0]
        groups = int(self.random.choice(divisors))
        sides = (self._from(1, 4), self._from(1, 4))
        each = self._from(1, 4)
        pairs = {
            "stride": (self._from(1, 4), self._from(1, 4)),
            "padding": (self._from(0, 3), self._from(0, 3)),
            "dilation": (self._from(1, 3), self._from(1, 3)),
        }
        if kind == "conv":
            weight = self._even(groups * each, channels // groups, *sides)
            return Conv(weight=weight, groups=groups, **pairs)
        weight = self._even(channels, each, *sides)
        return ConvTranspose(
            weight=weight, groups=groups, output_padding=(0, 0), **pairs
        )

    def _dense(self, size: int, inputs: int) -> Dense:
        delay = None
        if self._chance(0.25):
            most = 63 if self._chance(0.1) else 5
            delay = self.random.integers(0, most, (size, inputs))
        return Dense(weight=self._even(size, inputs), delay=delay)

    def _even(self, *shape: int) -> IntArray:
        half = self.largest // 2
        return 2 * self.random.integers(-half, half + 1, shape)

    def _more(
        self, synapse: StockSynapse, before: str, names: list[str]
    ) -> Iterator[tuple[str, StockSynapse]]:
        """A second source of the same geometry, and the layer's own spikes."""
        if isinstance(synapse, Dense):
            size = len(synapse.weight)
            if self._chance(0.3):
                name = str(self.random.choice(names))
                yield name, self._dense(size, int(np.prod(self.nodes[name])))
            if self._chance(0.3):
                yield "itself", Dense(weight=self._even(size, size))
        same = [n for n in names if self.nodes[n] == self.nodes[before] and n != before]
        if isinstance(synapse, Conv) and same and self._chance(0.5):
            yield str(self.random.choice(same)), synapse

    def _add(
        self,
        name: str,
        before: str,
        synapse: StockSynapse,
        more: list[tuple[str, StockSynapse]] | tuple[()],
        shape: Shape,
        last: bool = False,
    ) -> None:
        parts = [(before, synapse), *more]
        connections = tuple(
            StockConnection(source=name if s == "itself" else s, synapse=y)
            for s, y in parts
        )
        delay = None
        if not last and self._chance(0.25):
            delay = self.random.integers(0, 63 if self._chance(0.1) else 5, shape[0])
        layer = StockLayer(
            name=name,
            shape=shape,
            connections=connections,
            compartment=self._compartment(synapse, shape[0], last),
            scale=1.0,
            delay=delay,
        )
        self.layers.append(layer)
        self.nodes[name] = shape

    def _compartment(
        self, synapse: StockSynapse, channels: int, last: bool
    ) -> StockCompartment:
        injected = isinstance(synapse, Injection)
        if not self.spiking:
            vth = self._from(0, 5)
            if last:
                return Sigma()
            if injected or self._chance(0.15):
                return Delta(vth_mant=vth, spike_exp=self.exponent)
            most = int(self.random.choice([1, 20, 4096]))
            bias = Bias(mant=self.random.integers(-most, most, channels), exp=0)
            return SigmaDelta(vth_mant=vth, bias=bias, spike_exp=self.exponent)

        def each(values: list[int]) -> int | IntArray:
            if self._chance(0.5):
                return int(self.random.choice(values))
            return self.random.choice(values, channels)

        most = 1 if injected else int(self.random.choice([1, 30, 4096]))
        return CUBA(
            i_decay=each([0, 7, 1024, 4095, 4096]),
            v_decay=each([0, 123, 1024, 4096]),
            vth_mant=each([1, 20, 90, 131072, 262143]),
            bias=Bias(mant=self.random.integers(1 - most, most, channels), exp=6),
        )


def outcome(name: str, network: StockNetwork, values: IntArray) -> Recording | str:
    """Recording, or the one line of an error."""
    try:
        return create(name).run(network, values)
    except OverflowLayerError as error:
        return str(error)
    except (BackendError, NetworkError) as error:
        return f"refused: {error}"


def judge(number: int) -> tuple[bool, str, str]:
    """(survived, outcome, detail) of one network."""
    drawn = Draw(number)
    try:
        network = drawn.network()
    except UserError as error:
        return False, type(error).__name__, str(error)
    values = drawn.values(network)
    names = ["reference", "torch"]
    if number % LAVA_EVERY == 0 and importlib.util.find_spec("lava") is not None:
        names += ["lava", "lava-stock"]
    expected = outcome("reference", network, values)
    for name in names[1:]:
        result = outcome(name, network, values)
        if isinstance(result, str) and result.startswith("refused") and name != "torch":
            continue
        if isinstance(expected, str) or isinstance(result, str):
            if result is not expected and str(result) != str(expected):
                return False, f"{name} says another thing", f"{result} | {expected}"
        elif not compare(expected, result).identical:
            return False, f"{name} differs", repr(network)[:600]
    how = "the same overflow"
    if isinstance(expected, Recording):
        alive = any(values.any() for values in expected.payloads.values())
        how = "EXACT" if alive else "EXACT, with nothing sent"
    return True, f"{how}: {', '.join(names)}", ""


if __name__ == "__main__":
    judge_cases(judge)
