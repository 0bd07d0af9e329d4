# SPDX-License-Identifier: BSD-3-Clause
"""Stock neurons that also write their spikes and states to files as they run.

Reading a Var through Lava's runtime takes a message per element; these take none.
Arithmetic, order and timing are those of lava-nc's own models.
"""

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.lif.models import PyLifModelBitAcc, PyLifResetModelBitAcc
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.sdn.models import (
    PyDeltaModelFixed,
    PySigmaDeltaModelFixed,
    PySigmaModelFixed,
)
from lava.proc.sdn.process import Delta, Sigma, SigmaDelta


def attach(neuron, folder, states, num_steps):
    """Ask a neuron to write; ``read`` gives {"": spikes, state: values} later."""
    names = ("", *states)
    paths = {name: str(folder / f"{id(neuron)}{name}.npy") for name in names}
    for path in paths.values():
        shape = (num_steps, *map(int, neuron.s_out.shape))
        np.lib.format.open_memmap(path, mode="w+", dtype=np.int64, shape=shape)
    neuron.proc_params["probe"] = paths
    return paths


class _Sent:
    """An OutPort that remembers what it sent."""

    def __init__(self, port):
        self.port = port

    def send(self, data):
        self.last = np.array(data)
        self.port.send(data)


class _Probed:
    """Mixin before a stock model."""

    def run_spk(self):
        if not isinstance(self.s_out, _Sent):
            self.s_out = _Sent(self.s_out)
        super().run_spk()
        for name, path in self.proc_params["probe"].items():
            values = getattr(self, name) if name else self.s_out.last
            np.load(path, mmap_mode="r+")[self.time_step - 1] = values


@implements(proc=LIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("probed")
class ProbedLif(_Probed, PyLifModelBitAcc):
    pass


@implements(proc=LIFReset, protocol=LoihiProtocol)
@requires(CPU)
@tag("probed")
class ProbedLifReset(_Probed, PyLifResetModelBitAcc):
    pass


@implements(proc=Delta, protocol=LoihiProtocol)
@requires(CPU)
@tag("probed")
class ProbedDelta(_Probed, PyDeltaModelFixed):
    pass


@implements(proc=SigmaDelta, protocol=LoihiProtocol)
@requires(CPU)
@tag("probed")
class ProbedSigmaDelta(_Probed, PySigmaDeltaModelFixed):
    pass


@implements(proc=Sigma, protocol=LoihiProtocol)
@requires(CPU)
@tag("probed")
class ProbedSigma(_Probed, PySigmaModelFixed):
    pass


MODELS = {
    LIF: ProbedLif,
    LIFReset: ProbedLifReset,
    Delta: ProbedDelta,
    SigmaDelta: ProbedSigmaDelta,
    Sigma: ProbedSigma,
}
