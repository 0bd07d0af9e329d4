# SPDX-License-Identifier: BSD-3-Clause
"""A network file as one Process, with the arguments of netx's Network."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from export import network as contract
from export.errors import NetworkError
from export.facts import PAYLOAD
from export.stock_network import Frames, Reset, StockNetwork
from export.synapse import Dense, Shape
from sim.lava import stock_graph as lava_graph
from sim.lava.stock_neurons import StockGraph, block_of


class Network(AbstractProcess):  # type: ignore[misc]
    """Lava Process of a network, in place of lava.lib.dl.netx.hdf5.Network.

    Arguments and their order are those of lava-dl 0.6.0, shapes in its (x, y, C). What
    the file already says may be left out; an argument that contradicts it is an error.
    A file of lava-dl is read as netx reads it, and more: see docs/netx_stock.md.

    Parameters
    ----------
    net_config : path or export.network.Network
        File, or the network itself.
    num_layers : int, optional
        Build only the first layers; None builds all. Layers are counted as in
        ``export.network.Network.layers``, for a file of lava-dl as netx does.
    skip_layers : int
        Leave out that many first layers; the input is then what the last one
        left out emits, and all other layers left out must not be needed.
    input_message_bits : int, optional
        Bits of the input's payload, 0 for binary spikes; at least what the
        file's input range takes.
    input_shape : tuple of int, optional
        (W, H, C) of the input.
    reset_interval : int, optional
        T, time steps of a window; for stock neurons steps between resets.
    reset_offset : int
        Time steps before the first image enters, or phase of the resets.
    spike_exp : int
        Fraction bits of sigma-delta payloads, for a file of lava-dl.
    sparse_fc_layer : bool
        Taken for netx's sake: either kind of synapse gives the same integers.

    Attributes
    ----------
    inp : InPort
        Payloads (W, H, C), each image constant over T time steps.
    out : OutPort
        What the last layer emits, (W, H, C): for an accumulator its potential,
        complete at time step ``reset_offset + latency`` and every T steps later.
    layers : list of AbstractProcess, or of Block
        Compartments, in the order of the file; of stock neurons netx's blocks.
    in_layer, out_layer : Block
        The first and the last, of stock neurons only.
    latency : int
        Time steps from an image's first input to its complete output.
    input_message_bits, output_message_bits, spike_exp : int
        Bits of what enters and leaves; the argument.

    Raises
    ------
    NetworkError
        If an argument contradicts the file, or a skipped layer is needed.
    """

    def __init__(
        self,
        net_config: str | os.PathLike[str] | contract.Network,
        num_layers: int | None = None,
        skip_layers: int = 0,
        input_message_bits: int | None = None,
        input_shape: Shape | None = None,
        reset_interval: int | None = None,
        reset_offset: int = 0,
        spike_exp: int = 6,
        sparse_fc_layer: bool = False,
    ) -> None:
        super().__init__()
        network = _read(
            net_config,
            num_layers,
            skip_layers,
            input_message_bits,
            input_shape,
            reset_interval,
            reset_offset,
            spike_exp,
        )
        self.net_config = network
        self.latency = network.latency
        self.spike_exp = spike_exp
        self.input_message_bits = bits = lava_graph.message_bits(network.input)
        self.output_message_bits = lava_graph.output_bits(network.output)
        if isinstance(network, StockNetwork):
            self._stock(network)
            return
        shape = lava_graph.whc(network.input.shape)
        if input_message_bits is not None and input_message_bits < bits:
            raise NetworkError(
                f"input_message_bits: {input_message_bits} found, payloads "
                f"{network.input.minimum}..{network.input.maximum} need {bits}"
            )
        if input_shape is not None and tuple(input_shape) != shape:
            raise NetworkError(
                f"input_shape: {tuple(input_shape)} found, the network has {shape}"
            )
        if reset_interval is not None and reset_interval != network.num_steps:
            raise NetworkError(
                f"reset_interval: {reset_interval} found, the network has windows of "
                f"{network.num_steps} steps"
            )
        if reset_offset < 0:
            raise NetworkError(f"reset_offset: {reset_offset} found, 0 or more needed")
        graph = lava_graph.build(network, reset_offset=reset_offset)
        self.layers = list(graph.layers.values())
        self.inp = InPort(shape=shape)
        self.out = OutPort(shape=lava_graph.whc(network.output.shape))
        self.inp.connect(list(graph.entries))
        self.layers[-1].s_out.connect(self.out)

    def _stock(self, stock: StockNetwork) -> None:
        """Build stock neurons; ports have netx's shapes, flat ones one axis."""
        whc = lava_graph.whc(stock.input.shape)
        flat = reads_flat(stock)
        self.inp = InPort(shape=whc[2:] if flat else whc)
        port = self.inp.reshape(whc) if flat else self.inp
        graph = StockGraph(stock, port if stock.input.changes else None, None)
        self.layers = [block_of(graph, layer) for layer in stock.layers]
        self.in_layer, self.out_layer = self.layers[0], self.layers[-1]
        last = lava_graph.whc(stock.output.shape)
        sending = graph.ports[stock.output.name]
        flat = isinstance(stock.output.connections[0].synapse, Dense)
        self.out = OutPort(shape=last[2:] if flat else last)
        (sending.reshape(last[2:]) if flat else sending).connect(self.out)

    def __len__(self) -> int:
        return len(self.layers)

    def __str__(self) -> str:
        rows = []
        for layer in self.net_config.layers:
            kinds = " + ".join(
                f"{type(c.synapse).__name__}({c.source})" for c in layer.connections
            )
            rows.append(f"{layer.name}: {lava_graph.whc(layer.shape)} <- {kinds}")
        return "\n".join(rows)


@implements(proc=Network, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyNetworkModel(AbstractSubProcessModel):  # type: ignore[misc]
    """The Process is already made of its parts; nothing is left to build."""

    def __init__(self, _: AbstractProcess) -> None:
        pass


def _read(
    net_config: str | os.PathLike[str] | contract.Network,
    num_layers: int | None,
    skip_layers: int,
    input_message_bits: int | None,
    input_shape: Sequence[int] | None,
    reset_interval: int | None,
    reset_offset: int,
    spike_exp: int,
) -> contract.Network:
    if isinstance(net_config, contract.Network):
        return part(net_config, num_layers, skip_layers)
    # h5py only where a file is read: Lava executes this module once per Process.
    from export.netx import StockOptions, is_stock, read_network, read_stock

    path = Path(net_config)
    if not is_stock(path):
        return part(read_network(path), num_layers, skip_layers)
    reset = None
    if reset_interval is not None:
        reset = Reset(interval=reset_interval, offset=reset_offset)
    shape = None if input_shape is None else chw(input_shape)
    options = StockOptions(
        num_layers=num_layers,
        skip_layers=skip_layers,
        input_message_bits=input_message_bits or 0,
        input_shape=shape,
        reset=reset,
        spike_exp=spike_exp,
    )
    return read_stock(path, options)


def reads_flat(stock: StockNetwork) -> bool:
    """Whether dense layers read the input, and nothing else does."""
    synapses = [
        c.synapse
        for layer in stock.layers
        for c in layer.connections
        if c.source == stock.input.name
    ]
    on_axis = stock.input.shape[1:] == (1, 1)
    return on_axis and all(isinstance(synapse, Dense) for synapse in synapses)


def chw(shape: Sequence[int]) -> Shape:
    """Netx's (x, y, C), or its one number of a flat input, as (C, H, W)."""
    x, y, c = (1, 1, *shape) if len(shape) == 1 else tuple(shape)
    return (int(c), int(y), int(x))


def part(
    network: contract.Network, num_layers: int | None, skip_layers: int
) -> contract.Network:
    """Network of the layers ``skip_layers .. num_layers - 1``.

    Parameters
    ----------
    network : export.network.Network
        Whole network.
    num_layers : int or None
        End of the layers to keep; None and too many mean all.
    skip_layers : int
        Layers to leave out at the beginning.

    Returns
    -------
    export.network.Network
        The part; its input is the one node that it needs from outside.

    Raises
    ------
    NetworkError
        If nothing is left, or more than one node is needed from outside.
    """
    if num_layers is not None and num_layers < 1:
        raise NetworkError(f"num_layers: {num_layers} found, 1 or more needed")
    kept = network.layers[skip_layers:num_layers]
    if skip_layers < 0 or not kept:
        raise NetworkError(
            f"skip_layers: {skip_layers} found, 0 or more that leave a layer needed"
        )
    inside = {layer.name for layer in kept}
    outside = {c.source for layer in kept for c in layer.connections} - inside
    if len(outside) != 1:
        raise NetworkError(
            f"skip_layers: {skip_layers} found, the rest needs "
            f"{', '.join(sorted(outside))}; one port needs one source"
        )
    source = network.nodes[outside.pop()]
    if isinstance(source, contract.Layer):
        kind = contract.Input if network.in_windows else Frames
        graded = not network.in_windows and source.magnitude > 1
        source = kind(
            shape=source.shape,
            minimum=PAYLOAD.minimum if graded else 0,
            maximum=PAYLOAD.maximum if graded else source.magnitude,
            scale=source.scale,
            name=source.name,
        )
    return dataclasses.replace(network, input=source, layers=kept)
