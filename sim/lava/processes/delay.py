# SPDX-License-Identifier: BSD-3-Clause
"""A line that hands messages on some time steps later."""

from __future__ import annotations

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from export.synapse import IntArray, Shape


class DelayLine(AbstractProcess):  # type: ignore[misc]
    """Sends at time step s what arrived at ``s - delay``; zeros before that.

    Lava 0.10.0 has synaptic delays for Dense and Sparse only; this one stands
    for the delay of a convolution's synapses.

    Parameters
    ----------
    shape : tuple of int
        (W, H, C) of the messages.
    delay : int
        Time steps, 1 or more.
    name : str
        Name of the process.

    Attributes
    ----------
    s_in, s_out : InPort, OutPort
        Payloads, int32.
    """

    def __init__(self, *, shape: Shape, delay: int, name: str) -> None:
        if delay < 1:
            raise ValueError(f"delay line '{name}': delay {delay}, 1 or more needed")
        super().__init__(name=name)
        self.s_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.line = Var(shape=(delay, *shape), init=0)


@implements(proc=DelayLine, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyDelayLineModel(PyLoihiProcessModel):  # type: ignore[misc]
    """Ring buffer of the last ``delay`` messages."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    line: IntArray = LavaPyType(np.ndarray, np.int32, precision=24)

    def run_spk(self) -> None:
        """Hand the oldest message on and keep the new one in its place."""
        slot = (self.time_step - 1) % len(self.line)
        self.s_out.send(self.line[slot])
        self.line[slot] = self.s_in.recv()
