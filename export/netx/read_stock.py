# SPDX-License-Identifier: BSD-3-Clause
"""Stock netx HDF5 file -> Stream; also the layers of a Stream that we wrote.

Keys and defaults are those of lava-dl 0.6.0, lava.lib.dl.netx.hdf5.Network. What
stock netx would ignore, although it changes the result, is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.facts import BIAS_MANT, PAYLOAD, IntRange
from export.files.hdf5 import open_file
from export.files.hdf5_group import Group
from export.network import Input
from export.netx.dense import mangled
from export.netx.read_neuron import read_neuron
from export.stock_compartment import Delta, StockCompartment
from export.stock_network import Frames, Reset, StockConnection, StockLayer, Stream
from export.synapse import Conv, Dense, Injection, Pair, Shape, StockSynapse

# Why a layer type of netx is refused.
REFUSED = {
    "pool": "stock netx has no pooling either",
    "convT": "stock netx has no transposed convolution either",
    "unpool": "stock netx has no unpooling either",
    "average": "stock netx has no averaging either; num_layers reads what is before it",
    "concat": "stock netx has no concatenation either",
    "dense_rec": "a recurrent layer is not a chain",
    "dense_comp": "complex weights are not supported",
}


@dataclass(frozen=True, kw_only=True)
class StockOptions:
    """What stock files leave to the arguments of netx's Network.

    Parameters
    ----------
    num_steps : int or None
        T of the Stream; None takes ``simulation/tSample``, or, where the file has
        none, the steps after which the first input has reached the output.
    num_layers : int or None
        Read only the first entries of ``layer``, counted as netx does (input and
        flatten included).
    reset : Reset or None
        netx's ``reset_interval`` and ``reset_offset``.
    spike_exp : int
        Fraction bits of sigma-delta payloads.
    input_range : tuple of int
        Smallest and largest payload of an input without neuron (netx's
        ``input_message_bits``); (0, 1) is a spike train.
    """

    num_steps: int | None = None
    num_layers: int | None = None
    reset: Reset | None = None
    spike_exp: int = 6
    input_range: tuple[int, int] = (0, 1)


def read_stock(path: Path, options: StockOptions | None = None) -> Stream:
    """Read a netx file that lava-dl wrote.

    Parameters
    ----------
    path : Path
        File.
    options : StockOptions, optional
        What the file does not say.

    Returns
    -------
    Stream
        Runs with the same spikes and states as stock ``netx.hdf5.Network``.

    Raises
    ------
    NetworkError
        If the file is missing, damaged, or holds values that no network may hold.
    UnsupportedLayerError
        If it holds what is not supported: one line that says why.
    """
    with open_file(path, "network") as root, root.located():
        return read_stream(root, options or StockOptions(), f"stock {path.name}")


def read_stream(root: Group, options: StockOptions, origin: str) -> Stream:
    """Read the chain below an open file's root; see `read_stock`."""
    groups = root.group("layer")
    count = len(groups.names())
    if options.num_layers is not None:
        count = min(count, options.num_layers)
    entries = [groups.group(str(i)) for i in range(count)]
    reader = _Chain(entries, options)
    steps = options.num_steps
    if steps is None and "simulation" in root:
        steps = root.group("simulation").integer("tSample")
    network = reader.stream(steps if steps is not None else 1, origin)
    if steps is None:
        network = reader.stream(network.latency, origin)
    return network


class _Chain:
    """Walks the entries of ``layer`` in order."""

    def __init__(self, entries: list[Group], options: StockOptions) -> None:
        self.options = options
        self.layers: list[StockLayer] = []
        self.flattened = False
        first, rest = entries[0], entries[1:]
        with first.located():
            self.source = self._source(first)
        if first.text("type") != "input":
            rest = entries
        for group in rest:
            if group.text("type") == "flatten":
                self.flattened = True
            else:
                with group.located():
                    self._append(group)
                self.flattened = False

    def stream(self, num_steps: int, origin: str) -> Stream:
        return Stream(
            input=self.source,
            layers=tuple(self.layers),
            num_steps=num_steps,
            reset=self.options.reset,
            task="stock",
            provenance={"file": origin},
        )

    def _source(self, group: Group) -> Input:
        low, high = self.options.input_range
        kind = group.text("type")
        if kind == "dense":  # stock netx needs no input layer before a dense one
            size = _dense_weight(group).shape[1]
            return Frames(shape=(size, 1, 1), minimum=low, maximum=high, scale=1.0)
        if kind != "input":
            raise group.error(
                "type", f"'{kind}' found, 'input' or 'dense' needed first"
            )
        shape = _shape(group)
        self.flattened = len(group.integers("shape", ndim=1)) == 1
        if "neuron" not in group:
            return Frames(shape=shape, minimum=low, maximum=high, scale=1.0)
        neuron = read_neuron(group, shape, self.options.spike_exp, first=True)
        synapse = Injection(
            gain=group.integer("weight") if "weight" in group else 64,
            offset=group.integer("bias") if "bias" in group else 0,
        )
        source = _injected(neuron, shape, synapse)
        self._add(group, shape, source.name, synapse, neuron)
        return source

    def _append(self, group: Group) -> None:
        kind = group.text("type")
        before = self.layers[-1] if self.layers else self.source
        flat = self.flattened or (
            bool(self.layers)
            and isinstance(self.layers[-1].connections[0].synapse, Dense)
        )
        synapse: StockSynapse
        match kind:
            case "dense":
                if not flat and self.layers:
                    raise group.error("type", "'dense' found, 'flatten' needed before")
                synapse = _dense(group)
                shape = (math.prod(_shape(group)), 1, 1)
            case "conv":
                if flat:
                    raise group.error("type", "'conv' after a flat layer found")
                synapse, shape = _conv(group), _shape(group)
            case _:
                why = REFUSED.get(kind, "netx has no such layer")
                raise group.unsupported("type", f"'{kind}' found: {why}")
        neuron = read_neuron(group, shape, self.options.spike_exp, first=False)
        self._add(group, shape, before.name, synapse, neuron)

    def _add(
        self,
        group: Group,
        shape: Shape,
        source: str,
        synapse: StockSynapse,
        neuron: StockCompartment,
    ) -> None:
        self.layers.append(
            StockLayer(
                name=group.text("name") if "name" in group else f"layer{group.index}",
                shape=shape,
                connections=(StockConnection(source=source, synapse=synapse),),
                compartment=neuron,
                scale=group.real("scale") if "scale" in group else 1.0,
            )
        )


def _injected(neuron: StockCompartment, shape: Shape, synapse: Injection) -> Input:
    scale = 1 / abs(synapse.gain) if synapse.gain else 1.0
    if isinstance(neuron, Delta):
        shift = neuron.spike_exp + 6
        allowed = IntRange(
            minimum=PAYLOAD.minimum >> shift, maximum=PAYLOAD.maximum >> shift
        )
        return Frames(
            shape=shape, minimum=allowed.minimum, maximum=allowed.maximum, scale=scale
        )
    return Input(
        shape=shape, minimum=BIAS_MANT.minimum, maximum=BIAS_MANT.maximum, scale=scale
    )


def _shape(group: Group) -> Shape:
    """(C, H, W); stock files give flat layers one number."""
    values = group.integers("shape", ndim=1).tolist()
    if len(values) == 1:
        return (values[0], 1, 1)
    c, h, w = group.tuple("shape", 3)
    return (c, h, w)


def _pair(group: Group, key: str) -> Pair:
    """Along (H, W); one number stands for both."""
    values = group.integers(key).reshape(-1).tolist()
    if len(values) not in (1, 2):
        raise group.error(key, f"{len(values)} values found, one or two needed")
    return (values[0], values[-1])


def _conv(group: Group) -> Conv:
    if "delay" in group:
        raise group.unsupported(
            "delay", "a delayed convolution found: stock netx ignores its delay"
        )
    weight = group.integers("weight")
    if weight.ndim == 5 and weight.shape[4] == 1:
        weight = weight[..., 0]  # slayer's kernels have an axis for time
    return Conv(
        weight=weight,
        stride=_pair(group, "stride"),
        padding=_pair(group, "padding"),
        dilation=_pair(group, "dilation"),
        groups=group.integer("groups"),
    )


def _dense_weight(group: Group) -> np.ndarray:  # type: ignore[type-arg]
    if "weight" in group and not group.is_array("weight"):
        raise group.unsupported("weight", "complex weights are not supported")
    weight = group.integers("weight")
    if weight.ndim == 1:
        rows = math.prod(_shape(group))
        if weight.size % rows:
            raise group.error("weight", f"{weight.size} values found for {rows} rows")
        weight = weight.reshape(rows, -1)
    return weight


def _dense(group: Group) -> Dense:
    weight = _dense_weight(group)
    if why := mangled(weight):
        raise group.unsupported("weight", why)
    if "delay" not in group:
        return Dense(weight=weight)
    delay = group.integers("delay")
    # As netx.hdf5.Network.create_dense: one number, one per output, one per input.
    if delay.size == 1:
        delay = delay.reshape(1, 1)
    elif delay.ndim == 1 and len(delay) == weight.shape[0]:
        delay = delay[:, None]
    elif delay.ndim == 1 and len(delay) == weight.shape[1]:
        delay = delay[None, :]
    elif delay.shape != weight.shape:
        raise group.error(
            "delay", f"shape {delay.shape} found, one per output or input needed"
        )
    return Dense(weight=weight, delay=np.broadcast_to(delay, weight.shape))
