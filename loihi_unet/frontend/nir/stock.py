# SPDX-License-Identifier: BSD-3-Clause
"""Graph -> StockNetwork: every neuron layer a CUBA layer, every path a synapse.

A layer of a StockNetwork takes one step, an edge of NIR none: layer of stage s does
step t of the float network at step t + s. Shorter ways to a layer are held back
until the longest has arrived, by the delays of a dense synapse, or, before a
convolution, by a relay: a layer that hands every spike on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from export.netx.dense import mangled
from export.stock_compartment import STATE_SHIFT
from export.stock_network import (
    Frames,
    Reset,
    StockConnection,
    StockLayer,
    StockNetwork,
)
from export.synapse import IntArray, Shape
from loihi_unet.frontend.nir.floats import FloatRun, reads_sum
from loihi_unet.frontend.nir.folding import Kernel
from loihi_unet.frontend.nir.graph import Float, Graph
from loihi_unet.frontend.nir.neurons import (
    Neuron,
    is_neuron,
    neuron,
    neurons_before,
    order,
)
from loihi_unet.frontend.nir.parts import (
    channels_of,
    check_silent,
    integer_synapse,
    is_relayed,
    named,
    relay_layer,
)
from loihi_unet.frontend.nir.paths import (
    Link,
    Matrix,
    constant,
    link,
    paths_into,
)
from loihi_unet.frontend.nir.primitives import NIRError
from loihi_unet.frontend.nir.quantise import FloatLayer, IntegerLayer, quantise
from loihi_unet.frontend.nir.shapes import NirShape, infer, three

#: A reset that comes once, before a layer's first input: biases that have acted on
#: it until then are forgotten.
RUN_IN = Reset(interval=1 << 30, offset=1)

# Scales that are tried until stock netx loads a layer's weights as they are.
_TRIES = 40
_LESS = 0.98


@dataclass(frozen=True, eq=False)
class Lowered:
    """A stock network, and how it came about.

    Attributes
    ----------
    network : StockNetwork
    layers : dict of str to IntegerLayer
        By the names of its layers, relays left out.
    """

    network: StockNetwork
    layers: dict[str, IntegerLayer]


@dataclass(eq=False)
class _Part:
    """A layer before it is rounded."""

    name: str
    shape: Shape
    unit: Neuron | None
    links: list[Link]
    constant: Float


class Lowering:
    """Turns one graph into integers, layer by layer, as often as scales change.

    Parameters
    ----------
    graph : Graph
    dt : float
        Seconds of a step.
    values : (int, int)
        Range of the input.
    run : FloatRun or None
        What the float network did on the user's data.

    Raises
    ------
    NIRError
        If a node, or what lies between two neurons, has no stock layer.
    """

    def __init__(
        self,
        graph: Graph,
        dt: float,
        values: tuple[int, int] = (0, 1),
        run: FloatRun | None = None,
    ) -> None:
        self.graph, self.dt, self.run = graph, float(dt), run
        self.shapes: dict[str, NirShape] = dict(infer(graph))
        self.input = Frames(
            shape=three(self.shapes[graph.input.name]),
            minimum=values[0],
            maximum=values[1],
            scale=1.0,
            name=graph.input.name,
        )
        check_silent(graph)
        names = [n.name for n in graph.nodes.values() if is_neuron(n)]
        self.parts = [self._neuron(name) for name in self._sorted(names)]
        if reads_sum(graph):
            self.parts.append(self._part(graph.output.name, None))
        self.relays: dict[tuple[str, tuple[int, ...]], StockLayer] = {}
        self.scales = dict.fromkeys((part.name for part in self.parts), 1.0)

    def _sorted(self, names: list[str]) -> list[str]:
        """Order of spikes; what the output reads, and no other layer, comes last."""
        ordered = order(self.graph, names)
        read = set().union(*(neurons_before(self.graph, n) - {n} for n in names))
        given = set(self.graph.sources(self.graph.output.name)) - read
        return sorted(ordered, key=lambda name: name in given)

    def _neuron(self, name: str) -> _Part:
        node = self.graph.nodes[name]
        return self._part(name, neuron(node, self.shapes[name], self.dt))

    def _part(self, name: str, unit: Neuron | None) -> _Part:
        graph, shapes = self.graph, self.shapes
        paths = paths_into(graph, name)
        links = [link(graph, path, name, shapes, self.dt) for path in paths]
        shape = three(shapes[name])
        return _Part(name, shape, unit, links, constant(graph, name, shapes))

    def halve(self, name: str) -> None:
        """Give a layer half the scale."""
        self.scales[name] /= 2

    def lower(self, num_steps: int | None = None) -> Lowered:
        """Round everything.

        Parameters
        ----------
        num_steps : int, optional
            T; by default the step at which the first input has reached the output.

        Raises
        ------
        NIRError
            If a layer cannot be rounded, or a delay is longer than a chip's.
        """
        layers: list[StockLayer] = []
        stages = {self.input.name: 0}
        made: dict[str, IntegerLayer] = {}
        for part in self.parts:
            made[part.name], layer, relays = self._layer(part, stages)
            layers += [r for r in relays if r not in layers]
            layers.append(layer)
        biased = any(layer.compartment.bias.mant.any() for layer in made.values())
        network = StockNetwork(
            input=self.input,
            layers=tuple(layers),
            num_steps=num_steps or 1 + max(stages.values()),
            task="spikes",
            reset=RUN_IN if biased else None,
            provenance={
                "source": "NIR",
                "dt": self.dt,
                "scales": {name: layer.scale for name, layer in made.items()},
            },
        )
        return Lowered(network, made)

    def _layer(
        self, part: _Part, stages: dict[str, int]
    ) -> tuple[IntegerLayer, StockLayer, list[StockLayer]]:
        """A rounded layer, and the relays before it; its stage is noted."""
        keys = [f"from {x.source}" + f" ({i})" * (i > 0) for i, x in named(part.links)]
        floats = self._floats(part, keys)
        rounded = self._rounded(floats, part, keys)
        relayed = [is_relayed(x) for x in part.links]
        stage = 1 + max(
            stages[x.source] + again
            for x, again in zip(part.links, relayed, strict=True)
            if x.source != part.name
        )
        slack = [
            0 if x.source == part.name else stage - stages[x.source] - 1
            for x in part.links
        ]
        late = [
            isinstance(x.synapse, Kernel) and x.source != part.name and s > 0
            for x, s in zip(part.links, slack, strict=True)
        ]
        connections, relays = [], []
        for key, x, extra, relay in zip(keys, part.links, slack, late, strict=True):
            source = x.source
            if relay:
                steps = extra + (0 if x.delay is None else x.delay)
                made = self._relay(
                    source, np.broadcast_to(steps, (self._shape(source)[0],))
                )
                relays.append(made)
                stages[made.name] = stages[source] + 1
                source, extra = made.name, 0
            synapse = integer_synapse(x.synapse, rounded.weights[key], extra, part.name)
            connections.append(StockConnection(source=source, synapse=synapse))
        # A layer reads itself last, as netx's dense_rec.
        connections.sort(key=lambda c: c.source == part.name)
        stages[part.name] = stage
        silent = part.unit is None or part.unit.threshold is None
        unit = 1 / (rounded.scale * (1 << STATE_SHIFT)) if silent else 1.0
        layer = StockLayer(
            name=part.name,
            shape=part.shape,
            connections=tuple(connections),
            compartment=rounded.compartment,
            scale=unit,
        )
        return rounded, layer, relays

    def _shape(self, name: str) -> Shape:
        return three(self.shapes[name])

    def _relay(self, source: str, steps: IntArray) -> StockLayer:
        """A layer that gives a source's spikes so many steps later."""
        if source == self.input.name and (self.input.minimum, self.input.maximum) != (
            0,
            1,
        ):
            raise NIRError(
                f"'{source}': values {self.input.minimum}..{self.input.maximum} are to "
                "be delayed before a convolution; only spikes (0 and 1) can be"
            )
        key = (source, tuple(int(n) for n in steps))
        if key not in self.relays:
            self.relays[key] = relay_layer(
                f"{source} later {len(self.relays)}", source, self._shape(source), steps
            )
        return self.relays[key]

    def _rounded(
        self, floats: FloatLayer, part: _Part, keys: list[str]
    ) -> IntegerLayer:
        """In integers that stock netx reads as they are."""
        scale = self.scales[part.name]
        for _ in range(_TRIES):
            rounded = quantise(floats, scale)
            why = _mangled(part, [rounded.weights[key] for key in keys])
            if why is None:
                return rounded
            scale *= _LESS
        raise NIRError(f"node '{part.name}': {why}")

    def _floats(self, part: _Part, keys: list[str]) -> FloatLayer:
        unit, where = part.unit, f"node '{part.name}'"
        if unit is None:
            one = np.ones(part.shape)
            unit = Neuron(one, one, one, 0 * one, None)
        gain = channels_of(
            unit.gain, part.shape, f"{where}: r, w_in or a time constant"
        )
        current = channels_of(unit.current_decay, part.shape, f"{where}: tau_syn")
        # A constant current has long risen to its mean: I = w_in S.
        drive = part.constant * (unit.gain / unit.current_decay).reshape(part.shape)
        bias = channels_of(
            unit.bias.reshape(part.shape) + drive, part.shape, f"{where}: the bias"
        )
        threshold = unit.threshold
        if threshold is not None:
            threshold = channels_of(threshold, part.shape, f"{where}: v_threshold")
        weights = {
            key: x.synapse.weight * gain.reshape(-1, *[1] * (x.synapse.weight.ndim - 1))
            for key, x in zip(keys, part.links, strict=True)
        }
        magnitudes = {
            key: self.input.magnitude if x.source == self.input.name else 1
            for key, x in zip(keys, part.links, strict=True)
        }
        seen = None if self.run is None else self.run.peaks.get(part.name)
        return FloatLayer(
            part.name,
            weights,
            magnitudes,
            current,
            channels_of(unit.decay, part.shape, f"{where}: a time constant"),
            bias,
            threshold,
            seen,
        )


def _mangled(part: _Part, weights: list[IntArray]) -> str | None:
    """Say why stock netx would load other weights, or None."""
    matrices = [
        (x.source == part.name, w)
        for x, w in zip(part.links, weights, strict=True)
        if isinstance(x.synapse, Matrix)
    ]
    recurrent = [w for mine, w in matrices if mine]
    others = [w for mine, w in matrices if not mine]
    if not others:
        return None
    return mangled(np.hstack(others), recurrent[0] if recurrent else None)
