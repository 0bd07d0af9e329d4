# SPDX-License-Identifier: BSD-3-Clause
"""Stock `lava.proc.conv.process.Conv`, which does not add up the same message twice.

In a pipeline a layer has something to do while its image passes, and is silent before
and after. Stock's Conv adds up that silence at every time step, one pair of channels
after the other: with T = 1 and 26 layers all but one of its 27 results are of zeros. A
convolution has no state, so a message that is equal to an earlier one has the same
sums. What computes them, of silence too, is the step of
lava.proc.conv.models.PyConvModelFixed (lava-nc 0.10.0), unchanged.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv

Int32 = npt.NDArray[np.int32]

#: Different messages whose sums are kept: silence, and what came last.
KEPT = 2


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("remembering")
class PyRememberingConvModel(PyConvModelFixed):  # type: ignore[misc]
    """Runs stock's step for each message that is not one of the last different ones."""

    a_buf: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._known: deque[tuple[Int32, Int32]] = deque(maxlen=KEPT)

    def on_var_update(self) -> None:
        """Forget all sums: a Var was set."""
        self._known.clear()

    def run_spk(self) -> None:
        """Send the sums of the step before, then take in this step's message."""
        self.a_out.send(self.a_buf)
        message: Int32 = self.s_in.recv()
        for earlier, sums in self._known:
            if np.array_equal(earlier, message):
                self.a_buf = sums
                return
        step = _Step(self, message)
        PyConvModelFixed.run_spk(step)
        self.a_buf = step.a_buf
        self._known.append((message, step.a_buf))


class _Step:
    """Stands for a model during stock's step: a message is there, nothing is sent."""

    def __init__(self, model: PyRememberingConvModel, message: Int32) -> None:
        self.model = model
        self.message = message
        self.a_buf: Any = model.a_buf
        self.s_in = self.a_out = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def recv(self) -> Int32:
        return self.message

    def send(self, sums: Int32) -> None:
        pass
