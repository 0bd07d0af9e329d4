# SPDX-License-Identifier: BSD-3-Clause
"""Compartments of export.compartment as Lava Processes."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

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

from export import compartment
from export.mapping import MappingName
from export.synapse import Shape
from sim.lava.neuron import Int32, fire, potential_shape, rest
from sim.lava.shared_array import Tap
from sim.lava.window import Windows
from sim.overflow import extremes, overflow


class _Compartment(AbstractProcess):  # type: ignore[misc]
    """What all compartments share: ports, potential, bias and windows.

    Parameters
    ----------
    shape : tuple of int
        (W, H, C).
    bias : export.compartment.Bias
        Constant input of every step.
    windows : Windows
        When it integrates; it is silent and at rest outside of them.
    name : str
        Name of the layer, as errors give it.
    tap : Tap or None
        Where to record; None records nothing.
    potentials : tuple of int or None
        Shape of the potentials; None means ``shape``.

    Attributes
    ----------
    a_in : InPort
        Sum of the connections.
    s_out : OutPort
        What the compartment emits.
    v, bias_mant, bias_exp : Var
        Potential (W, H, C), with a leading axis of K for ``parallel-if``; bias
        mantissa (C,) and exponent (1,).
    """

    def __init__(
        self,
        *,
        shape: Shape,
        bias: compartment.Bias,
        windows: Windows,
        name: str,
        tap: Tap | None = None,
        potentials: tuple[int, ...] | None = None,
        **parameters: Any,
    ) -> None:
        super().__init__(windows=windows, name=name, tap=tap, **parameters)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.v = Var(shape=potentials or shape, init=0)
        self.bias_mant = Var(shape=bias.mant.shape, init=bias.mant)
        self.bias_exp = Var(shape=(1,), init=bias.exp)


class MTIF(_Compartment):
    """Multi-threshold integrate-and-fire compartment, `export.compartment.MTIF`.

    Parameters
    ----------
    vth_mant : ndarray, shape (1,) or (C,), int32
        Base threshold.
    num_thresholds : int
        N, also the payload's bits.
    mapping : {"graded", "parallel-if", "binary-if"}
        Compartments that stand for a neuron.
    **parameters
        As for `Accumulator`.

    Attributes
    ----------
    vth : Var
        Base threshold.
    """

    def __init__(
        self,
        *,
        vth_mant: Int32,
        num_thresholds: int,
        shape: Shape,
        mapping: MappingName = "graded",
        **parameters: Any,
    ) -> None:
        super().__init__(
            shape=shape,
            num_thresholds=num_thresholds,
            mapping=mapping,
            potentials=potential_shape(shape, num_thresholds, mapping),
            **parameters,
        )
        self.vth = Var(shape=vth_mant.shape, init=vth_mant)


class Accumulator(_Compartment):
    """Compartment that never spikes and sends its potential at every step.

    The result of a window is what it sends at the window's last step.
    """


class _PyCompartmentModel(PyLoihiProcessModel):  # type: ignore[misc]
    """Integrates in windows; a subclass says what is emitted."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    v: Int32 = LavaPyType(np.ndarray, np.int32, precision=24)
    bias_mant: Int32 = LavaPyType(np.ndarray, np.int32, precision=13)
    bias_exp: Int32 = LavaPyType(np.ndarray, np.int32, precision=3)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._name = proc_params["name"]
        self._windows: Windows = proc_params["windows"]
        tap = proc_params["tap"]
        self._recorded: Any = None if tap is None else tap.open()

    def run_spk(self) -> None:
        """Integrate one time step and emit.

        Raises
        ------
        OverflowLayerError
            If the potential leaves 24 bits signed. It is raised after sending:
            a process that dies before it has sent makes its readers, and with
            them the Lava runtime, wait for ever.
        """
        a_in = self.a_in.recv()
        now = self._windows.at(self.time_step)
        if now is None:
            self.s_out.send(np.zeros_like(a_in))
            return
        window, t = now
        if t == 0:
            self._rest()
        self.v += a_in
        self.v += self.bias_mant << self.bias_exp
        error = overflow(extremes(self.v), self._name, t, "potential", window)
        emitted = self._emit()
        self.s_out.send(emitted)
        if self._recorded is not None:
            self._record(emitted, window, t)
        if error is not None:
            raise error

    def _rest(self) -> None:
        self.v[...] = 0

    @abstractmethod
    def _emit(self) -> Int32:
        """Return what is sent, and reset."""

    @abstractmethod
    def _record(self, emitted: Int32, window: int, t: int) -> None:
        """Keep what was sent at a step of a window."""


@implements(proc=MTIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyMTIFModel(_PyCompartmentModel):
    """Thresholds and reset by subtraction (eq. 4-6), as the mapping has them."""

    vth: Int32 = LavaPyType(np.ndarray, np.int32, precision=17)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._num_thresholds = proc_params["num_thresholds"]
        self._mapping: MappingName = proc_params["mapping"]

    def _rest(self) -> None:
        rest(self.v, self.vth, self._mapping)

    def _emit(self) -> Int32:
        return fire(self.v, self.vth, self._num_thresholds, self._mapping)

    def _record(self, emitted: Int32, window: int, t: int) -> None:
        self._recorded[window % len(self._recorded), t] = emitted.transpose(2, 1, 0)


@implements(proc=Accumulator, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyAccumulatorModel(_PyCompartmentModel):
    """Emits the potential itself."""

    def _emit(self) -> Int32:
        return self.v

    def _record(self, emitted: Int32, window: int, t: int) -> None:
        if t == self._windows.interval - 1:
            self._recorded[window % len(self._recorded)] = emitted.transpose(2, 1, 0)
