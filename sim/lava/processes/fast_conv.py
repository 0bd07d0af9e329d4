# SPDX-License-Identifier: BSD-3-Clause
"""What stands for a stock Conv in a network that was given `sim.lava.fast_conv`.

Lava chooses a model by the tag of the run, as it does for its own Conv: ``floating_pt``
is Lava's own arithmetic, ``fixed_pt`` the fast integers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.models import AbstractPyConvModel
from lava.proc.conv.process import Conv

from sim.lava.conv import AbstractFastConvExpModel, AbstractFastConvModel


class FastConv(Conv):  # type: ignore[misc]
    """Stock Conv with integer weights; weight_exp is ignored, as stock does."""


class FastConvExp(Conv):  # type: ignore[misc]
    """Stock Conv with integer weights, shifted by weight_exp."""


class FractionalConv(Conv):  # type: ignore[misc]
    """Stock Conv with weights that are not integers: has no fixed-point model.

    Lava's own fixed-point Conv would cut them without a word; here it refuses the
    Process by its name, before anything runs.
    """


class AbstractFloatConvModel(AbstractPyConvModel):  # type: ignore[misc]
    """Types of lava.proc.conv.models.PyConvModelFloat, which is bound to Conv."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float, precision=24)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    a_buf: npt.NDArray[np.float64] = LavaPyType(np.ndarray, float)
    weight: npt.NDArray[np.float64] = LavaPyType(np.ndarray, float)


@implements(proc=FastConv, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyFloatModel(AbstractFloatConvModel):
    """Lava's own."""


@implements(proc=FastConv, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFixedModel(AbstractFastConvModel):
    """Fast integers."""


@implements(proc=FastConvExp, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyFloatExpModel(AbstractFloatConvModel):
    """Lava's own, which ignores weight_exp."""


@implements(proc=FastConvExp, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFixedExpModel(AbstractFastConvExpModel):
    """Fast integers, shifted."""


@implements(proc=FractionalConv, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyFractionalModel(AbstractFloatConvModel):
    """Lava's own."""
