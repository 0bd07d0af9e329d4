# SPDX-License-Identifier: BSD-3-Clause
"""Stock `lava.proc.conv.process.Conv`, faster, in anybody's Lava network.

One argument does it::

    run_cfg = Loihi2SimCfg(
        select_tag="fixed_pt", exception_proc_model_map={Conv: FAST_CONV["stock"]}
    )

A fixed-point network gets the same integers; a floating-point one gets Lava's own
arithmetic; fractional weights in a fixed-point network, which Lava cuts without a word,
are refused before the run.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from lava.magma.core.decorator import implements
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.process import Conv

from sim.lava.processes.fast_conv import FastConv, FastConvExp, FractionalConv

#: Arguments of a Conv, as it keeps them.
_ARGUMENTS = (
    "weight",
    "weight_exp",
    "input_shape",
    "padding",
    "stride",
    "dilation",
    "groups",
    "num_weight_bits",
    "num_message_bits",
)


@implements(proc=Conv, protocol=LoihiProtocol)
class FastConvModel(AbstractSubProcessModel):  # type: ignore[misc]
    """Puts a Process with fast models in the place of a Conv; ignores weight_exp."""

    process: ClassVar[type[Conv]] = FastConv

    def __init__(self, proc: Any) -> None:
        weight = np.asarray(proc.proc_params["weight"])
        fractional = weight[weight != np.trunc(weight)]
        kind, name = self.process, proc.name
        if fractional.size:
            # The name is what Lava says where the run is in fixed point.
            kind = FractionalConv
            name += f" (weight {fractional.flat[0]} found, integers are allowed)"
        arguments = {key: proc.proc_params[key] for key in _ARGUMENTS}
        self.conv = kind(**arguments, name=name)
        check = proc.proc_params.get("sum_check")
        if check is not None:
            self.conv.proc_params["sum_check"] = check
        proc.in_ports.s_in.connect(self.conv.in_ports.s_in)
        self.conv.out_ports.a_out.connect(proc.out_ports.a_out)
        for var in proc.vars:
            var.alias(getattr(self.conv.vars, var.name))


@implements(proc=Conv, protocol=LoihiProtocol)
class FastConvExpModel(FastConvModel):
    """As `FastConvModel`, but honours weight_exp: ``weight << weight_exp``."""

    process = FastConvExp


# What weight_exp does -> model. Stock Conv ignores it (lava-nc issue 803).
FAST_CONV = {"stock": FastConvModel, "honour": FastConvExpModel}
