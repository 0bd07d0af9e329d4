# SPDX-License-Identifier: BSD-3-Clause
"""A source that holds each image over its window (static coding)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from sim.lava.shared_array import Tap


class FrameSource(AbstractProcess):  # type: ignore[misc]
    """Sends integer images, each for ``num_steps`` time steps, over and over.

    Parameters
    ----------
    frames : Tap
        Existing file of the images, shape (images, C, H, W), int32; they may be
        negative. Another process may exchange those that are not being sent.
    num_steps : int
        T, time steps of one image.
    clock : Path
        Existing file of 8 bytes; the current time step is kept there as int64,
        so that another process can follow the run.
    name : str
        Name of the process.

    Attributes
    ----------
    s_out : OutPort
        Payloads, shape (W, H, C).
    """

    def __init__(self, *, frames: Tap, num_steps: int, clock: Path, name: str) -> None:
        super().__init__(frames=frames, num_steps=num_steps, clock=clock, name=name)
        self.s_out = OutPort(shape=frames.shape[:0:-1])


@implements(proc=FrameSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFrameSourceModel(PyLoihiProcessModel):  # type: ignore[misc]
    """Reads the images from the file."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._frames = proc_params["frames"].open().transpose(0, 3, 2, 1)
        self._num_steps = proc_params["num_steps"]
        self._clock = np.memmap(proc_params["clock"], dtype=np.int64, mode="r+")

    def run_spk(self) -> None:
        """Send the image whose window this time step lies in."""
        self._clock[0] = self.time_step
        window = (self.time_step - 1) // self._num_steps
        self.s_out.send(self._frames[window % len(self._frames)])
