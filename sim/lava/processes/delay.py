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
    delay : int, or array_like of int, shape (C,)
        Time steps, 1 or more; or one number for each channel, 0 or more.
    name : str
        Name of the process.

    Attributes
    ----------
    s_in, s_out : InPort, OutPort
        Payloads, int32.
    """

    def __init__(self, *, shape: Shape, delay: int | IntArray, name: str) -> None:
        if isinstance(delay, int) and delay < 1:
            raise ValueError(f"delay line '{name}': delay {delay}, 1 or more needed")
        delays = np.broadcast_to(np.asarray(delay, dtype=np.int32), shape[2:])
        super().__init__(name=name)
        self.s_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        # One slot more than the longest delay: a channel may have none.
        self.line = Var(shape=(int(delays.max()) + 1, *shape), init=0)
        self.delays = Var(shape=delays.shape, init=delays)


@implements(proc=DelayLine, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyDelayLineModel(PyLoihiProcessModel):  # type: ignore[misc]
    """Ring buffer of the last messages; also what arrives now, for a delay of 0."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    line: IntArray = LavaPyType(np.ndarray, np.int32, precision=24)
    delays: IntArray = LavaPyType(np.ndarray, np.int32, precision=24)

    def run_spk(self) -> None:
        """Keep the new message and hand on what each channel sent ``delay`` ago."""
        self.line[self.time_step % len(self.line)] = self.s_in.recv()
        slots = (self.time_step - self.delays) % len(self.line)
        channels = np.arange(len(self.delays))
        # (slots, W, H, C) -> (W, H, C)
        self.s_out.send(self.line[slots, :, :, channels].transpose(1, 2, 0))
