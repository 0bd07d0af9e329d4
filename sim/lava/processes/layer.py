# SPDX-License-Identifier: BSD-3-Clause
"""A whole layer as one Lava Process: delay lines, convolutions, compartment.

A process per connection copies 32-bit sums through shared memory three times on
their way from a spike to the compartment. Here payloads are all that travels, in
the smallest dtype that holds them.
"""

from __future__ import annotations

import functools
from collections import deque
from typing import Any

import numpy as np
import threadpoolctl
from lava.magma.core.decorator import implements, requires
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from export.compartment import MTIF
from export.network import Layer as FrozenLayer
from export.synapse import IntArray, Shape
from sim.lava.conv import SumCheck
from sim.lava.kernel import ExactConv
from sim.lava.lowering import LoweredConv
from sim.lava.neuron import Int32, fire, potential_shape, rest
from sim.lava.shared_array import Tap
from sim.lava.window import Windows
from sim.overflow import extremes, overflow


class Layer(AbstractProcess):  # type: ignore[misc]
    """A layer of a Network with all connections into it.

    Parameters
    ----------
    layer : export.network.Layer
        What to run.
    sources : tuple of tuple of int
        Shape (W, H, C) of each connection's source.
    convs : tuple of LoweredConv
        The connections' synapses.
    checks : tuple of SumCheck or None
        Where a connection's sums might overflow.
    windows : Windows
        When the layer works.
    tap : Tap or None
        Where to record; None records nothing.

    Attributes
    ----------
    s_in0, s_in1, ... : InPort
        Payloads of each connection's source.
    s_out : OutPort
        What the compartment emits.
    """

    def __init__(
        self,
        *,
        layer: FrozenLayer,
        sources: tuple[Shape, ...],
        convs: tuple[LoweredConv, ...],
        checks: tuple[SumCheck | None, ...],
        windows: Windows,
        tap: Tap | None,
    ) -> None:
        super().__init__(
            layer=layer,
            convs=convs,
            checks=checks,
            windows=windows,
            tap=tap,
            name=layer.name,
        )
        for number, shape in enumerate(sources):
            setattr(self, f"s_in{number}", InPort(shape=shape))
        self.s_out = OutPort(shape=layer.shape[::-1])


class _Input:
    """Delay line and convolution of one connection."""

    def __init__(self, conv: LoweredConv, delay: int, check: SumCheck | None) -> None:
        self.check = check
        self.phases = conv.phases
        self.conv = ExactConv(
            conv.weight,
            stride=conv.stride,
            padding=conv.padding,
            dilation=conv.dilation,
            groups=conv.groups,
        )
        self.delay = delay
        self.line: deque[IntArray] = deque(maxlen=delay + 1)
        self.used: IntArray | None = None

    def arrive(self, message: IntArray) -> None:
        """Take in this step's message."""
        if not self.line:
            self.line.extend([np.zeros_like(message)] * self.delay)
        self.line.append(message)

    def changed(self) -> bool:
        """Whether the message now due differs from the one last used."""
        return self.used is None or not np.array_equal(self.used, self.line[0])

    def add_to(self, total: Int32, time_step: int) -> Exception | None:
        """Add the sums of the message now due; return an overflow instead."""
        self.used = self.line[0]
        sums = self.conv.sums(self.used)
        if self.check is not None:
            error = self.check.error(sums, time_step)
            if error is not None:
                return error
        sw, sh = self.phases
        width, height, channels = total.shape
        split = total.reshape(width // sw, sw, height // sh, sh, channels)
        current = split.transpose(0, 2, 1, 3, 4)
        current += sums.astype(np.int32).reshape(current.shape)
        return None


@implements(proc=Layer, protocol=LoihiProtocol)
@requires(CPU)
class PyLayerModel(PyLoihiProcessModel):  # type: ignore[misc]
    """Emits for this time step, then computes the input of the next."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        # All layers compute at once, one process each: more threads only fight.
        threadpoolctl.threadpool_limits(1, user_api="blas")
        self._layer: FrozenLayer = proc_params["layer"]
        self._windows: Windows = proc_params["windows"]
        self._inputs = [
            _Input(conv, connection.delay, check)
            for conv, connection, check in zip(
                proc_params["convs"],
                self._layer.connections,
                proc_params["checks"],
                strict=True,
            )
        ]
        shape = self._layer.shape[::-1]
        bias = self._layer.compartment.bias.effective()
        self._bias = np.broadcast_to(bias.astype(np.int32), shape).copy()
        compartment = self._layer.compartment
        potentials: tuple[int, ...] = shape
        if isinstance(compartment, MTIF):
            potentials = potential_shape(
                shape, compartment.num_thresholds, compartment.mapping
            )
        self._v = np.zeros(potentials, np.int32)
        self._total = self._bias.copy()
        self._silence = np.zeros(shape, np.int32)
        self._error: Exception | None = None
        tap = proc_params["tap"]
        self._recorded: Any = None if tap is None else tap.open()

    def run_spk(self) -> None:
        """Integrate what arrived at the step before, emit, take in messages.

        Raises
        ------
        OverflowLayerError
            If a sum or the potential leaves 24 bits signed. It is raised after
            sending: a process that dies before it has sent makes its readers,
            and with them the Lava runtime, wait for ever.
        """
        now = self._windows.at(self.time_step)
        emitted = self._silence if now is None else self._integrate(*now)
        self.s_out.send(emitted)
        if self._error is not None:
            raise self._error
        for number, source in enumerate(self._inputs):
            source.arrive(getattr(self, f"s_in{number}").recv())
        if self._windows.at(self.time_step + 1) is not None:
            self._gather()

    def _integrate(self, window: int, step: int) -> Int32:
        compartment = self._layer.compartment
        if step == 0:
            self._v[...] = 0
            if isinstance(compartment, MTIF):
                rest(self._v, compartment.vth_mant, compartment.mapping)
        self._v += self._total
        # A sum that overflowed comes first: it would not be a sum any more.
        self._error = self._error or overflow(
            extremes(self._v), self._layer.name, step, "potential", window
        )
        if not isinstance(compartment, MTIF):
            if self._recorded is not None and step == self._windows.interval - 1:
                self._recorded[window % len(self._recorded)] = self._v.transpose(
                    2, 1, 0
                )
            return self._v
        payload = fire(
            self._v,
            compartment.vth_mant,
            compartment.num_thresholds,
            compartment.mapping,
        )
        if self._recorded is not None:
            self._recorded[window % len(self._recorded), step] = payload.transpose(
                2, 1, 0
            )
        return payload

    def _gather(self) -> None:
        """Bias and sums of all connections, kept where no message changed."""
        if not any(source.changed() for source in self._inputs):
            return
        self._total[...] = self._bias
        for source in self._inputs:
            error = source.add_to(self._total, self.time_step + 1)
            self._error = self._error or error


@functools.cache
def layer_model(num_inputs: int, magnitude: int) -> type[PyLayerModel]:
    """Model of a `Layer` with that many inputs and payloads.

    Parameters
    ----------
    num_inputs : int
        Connections of the layer; Lava wants exactly its ports on the class.
    magnitude : int
        Largest payload sent, 0 for a potential; Lava makes the channel with the
        dtype of the class.

    Returns
    -------
    type
        ProcessModel. Its inputs take the dtype that the sender has: Lava adds
        a message to zeros, and zeros of bool take on any dtype.
    """
    ports: dict[str, Any] = {
        f"s_in{n}": LavaPyType(PyInPort.VEC_DENSE, np.bool_) for n in range(num_inputs)
    }
    ports["s_out"] = LavaPyType(PyOutPort.VEC_DENSE, _message_type(magnitude))
    return type("PyLayerModel", (PyLayerModel,), ports)


def _message_type(magnitude: int) -> type[np.integer[Any]]:
    if 0 < magnitude <= np.iinfo(np.uint8).max:
        return np.uint8
    return np.int32
