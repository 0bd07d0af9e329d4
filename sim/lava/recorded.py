# SPDX-License-Identifier: BSD-3-Clause
"""ProcessModels of lava-nc 0.10.0's neurons that also record what they do.

The stock ``run_spk`` runs unchanged between a port that remembers what arrived and
one that remembers what was sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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

from sim.lava.shared_array import Tap
from sim.overflow import check_range, extremes


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """Asks a neuron to record, and to refuse sums that its rules do not define.

    Set as ``process.proc_params["recorder"]``.

    Parameters
    ----------
    layer : str
        Its name, for errors.
    arriving : str
        What errors call the sum of all that arrives.
    shift : int
        Left shift of the input sum that must fit 24 bits signed.
    spikes : Tap
        Where what is sent goes, (T, C, H, W).
    states : mapping of str to Tap
        Where Vars go, by their name, (T, C, H, W).
    """

    layer: str
    arriving: str
    shift: int
    spikes: Tap
    states: Mapping[str, Tap]


class _Listener:
    """A port that remembers the last message."""

    def __init__(self, port: Any) -> None:
        self._port = port
        self.last: Any = None

    def recv(self) -> Any:
        self.last = self._port.recv()
        return self.last

    def send(self, data: Any) -> None:
        self.last = np.array(data)
        self._port.send(data)


class _Recorded:
    """Mixin before a stock model."""

    a_in: Any
    s_out: Any
    time_step: int

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)  # type: ignore[call-arg]
        recorder: Recorder = proc_params["recorder"]
        self._recorder = recorder
        self._listening = False
        self._spikes = recorder.spikes.open()
        self._states = {name: tap.open() for name, tap in recorder.states.items()}

    def run_spk(self) -> None:
        """Run stock's step, then record.

        Raises
        ------
        OverflowLayerError
            If an input sum or a sigma-delta state does not fit 24 bits signed; after
            sending, see `sim.lava.processes.compartment`.
        """
        if not self._listening:
            self.a_in, self.s_out = _Listener(self.a_in), _Listener(self.s_out)
            self._listening = True
        super().run_spk()  # type: ignore[misc]
        t = self.time_step - 1
        self._spikes[t] = self.s_out.last.transpose(2, 1, 0)
        for name, file in self._states.items():
            file[t] = getattr(self, name).transpose(2, 1, 0)
        recorder = self._recorder
        arrived = np.asarray(self.a_in.last, dtype=np.int64)
        what = recorder.arriving
        self._check(arrived, what, t)
        if recorder.shift:
            self._check(arrived << recorder.shift, f"{what} << {recorder.shift}", t)
        else:
            self._check(self.s_out.last, "payload", t)
            for name in self._states:
                self._check(getattr(self, name), name, t)

    def _check(self, values: Any, what: str, t: int) -> None:
        check_range(extremes(values), self._recorder.layer, t, what)


@implements(proc=LIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("recorded")
class PyRecordedLifModel(_Recorded, PyLifModelBitAcc):  # type: ignore[misc]
    """Stock LIF, recorded."""


@implements(proc=LIFReset, protocol=LoihiProtocol)
@requires(CPU)
@tag("recorded")
class PyRecordedLifResetModel(_Recorded, PyLifResetModelBitAcc):  # type: ignore[misc]
    """Stock LIFReset, recorded."""


@implements(proc=Delta, protocol=LoihiProtocol)
@requires(CPU)
@tag("recorded")
class PyRecordedDeltaModel(_Recorded, PyDeltaModelFixed):  # type: ignore[misc]
    """Stock Delta, recorded."""


@implements(proc=SigmaDelta, protocol=LoihiProtocol)
@requires(CPU)
@tag("recorded")
class PyRecordedSigmaDeltaModel(_Recorded, PySigmaDeltaModelFixed):  # type: ignore[misc]
    """Stock SigmaDelta, recorded."""


@implements(proc=Sigma, protocol=LoihiProtocol)
@requires(CPU)
@tag("recorded")
class PyRecordedSigmaModel(_Recorded, PySigmaModelFixed):  # type: ignore[misc]
    """Stock Sigma, recorded."""


RECORDED: dict[type, type] = {
    LIF: PyRecordedLifModel,
    LIFReset: PyRecordedLifResetModel,
    Delta: PyRecordedDeltaModel,
    SigmaDelta: PyRecordedSigmaDeltaModel,
    Sigma: PyRecordedSigmaModel,
}
