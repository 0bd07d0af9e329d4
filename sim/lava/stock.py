# SPDX-License-Identifier: BSD-3-Clause
"""A Stream in the Lava runtime: stock processes, and ProcessModels that also record.

Each run is a runtime of its own, since stock neurons cannot be put back to rest
while a network runs. Arithmetic is that of lava-nc 0.10.0; nothing is reimplemented.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv as LavaConv
from lava.proc.dense.models import PyDelayDenseModelBitAcc, PyDenseModelBitAcc
from lava.proc.dense.process import DelayDense
from lava.proc.dense.process import Dense as LavaDense
from lava.proc.io.source import PySendModelFixed, RingBuffer
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.sdn.process import Delta, Sigma, SigmaDelta
from lava.utils.weightutils import SignMode
from typing_extensions import assert_never

from export import stock_compartment as stock
from export.facts import DELAY
from export.stock_network import StockLayer, Stream
from export.synapse import Dense, Injection, IntArray
from sim.backend import OverflowLayerError
from sim.lava import runtime as lava_runtime
from sim.lava.conv import PyFastConvModel
from sim.lava.lowering import lower
from sim.lava.recorded import RECORDED, Recorder
from sim.lava.stock_graph import message_bits, whc
from sim.lava.tap import Tap
from sim.recording import Payload
from sim.stock_run import trace_dtype


def runner(conv: str) -> Callable[[Stream, IntArray], dict[str, Payload]]:
    """Give a `sim.stock_run.RunOne`; ``conv`` as for `LavaSimulator`."""
    conv_model = PyFastConvModel if conv == "fast" else PyConvModelFixed

    def run_one(stream: Stream, values: IntArray) -> dict[str, Payload]:
        with (
            tempfile.TemporaryDirectory(prefix="loihi-unet-") as folder,
            lava_runtime.tidy(),
        ):
            taps = _taps(stream, Path(folder))
            processes = _Chain(stream, values, taps).processes
            models = {**MODELS, LavaConv: conv_model}
            config = Loihi2SimCfg(
                exception_proc_model_map={type(p): models[type(p)] for p in processes}
            )
            try:
                with lava_runtime.running(processes[0], config) as run:
                    run.steps(stream.num_steps, lambda: None)
            except lava_runtime.OverflowsError as overflows:
                raise _first(overflows, stream) from None
            return {name: np.array(tap.open()) for name, tap in taps.items()}

    return run_one


MODELS: dict[type, type] = {
    RingBuffer: PySendModelFixed,
    LavaDense: PyDenseModelBitAcc,
    DelayDense: PyDelayDenseModelBitAcc,
    **RECORDED,
}


def _taps(stream: Stream, folder: Path) -> dict[str, Tap]:
    return {
        name: Tap(
            path=folder / f"trace{number}",
            shape=(stream.num_steps, *shape),
            dtype=trace_dtype(stream, name),
        ).create()
        for number, (name, shape) in enumerate(stream.traces.items())
    }


def _first(
    overflows: lava_runtime.OverflowsError, stream: Stream
) -> OverflowLayerError:
    order = [layer.name for layer in stream.layers]
    return min(overflows.errors, key=lambda error: order.index(error.layer))


class _Chain:
    """Makes the processes of a Stream, sources before targets."""

    def __init__(self, stream: Stream, values: IntArray, taps: dict[str, Tap]) -> None:
        self.stream = stream
        self.taps = taps
        self.processes: list[AbstractProcess] = []
        shape = stream.input.shape
        port: Any = None
        if stream.input.changes:
            # (T, C, H, W) -> (W, H, C, T)
            source = RingBuffer(data=np.array(values).transpose(3, 2, 1, 0))
            self.processes.append(source)
            port = source.s_out
        bits = message_bits(stream.input)
        for layer in stream.layers:
            synapse = layer.connections[0].synapse
            injected = isinstance(synapse, Injection)
            constant = values if injected and not stream.input.changes else None
            neuron = self._neuron(layer, constant)
            if injected:
                if port is not None:
                    port.connect(neuron.a_in)
            elif isinstance(synapse, Dense):
                process = _dense(synapse, bits)
                self.processes.append(process)
                # In the order of (C, H, W), as netx flattens.
                port.transpose([2, 1, 0]).flatten().connect(process.s_in)
                process.a_out.reshape(whc(layer.shape)).connect(neuron.a_in)
            else:
                where = f"layer '{layer.name}'"
                lowered = lower(layer.connections[0], shape, where)
                conv = lowered.process(
                    shape=whc(shape), num_message_bits=bits, name=where
                )
                self.processes.append(conv)
                port.connect(conv.s_in)
                conv.a_out.connect(neuron.a_in)
            self.processes.append(neuron)
            port, shape, bits = neuron.s_out, layer.shape, message_bits(layer)

    def _neuron(self, layer: StockLayer, constant: IntArray | None) -> AbstractProcess:
        shape = whc(layer.shape)
        compartment = layer.compartment
        process: AbstractProcess
        match compartment:
            case stock.CUBA():
                bias = compartment.bias.mant[:, None, None] + np.zeros(
                    layer.shape, dtype=np.int32
                )
                if constant is not None:
                    bias = constant
                arguments = {
                    "shape": shape,
                    "vth": compartment.vth_mant,
                    "du": compartment.i_decay - 1,
                    "dv": compartment.v_decay,
                    "bias_mant": bias.transpose(2, 1, 0),
                    "bias_exp": stock.STATE_SHIFT,
                }
                reset = self.stream.reset
                if reset is None:
                    process = LIF(**arguments)
                else:
                    process = LIFReset(
                        reset_interval=reset.interval,
                        reset_offset=reset.offset + self.stream.stages[layer.name],
                        **arguments,
                    )
            case stock.Delta() | stock.SigmaDelta():
                arguments = {
                    "shape": shape,
                    "vth": compartment.vth_mant,
                    "spike_exp": compartment.spike_exp,
                    "state_exp": stock.STATE_SHIFT,
                }
                if isinstance(compartment, stock.Delta):
                    process = Delta(**arguments)
                else:
                    mant = compartment.bias.mant[None, None, :]
                    bias = mant + np.zeros(shape, dtype=np.int32)
                    process = SigmaDelta(bias=bias, **arguments)
            case stock.Sigma():
                process = Sigma(shape=shape)
            case _:
                assert_never(compartment)
        process.proc_params["recorder"] = Recorder(
            layer=layer.name,
            source=layer.connections[0].source,
            shift=stock.STATE_SHIFT if isinstance(compartment, stock.CUBA) else 0,
            spikes=self.taps[layer.name],
            states={s: self.taps[f"{layer.name}:{s}"] for s in compartment.states},
        )
        return process


def _dense(synapse: Dense, bits: int) -> AbstractProcess:
    # Given as mixed sign with 8 bits, the model keeps even mantissas as they are.
    arguments: dict[str, Any] = {
        "weights": np.array(synapse.weight),
        "num_weight_bits": 8,
        "sign_mode": SignMode.MIXED,
        "num_message_bits": bits,
    }
    if synapse.delay is None:
        return LavaDense(**arguments)
    # DelayDense takes int64 for integers, nothing else.
    delays = synapse.delay.astype(np.int64)
    return DelayDense(delays=delays, max_delay=DELAY.maximum, **arguments)
