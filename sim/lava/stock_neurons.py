# SPDX-License-Identifier: BSD-3-Clause
"""A StockNetwork as Lava processes: those that lava-nc ships, and a delay line.

Lava adds what several synapses send to one port, so a layer of several sources has
one synapse for each. A transposed convolution is a stock Conv whose phases are
interleaved, or, where its output is no multiple of the stride, a stock Sparse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from lava.magma.core.process.process import AbstractProcess
from lava.proc.dense.process import DelayDense
from lava.proc.dense.process import Dense as LavaDense
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.sdn.process import Delta, Sigma, SigmaDelta
from lava.proc.sparse.process import Sparse
from lava.utils.weightutils import SignMode
from typing_extensions import assert_never

from export import stock_compartment as stock
from export.facts import DELAY
from export.stock_network import StockConnection, StockLayer, StockNetwork
from export.synapse import ConvTranspose, Dense, Injection, IntArray, Shape
from sim.lava.lowering import lower
from sim.lava.processes.delay import DelayLine
from sim.lava.stock_graph import message_bits, whc


class StockGraph:
    """Makes the processes of a StockNetwork, sources before targets.

    Parameters
    ----------
    network : StockNetwork
        What to build.
    port : OutPort or InPort or None
        Where the input's payloads (W, H, C) come from; None where it is constant.
    constant : ndarray, shape (C, H, W), or None
        Bias mantissas of a first CUBA layer, where the input is constant.

    Attributes
    ----------
    processes : list of AbstractProcess
        All of them, sources before targets.
    neurons, synapses : dict of str to AbstractProcess
        By the layer's name; the synapse is that of its first connection, and absent
        for an injection.
    ports : dict of str to port
        What each node sends, axonal delays included.
    """

    def __init__(
        self, network: StockNetwork, port: Any, constant: IntArray | None
    ) -> None:
        self.network = network
        self.constant = constant
        self.processes: list[AbstractProcess] = []
        self.neurons: dict[str, AbstractProcess] = {}
        self.synapses: dict[str, AbstractProcess] = {}
        self.ports: dict[str, Any] = {network.input.name: port}
        for layer in network.layers:
            self._add(layer)

    def _add(self, layer: StockLayer) -> None:
        neuron = self.neurons[layer.name] = self._neuron(layer)
        recurrent = [c for c in layer.connections if c.source == layer.name]
        for connection in layer.connections:
            if connection not in recurrent:
                self._connect(layer, connection, self.ports[connection.source], neuron)
        for connection in recurrent:  # before the axons' delay
            self._connect(layer, connection, neuron.s_out, neuron)
        self.processes.append(neuron)
        self.ports[layer.name] = neuron.s_out
        if layer.delay is not None:
            line = DelayLine(
                shape=whc(layer.shape), delay=layer.delay, name=f"{layer.name} axons"
            )
            neuron.s_out.connect(line.s_in)
            self.processes.append(line)
            self.ports[layer.name] = line.s_out

    def _connect(
        self,
        layer: StockLayer,
        connection: StockConnection,
        port: Any,
        neuron: AbstractProcess,
    ) -> None:
        source = self.network.nodes[connection.source]
        synapse, bits = connection.synapse, message_bits(source)
        if isinstance(synapse, Injection):
            if port is not None:
                port.connect(neuron.a_in)
            return
        process: AbstractProcess
        if isinstance(synapse, Dense) or (
            isinstance(synapse, ConvTranspose) and _uneven(synapse, source.shape)
        ):
            process = _matrix(synapse, source.shape, bits)
            # In the order of (C, H, W), as netx flattens.
            port.transpose([2, 1, 0]).flatten().connect(process.s_in)
            image = process.a_out.reshape(layer.shape).transpose([2, 1, 0])
            image.connect(neuron.a_in)
        else:
            where = f"layer '{layer.name}' <- '{connection.source}'"
            lowered = lower(connection, source.shape, where)
            process = lowered.process(
                shape=whc(source.shape), num_message_bits=bits, name=where
            )
            port.connect(process.s_in)
            lowered.connect(process, neuron.a_in)
        self.synapses.setdefault(layer.name, process)
        self.processes.append(process)

    def _neuron(self, layer: StockLayer) -> AbstractProcess:
        shape = whc(layer.shape)
        compartment = layer.compartment
        match compartment:
            case stock.CUBA():
                return self._cuba(layer, compartment)
            case stock.Delta() | stock.SigmaDelta():
                arguments = {
                    "shape": shape,
                    "vth": compartment.vth_mant,
                    "spike_exp": compartment.spike_exp,
                    "state_exp": stock.STATE_SHIFT,
                }
                if isinstance(compartment, stock.Delta):
                    return Delta(**arguments)
                mant = compartment.bias.mant[None, None, :]
                bias = mant + np.zeros(shape, dtype=np.int32)
                return SigmaDelta(bias=bias, **arguments)
            case stock.Sigma():
                return Sigma(shape=shape)
            case _:
                assert_never(compartment)

    def _cuba(self, layer: StockLayer, compartment: stock.CUBA) -> AbstractProcess:
        injected = isinstance(layer.connections[0].synapse, Injection)
        bias = compartment.bias.mant[:, None, None]
        bias = bias + np.zeros(layer.shape, dtype=np.int32)
        if injected and self.constant is not None:
            bias = self.constant
        arguments = {
            "shape": whc(layer.shape),
            "vth": _parameter(compartment.vth_mant),
            # The model adds ds_offset = 1 again.
            "du": _parameter(compartment.i_decay) - 1,
            "dv": _parameter(compartment.v_decay),
            "bias_mant": bias.transpose(2, 1, 0),
            "bias_exp": stock.STATE_SHIFT,
        }
        reset = self.network.reset
        if reset is None:
            return LIF(**arguments)
        return LIFReset(
            reset_interval=reset.interval,
            reset_offset=reset.offset + self.network.stages[layer.name],
            **arguments,
        )


def _parameter(value: stock.PerChannel) -> Any:
    """One number, or one per channel, which meets (W, H, C) along its last axis."""
    return value if isinstance(value, int) else np.array(value)


def _uneven(synapse: ConvTranspose, source: Shape) -> bool:
    """Whether its phases do not tile the output."""
    _, height, width = synapse.output_shape(source)
    return bool(height % synapse.stride[0] or width % synapse.stride[1])


def _matrix(
    synapse: Dense | ConvTranspose, source: Shape, bits: int
) -> AbstractProcess:
    # Given as mixed sign with 8 bits, the models keep even mantissas as they are.
    arguments: dict[str, Any] = {
        "num_weight_bits": 8,
        "sign_mode": SignMode.MIXED,
        "num_message_bits": bits,
    }
    if isinstance(synapse, ConvTranspose):
        return Sparse(weights=as_matrix(synapse, source), **arguments)
    arguments["weights"] = np.array(synapse.weight)
    if synapse.delay is None:
        return LavaDense(**arguments)
    # DelayDense takes int64 for integers, nothing else.
    delays = synapse.delay.astype(np.int64)
    return DelayDense(delays=delays, max_delay=DELAY.maximum, **arguments)


def as_matrix(synapse: ConvTranspose, source: Shape) -> scipy.sparse.csr_matrix:
    """Transposed convolution as a matrix between flattened (C, H, W).

    Parameters
    ----------
    synapse : ConvTranspose
        What to write out.
    source : tuple of int
        (C, H, W) of its source.

    Returns
    -------
    csr_matrix, shape (C_out * H_out * W_out, C * H * W), int32
    """
    target = synapse.output_shape(source)
    per_group = source[0] // synapse.groups
    c_out, kh, kw = synapse.weight.shape[1:]
    rows, columns, values = [], [], []
    for ky in range(kh):
        y, into_y = _hits(synapse, 0, ky, source[1], target[1])
        for kx in range(kw):
            x, into_x = _hits(synapse, 1, kx, source[2], target[2])
            read = (y[:, None] * source[2] + x).reshape(-1)
            written = (into_y[:, None] * target[2] + into_x).reshape(-1)
            for c in range(source[0]):
                first = c // per_group * c_out
                for o in range(c_out):
                    rows.append((first + o) * target[1] * target[2] + written)
                    columns.append(c * source[1] * source[2] + read)
                    values.append(np.full(len(read), synapse.weight[c, o, ky, kx]))
    shape = (int(np.prod(target)), int(np.prod(source)))
    parts = [np.concatenate(part) for part in (values, rows, columns)]
    matrix = scipy.sparse.coo_matrix((parts[0], (parts[1], parts[2])), shape=shape)
    return matrix.tocsr().astype(np.int32)


def _hits(
    synapse: ConvTranspose, axis: int, tap: int, source: int, target: int
) -> tuple[IntArray, IntArray]:
    """Along one axis: source positions that reach the output by a tap, and where."""
    positions = np.arange(source)
    into = positions * synapse.stride[axis] - synapse.padding[axis]
    into = into + tap * synapse.dilation[axis]
    inside = (into >= 0) & (into < target)
    return positions[inside], into[inside]


@dataclass(frozen=True, eq=False)
class Block:
    """One layer as netx's blocks show it.

    Parameters
    ----------
    neuron : AbstractProcess
        Its compartments; ``neuron.bias_mant.init`` sets what a first CUBA layer is
        given, ``neuron.v.get()`` reads a state.
    synapse : AbstractProcess or None
        Of its first connection.
    shape : tuple of int
        (x, y, C) of the compartments.
    inp, out : port
        What it receives and sends.
    transform : dict of str to int
        ``weight`` and ``bias`` of an input layer; empty for others.
    """

    neuron: Any
    synapse: Any
    shape: Shape
    inp: Any
    out: Any
    transform: dict[str, int]


def block_of(graph: StockGraph, layer: StockLayer) -> Block:
    """Block of one layer of a graph."""
    neuron, synapse = graph.neurons[layer.name], graph.synapses.get(layer.name)
    first = layer.connections[0].synapse
    transform = {}
    if isinstance(first, Injection):
        transform = {"weight": first.gain, "bias": first.offset}
    return Block(
        neuron=neuron,
        synapse=synapse,
        shape=whc(layer.shape),
        inp=neuron.a_in if synapse is None else synapse.s_in,
        out=graph.ports[layer.name],
        transform=transform,
    )
