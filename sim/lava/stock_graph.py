# SPDX-License-Identifier: BSD-3-Clause
"""A Network as connected Lava Processes.

Each connection is one stock Conv, fed through a delay line where the design
asks for one; Lava adds the sums of all connections that meet at a compartment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from typing_extensions import assert_never

from export.compartment import MTIF, Accumulator
from export.errors import UnsupportedLayerError
from export.facts import STATE
from export.network import Connection, Input, Layer, Network
from export.stock_network import StockNetwork
from export.synapse import Shape
from sim.backend import BackendError
from sim.lava.conv import SumCheck
from sim.lava.lowering import lower
from sim.lava.processes import compartment as processes
from sim.lava.processes.delay import DelayLine
from sim.lava.shared_array import Tap
from sim.lava.window import Windows


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """Processes of a Network and where images enter.

    Parameters
    ----------
    entries : tuple of InPort
        Ports, shape (W, H, C), that all must receive the image.
    processes : tuple of AbstractProcess
        All processes, sources before targets.
    layers : mapping of str to AbstractProcess
        Compartment of each layer.
    """

    entries: tuple[InPort, ...]
    processes: tuple[AbstractProcess, ...]
    layers: Mapping[str, AbstractProcess]


def whc(shape: Shape) -> Shape:
    """(C, H, W) as Lava's (W, H, C)."""
    return (shape[2], shape[1], shape[0])


def message_bits(node: Input | Layer) -> int:
    """Bits of a node's payload, 0 for a binary spike (Lava's num_message_bits)."""
    if isinstance(node, Input):
        low, high = node.minimum, node.maximum
        if low < 0:
            return 1 + max((-low - 1).bit_length(), high.bit_length())
    else:
        high = node.magnitude
    return 0 if high <= 1 else high.bit_length()


def output_bits(layer: Layer) -> int:
    """Bits of what a layer sends: an accumulator sends its 24-bit potential."""
    if isinstance(layer.compartment, Accumulator):
        return STATE.maximum.bit_length() + 1
    return message_bits(layer)


def check_bounds(network: Network) -> None:
    """Refuse connections whose sums stock Conv might wrap unseen.

    Raises
    ------
    BackendError
        If a connection's bound does not fit 24 bits signed.
    """
    for layer in network.layers:
        for c in layer.connections:
            bound = c.bound(network.nodes[c.source].magnitude)
            if not STATE.contains(-bound, bound):
                raise BackendError(
                    f"layer '{layer.name}' <- '{c.source}': sums up to {bound} may "
                    "leave 24 bits signed, which stock Conv wraps unseen; the backend "
                    "'lava' checks them"
                )


def windows(
    network: Network, layer: Layer, reset_offset: int, num_windows: int | None
) -> Windows:
    """Windows of a layer; the arguments are those of `build`."""
    # Lava counts time steps from 1.
    start = 1 + network.stages[layer.name] + reset_offset
    return Windows(interval=network.num_steps, offset=start, count=num_windows)


def sum_check(
    connection: Connection, layer: Layer, source: Input | Layer, windows: Windows
) -> SumCheck | None:
    """Check of a connection's sums; None where the static bound makes it idle."""
    bound = connection.bound(source.magnitude)
    if STATE.contains(-bound, bound):
        return None
    return SumCheck(layer=layer.name, source=connection.source, windows=windows)


class _Builder:
    """Makes the processes of one Network, one layer after the other."""

    def __init__(
        self,
        network: Network,
        reset_offset: int,
        num_windows: int | None,
        taps: Mapping[str, Tap],
    ) -> None:
        self.network = network
        self.reset_offset = reset_offset
        self.num_windows = num_windows
        self.taps = taps
        self.entries: list[InPort] = []
        self.processes: list[AbstractProcess] = []
        self.layers: dict[str, AbstractProcess] = {}
        self.lines: dict[tuple[str, int], OutPort] = {}

    def build(self) -> Graph:
        for layer in self.network.layers:
            target = self._compartment(layer)
            for c in layer.connections:
                self._connect(c, layer, target)
            self.processes.append(target)
            self.layers[layer.name] = target
        return Graph(
            entries=tuple(self.entries),
            processes=tuple(self.processes),
            layers=self.layers,
        )

    def _windows(self, layer: Layer) -> Windows:
        return windows(self.network, layer, self.reset_offset, self.num_windows)

    def _compartment(self, layer: Layer) -> AbstractProcess:
        compartment = layer.compartment
        shared: dict[str, Any] = {
            "shape": whc(layer.shape),
            "bias": compartment.bias,
            "windows": self._windows(layer),
            "name": layer.name,
            "tap": self.taps.get(layer.name),
        }
        match compartment:
            case MTIF():
                return processes.MTIF(
                    vth_mant=compartment.vth_mant,
                    num_thresholds=compartment.num_thresholds,
                    mapping=compartment.mapping,
                    **shared,
                )
            case Accumulator():
                return processes.Accumulator(**shared)
            case _:
                assert_never(compartment)

    def _connect(
        self, connection: Connection, layer: Layer, target: AbstractProcess
    ) -> None:
        source = self.network.nodes[connection.source]
        name = f"{layer.name} <- {connection.source}"
        where = f"layer '{layer.name}' <- '{connection.source}'"
        lowered = lower(connection, source.shape, where)
        conv = lowered.process(
            shape=whc(source.shape), num_message_bits=message_bits(source), name=name
        )
        conv.proc_params["sum_check"] = sum_check(
            connection, layer, source, self._windows(layer)
        )
        self._feed(connection, whc(source.shape), conv.s_in)
        lowered.connect(conv, target.a_in)
        self.processes.append(conv)

    def _feed(self, connection: Connection, shape: Shape, s_in: InPort) -> None:
        """Connect the source, or its delayed copy, to a convolution."""
        name, delay = connection.source, connection.delay
        if delay == 0:
            if name in self.layers:
                self.layers[name].s_out.connect(s_in)
            else:
                self.entries.append(s_in)
            return
        if (name, delay) not in self.lines:
            line = DelayLine(shape=shape, delay=delay, name=f"{name} + {delay}")
            self.processes.append(line)
            self.lines[name, delay] = line.s_out
            if name in self.layers:
                self.layers[name].s_out.connect(line.s_in)
            else:
                self.entries.append(line.s_in)
        self.lines[name, delay].connect(s_in)


def build(
    network: Network,
    *,
    reset_offset: int = 0,
    num_windows: int | None = None,
    taps: Mapping[str, Tap] | None = None,
) -> Graph:
    """Make the Lava processes of a Network.

    Parameters
    ----------
    network : Network
        What to build.
    reset_offset : int
        Time steps before the first image enters.
    num_windows : int or None
        Images after which all compartments rest; None means never.
    taps : mapping of str to Tap, optional
        Where layers record, by name.

    Returns
    -------
    Graph
        Connected processes; the source of the images is still to be connected.

    Raises
    ------
    UnsupportedLayerError
        If stock Conv cannot express a connection, or the network is a StockNetwork.
    """
    if isinstance(network, StockNetwork):
        raise UnsupportedLayerError(
            "stock neurons found (StockNetwork): lava.lib.dl.netx.hdf5.Network is "
            "its Process"
        )
    return _Builder(network, reset_offset, num_windows, taps or {}).build()
