# SPDX-License-Identifier: BSD-3-Clause
"""A StockNetwork in the Lava runtime: stock processes, and models that also record.

Each run is a runtime of its own, since stock neurons cannot be put back to rest
while a network runs. Arithmetic is that of lava-nc 0.10.0; nothing is reimplemented.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.conv.models import PyConvModelFixed
from lava.proc.conv.process import Conv as LavaConv
from lava.proc.dense.models import PyDelayDenseModelBitAcc, PyDenseModelBitAcc
from lava.proc.dense.process import DelayDense
from lava.proc.dense.process import Dense as LavaDense
from lava.proc.io.source import PySendModelFixed, RingBuffer
from lava.proc.sparse.models import PySparseModelBitAcc
from lava.proc.sparse.process import Sparse

from export import stock_compartment as stock
from export.stock_network import StockNetwork
from export.synapse import IntArray
from sim.backend import OverflowLayerError
from sim.lava import runtime as lava_runtime
from sim.lava.conv import PyFastConvModel
from sim.lava.processes.delay import DelayLine, PyDelayLineModel
from sim.lava.recorded import RECORDED, Recorder
from sim.lava.shared_array import Tap
from sim.lava.stock_neurons import StockGraph
from sim.recording import Payload
from sim.reference.stock_sums import check_sums
from sim.stock_run import arriving, trace_dtype

RunOne = Callable[[StockNetwork, IntArray, tuple[str, ...]], dict[str, Payload]]

MODELS: dict[type, type] = {
    RingBuffer: PySendModelFixed,
    LavaDense: PyDenseModelBitAcc,
    DelayDense: PyDelayDenseModelBitAcc,
    Sparse: PySparseModelBitAcc,
    DelayLine: PyDelayLineModel,
    **RECORDED,
}


def runner(conv: str) -> RunOne:
    """Give a `sim.stock_run.RunOne`; ``conv`` as for `LavaSimulator`."""
    conv_model = PyFastConvModel if conv == "fast" else PyConvModelFixed

    def run_one(
        network: StockNetwork, values: IntArray, wanted: tuple[str, ...]
    ) -> dict[str, Payload]:
        with (
            tempfile.TemporaryDirectory(prefix="loihi-unet-") as folder,
            lava_runtime.tidy(),
        ):
            taps = _taps(network, Path(folder), wanted)
            processes = _processes(network, values, taps)
            models = {**MODELS, LavaConv: conv_model}
            config = Loihi2SimCfg(
                exception_proc_model_map={type(p): models[type(p)] for p in processes}
            )
            overflow, steps = None, network.num_steps
            try:
                with lava_runtime.running(processes[0], config) as run:
                    run.steps(network.num_steps, lambda: None)
            except lava_runtime.OverflowsError as overflows:
                overflow = _first(overflows, network)
                steps = overflow.step + 1
            traces = {name: np.array(tap.open()) for name, tap in taps.items()}
        # A model sees only some of what may overflow, and only after its step.
        check_sums(network, values, traces, steps)
        if overflow is not None:
            raise overflow
        return traces

    return run_one


def _processes(
    network: StockNetwork, values: IntArray, taps: dict[str, Tap]
) -> list[object]:
    constant, sources, port = None, [], None
    if network.input.changes:
        # (T, C, H, W) -> (W, H, C, T)
        sources = [RingBuffer(data=np.array(values).transpose(3, 2, 1, 0))]
        port = sources[0].s_out
    else:
        constant = values
    graph = StockGraph(network, port, constant)
    for layer in network.layers:
        compartment = layer.compartment
        states = {s: f"{layer.name}:{s}" for s in compartment.states}
        graph.neurons[layer.name].proc_params["recorder"] = Recorder(
            layer=layer.name,
            arriving=arriving(layer),
            shift=stock.STATE_SHIFT if isinstance(compartment, stock.CUBA) else 0,
            spikes=taps[layer.name],
            states={s: taps[name] for s, name in states.items() if name in taps},
        )
    return [*sources, *graph.processes]


def _taps(
    network: StockNetwork, folder: Path, wanted: tuple[str, ...]
) -> dict[str, Tap]:
    """Files of what is wanted, and of all payloads, which the sums are checked by."""
    return {
        name: Tap(
            path=folder / f"trace{number}",
            shape=(network.num_steps, *shape),
            dtype=trace_dtype(network, name),
        ).create()
        for number, (name, shape) in enumerate(network.traces.items())
        if name in wanted or ":" not in name
    }


def _first(
    overflows: lava_runtime.OverflowsError, network: StockNetwork
) -> OverflowLayerError:
    order = [layer.name for layer in network.layers]
    return min(overflows.errors, key=lambda error: order.index(error.layer))
