# SPDX-License-Identifier: BSD-3-Clause
"""Entries of ``layer`` in a stock file, in order -> layers of a StockNetwork."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

from export.facts import BIAS_MANT, PAYLOAD, IntRange
from export.files.hdf5_group import Group
from export.network import Input
from export.netx import read_stock_synapse as synapses
from export.netx.options import StockOptions
from export.netx.read_neuron import read_neuron
from export.netx.read_stock_synapse import read_shape
from export.stock_compartment import Delta, StockCompartment
from export.stock_network import Frames, StockConnection, StockLayer
from export.synapse import Dense, Injection, IntArray, Shape, StockSynapse

# Entries that hold compartments and read what stands before them.
ON_IMAGES = ("conv", "convT", "pool", "unpool")
FLAT = ("dense", "dense_rec")
# Of one concatenation, those of concatenations in it counted one by one.
MAX_SOURCES = 1024


@dataclass(frozen=True)
class _Value:
    """What an entry hands on: nodes, one behind the other along the channels."""

    nodes: tuple[tuple[str, Shape], ...]
    flat: bool

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.nodes]

    @property
    def shapes(self) -> list[Shape]:
        return [shape for _, shape in self.nodes]

    @property
    def size(self) -> int:
        return sum(math.prod(shape) for shape in self.shapes)

    @property
    def shape(self) -> Shape:
        if self.flat:
            return (self.size, 1, 1)
        channels = sum(shape[0] for shape in self.shapes)
        return (channels, *self.shapes[0][1:])


class Reader:
    """Walks the entries of ``layer`` in order.

    Parameters
    ----------
    entries : sequence of Group
        What to read, the input first if there is one.
    options : StockOptions
        What the file does not say.
    input_name : str
        Name of the StockNetwork's input.

    Attributes
    ----------
    source : Input
        The input.
    layers : list of StockLayer
        All layers.
    entry_of : dict of str to int
        Number of the entry that each layer was read from.
    """

    def __init__(
        self, entries: Sequence[Group], options: StockOptions, input_name: str
    ) -> None:
        self.options = options
        self.input_name = input_name
        self.layers: list[StockLayer] = []
        self.entry_of: dict[str, int] = {}
        self.values: dict[int, _Value] = {}
        first, rest = entries[0], list(enumerate(entries))[1:]
        self.source = self._source(first)
        self.before = _Value(
            ((self.source.name, self.source.shape),), self._flat_input(first)
        )
        if first.text("type") != "input":
            rest = list(enumerate(entries))
        elif self.layers:
            self.before = _Value(
                ((self.layers[0].name, self.source.shape),), self.before.flat
            )
        self.values[0] = self.before
        for index, group in rest:
            with group.located():
                self.before = self.values[index] = self._value(index, group)

    # --- the input ----------------------------------------------------------------

    def _source(self, group: Group) -> Input:
        low, high = self.options.input_range
        shape = self._input_shape(group)
        kind = group.text("type")
        if kind != "input" or "neuron" not in group:
            return Frames(
                name=self.input_name, shape=shape, minimum=low, maximum=high, scale=1.0
            )
        neuron = self._neuron(group, shape, first=True)
        synapse = Injection(
            gain=group.integer("weight") if "weight" in group else 64,
            offset=group.integer("bias") if "bias" in group else 0,
        )
        source = _injected(self.input_name, neuron, shape, synapse)
        connection = StockConnection(source=source.name, synapse=synapse)
        self._add(0, group, shape, (connection,), neuron)
        return source

    def _input_shape(self, group: Group) -> Shape:
        """Of the file, if it says; else that of the options, or what a layer needs."""
        wanted, kind = self.options.input_shape, group.text("type")
        if kind == "input":
            shape = read_shape(group)
            if wanted not in (None, shape):
                raise group.error("shape", f"{shape} found, input_shape is {wanted}")
            return shape
        if kind in FLAT:
            size = synapses.dense_weight(group).shape[1]
            if wanted is not None and math.prod(wanted) != size:
                raise group.error(
                    "weight", f"{size} inputs found, input_shape is {wanted}"
                )
            return wanted or (size, 1, 1)
        if wanted is None and kind == "conv":
            wanted = _only_source(group)
        if wanted is None:
            raise group.error(
                "type",
                f"'{kind}' found first, without an input before it: the shape of what "
                "it reads must be given (input_shape; --input-shape C,H,W)",
            )
        return wanted

    def _flat_input(self, group: Group) -> bool:
        if group.text("type") in FLAT:
            return True
        return (
            group.text("type") == "input" and len(group.integers("shape", ndim=1)) == 1
        )

    # --- what follows -------------------------------------------------------------

    def _value(self, index: int, group: Group) -> _Value:
        kind = group.text("type")
        match kind:
            case "flatten":
                return dataclasses.replace(self.before, flat=True)
            case "concat":
                return self._concat(index, group)
            case "sum":
                return self._sum(index, group)
            case "input":
                raise group.error("type", "'input' found, only the first may be one")
        if kind not in (*ON_IMAGES, *FLAT):
            raise group.unsupported("type", f"'{kind}' found: netx has no such layer")
        self._check_flat(group, kind)
        synapse, recurrent = self._synapses(group, kind)
        parts = self._connections(group, self.before, synapse)
        name = _name(index, group)
        if recurrent is not None:
            parts = (*parts, StockConnection(source=name, synapse=recurrent))
        shape = read_shape(group)
        if kind in FLAT:
            shape = (math.prod(shape), 1, 1)
        neuron = self._neuron(group, shape, first=False)
        # netx takes the delays of a dense layer for its synapses', slayer for its
        # axons'; of other layers there is only slayer's word.
        delay = None if kind == "dense" else synapses.read_axons(group, shape[0])
        self._add(index, group, shape, parts, neuron, delay)
        return _Value(((name, shape),), kind in FLAT)

    def _check_flat(self, group: Group, kind: str) -> None:
        if kind in ON_IMAGES and self.before.flat:
            raise group.error("type", f"'{kind}' after a flat layer found")
        if kind in FLAT and not self.before.flat and self.layers:
            raise group.error("type", f"'{kind}' found, 'flatten' needed before")

    def _synapses(
        self, group: Group, kind: str
    ) -> tuple[StockSynapse, StockSynapse | None]:
        source = self.before.shape
        match kind:
            case "conv":
                return synapses.read_conv(group), None
            case "convT":
                return synapses.read_conv_transpose(group), None
            case "pool":
                return synapses.read_pool(group, source), None
            case "unpool":
                return synapses.read_unpool(group, source), None
            case "dense":
                return synapses.read_dense(group), None
            case _:
                return synapses.read_recurrent(group)

    def _connections(
        self, group: Group, value: _Value, synapse: StockSynapse
    ) -> tuple[StockConnection, ...]:
        parts = [synapse]
        if len(value.nodes) > 1:
            parts = synapses.split(group, synapse, value.shapes, value.flat)
        return tuple(
            StockConnection(source=source, synapse=part)
            for source, part in zip(value.names, parts, strict=True)
        )

    def _concat(self, index: int, group: Group) -> _Value:
        values = [self._earlier(index, group, i) for i in _ids(group)]
        flat = values[0].flat
        nodes = tuple(node for value in values for node in value.nodes)
        if len(nodes) > MAX_SOURCES:
            raise group.error(
                "layers", f"{len(nodes)} sources found, {MAX_SOURCES} allowed"
            )
        joined = _Value(nodes, flat)
        alike = {(v.flat, None if flat else v.shape[1:]) for v in values}
        if len(alike) > 1:
            raise group.error(
                "layers",
                f"shapes {', '.join(str(v.shape) for v in values)} found, which cannot "
                "stand one behind the other",
            )
        if "shape" in group and read_shape(group) != joined.shape:
            raise group.error(
                "shape", f"{read_shape(group)} found, the sources give {joined.shape}"
            )
        return joined

    def _earlier(self, index: int, group: Group, wanted: int) -> _Value:
        if wanted not in self.values or wanted >= index:
            raise group.error("layers", f"{wanted} found, earlier entries needed")
        return self.values[wanted]

    def _sum(self, index: int, group: Group) -> _Value:
        """Our word for connections that no one entry of netx can be."""
        name, shape = _name(index, group), read_shape(group)
        connections: list[StockConnection] = []
        for number, wanted in enumerate(_ids(group)):
            part = group.group("synapse").group(str(number))
            if wanted == index:
                value = _Value(((name, shape),), part.text("type") == "dense")
            else:
                value = self._earlier(index, group, wanted)
            kind = part.text("type")
            if kind not in ("conv", "convT", "dense"):
                raise part.unsupported("type", f"'{kind}' found, no part of a sum")
            self.before = value
            synapse, _ = self._synapses(part, kind)
            connections += self._connections(part, value, synapse)
        neuron = self._neuron(group, shape, first=False)
        delay = synapses.read_axons(group, shape[0])
        self._add(index, group, shape, tuple(connections), neuron, delay)
        flat = all(isinstance(c.synapse, Dense) for c in connections)
        return _Value(((name, shape),), flat)

    def _neuron(self, group: Group, shape: Shape, *, first: bool) -> StockCompartment:
        return read_neuron(group, shape, self.options.spike_exp, first=first)

    def _add(
        self,
        index: int,
        group: Group,
        shape: Shape,
        connections: tuple[StockConnection, ...],
        neuron: StockCompartment,
        delay: IntArray | None = None,
    ) -> None:
        name = _name(index, group)
        self.entry_of[name] = index
        self.layers.append(
            StockLayer(
                name=name,
                shape=shape,
                connections=connections,
                compartment=neuron,
                scale=group.real("scale") if "scale" in group else 1.0,
                delay=delay,
            )
        )


def _name(index: int, group: Group) -> str:
    return group.text("name") if "name" in group else f"layer{index}"


def _ids(group: Group) -> list[int]:
    ids: list[int] = group.integers("layers").reshape(-1).tolist()
    if not ids:
        raise group.error("layers", "nothing found, earlier entries needed")
    return ids


def _only_source(group: Group) -> Shape | None:
    """Shape that a first convolution must read; None where several would do."""
    conv, (_, height, width) = synapses.read_conv(group), read_shape(group)
    if conv.stride != (1, 1):
        return None
    sides = [
        n + d * (k - 1) - 2 * p
        for n, d, k, p in zip(
            (height, width),
            conv.dilation,
            conv.weight.shape[2:],
            conv.padding,
            strict=True,
        )
    ]
    if min(sides) < 1:
        return None
    return (conv.weight.shape[1] * conv.groups, sides[0], sides[1])


def _injected(
    name: str, neuron: StockCompartment, shape: Shape, synapse: Injection
) -> Input:
    scale = 1 / abs(synapse.gain) if synapse.gain else 1.0
    allowed: IntRange
    if isinstance(neuron, Delta):
        shift = neuron.spike_exp + 6
        allowed = IntRange(
            minimum=PAYLOAD.minimum >> shift, maximum=PAYLOAD.maximum >> shift
        )
    else:
        allowed = BIAS_MANT
    kind = Frames if isinstance(neuron, Delta) else Input
    return kind(
        name=name,
        shape=shape,
        minimum=allowed.minimum,
        maximum=allowed.maximum,
        scale=scale,
    )
