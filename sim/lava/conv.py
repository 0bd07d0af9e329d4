# SPDX-License-Identifier: BSD-3-Clause
"""Fast ProcessModels for stock `lava.proc.conv.process.Conv`, the same integers.

Sums, the wrap to 24 bits, the cast of binary messages to bool and the delay of
one time step are those of lava.proc.conv.models.PyConvModelFixed (lava-nc 0.10.0).
Integers only. `sim.lava.fast_conv` is how any Lava network takes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import threadpoolctl
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.models import AbstractPyConvModel
from lava.proc.conv.process import Conv

from sim.lava.kernel import ExactConv
from sim.lava.window import Windows
from sim.overflow import extremes, overflow

STATE_BITS = 24


def wrap(sums: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Wrap to 24 bits signed, as lava.proc.conv.utils.signed_clamp.

    Examples
    --------
    >>> wrap(np.array([2**23 - 1, 2**23, -(2**23) - 1], dtype=np.int32))
    array([ 8388607, -8388608,  8388607], dtype=int32)
    """
    half = np.int32(1 << (STATE_BITS - 1))
    mask = np.int32((1 << STATE_BITS) - 1)
    wrapped: npt.NDArray[np.int32] = ((sums + half) & mask) - half
    return wrapped


@dataclass(frozen=True, kw_only=True)
class SumCheck:
    """Asks a fast Conv to raise where stock would wrap.

    Set as ``conv.proc_params["sum_check"]``.

    Parameters
    ----------
    layer, source : str
        Names for the error.
    windows : Windows
        Of the target compartment; outside of them nothing is checked.
    """

    layer: str
    source: str
    windows: Windows

    def error(self, sums: npt.NDArray[Any], time_step: int) -> Exception | None:
        """Overflow that these sums, arriving at ``time_step``, would cause."""
        now = self.windows.at(time_step)
        if now is None:
            return None
        image, step = now
        what = f"input from '{self.source}'"
        return overflow(extremes(sums), self.layer, step, what, image)


class AbstractFastConvModel(AbstractPyConvModel):  # type: ignore[misc]
    """Stock Conv by matrix products; ignores weight_exp, as stock does.

    Lava's decorators bind a model to one Process, subclasses included, so this one is
    bound to none.
    """

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    a_buf: npt.NDArray[np.int32] = LavaPyType(np.ndarray, np.int32, precision=24)
    weight: npt.NDArray[np.int32] = LavaPyType(np.ndarray, np.int32, precision=8)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._check: SumCheck | None = proc_params.get("sum_check")
        self._conv: ExactConv | None = None
        self._error: Exception | None = None

    def on_var_update(self) -> None:
        """Forget the prepared kernel: a Var was set."""
        self._conv = None

    def run_spk(self) -> None:
        """Send the sums of the step before, then take in this step's message.

        Raises
        ------
        OverflowLayerError
            With a `SumCheck`, at the time step at which the sums arrive.
        """
        # It is raised after sending: see `sim.lava.processes.layer`.
        self.a_out.send(self.a_buf)
        if self._error is not None:
            raise self._error
        s_in = self.s_in.recv()
        if self.num_message_bits.item() == 0:
            s_in = s_in.astype(bool)
        if self._conv is None:
            self._conv = self._prepare()
        sums = self._conv.sums(s_in)
        if self._check is not None:
            self._error = self._check.error(sums, self.time_step + 1)
        self.a_buf = wrap(sums.astype(np.int32))

    def _prepare(self) -> ExactConv:
        # All layers compute at once, one process each: more threads only fight.
        threadpoolctl.threadpool_limits(1, user_api="blas")
        return ExactConv(
            self._effective_weight(),
            stride=(int(self.stride[0]), int(self.stride[1])),
            padding=(int(self.padding[0]), int(self.padding[1])),
            dilation=(int(self.dilation[0]), int(self.dilation[1])),
            groups=int(self.groups[0]),
        )

    def _effective_weight(self) -> npt.NDArray[np.int32]:
        weight: npt.NDArray[np.int32] = self.weight
        return weight


class AbstractFastConvExpModel(AbstractFastConvModel):
    """As `AbstractFastConvModel`, but honours weight_exp: ``weight << weight_exp``."""

    def _effective_weight(self) -> npt.NDArray[np.int32]:
        weight: npt.NDArray[np.int32] = self.weight << int(self.weight_exp[0])
        return weight


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("fast")
class PyFastConvModel(AbstractFastConvModel):
    """For the graphs that this project builds, which hold integers only."""
