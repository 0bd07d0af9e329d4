# SPDX-License-Identifier: BSD-3-Clause
"""Stock lava.lib.dl.netx.hdf5.Network in the Lava runtime, every step recorded.

No code of this project runs here, unless `probe` is given a Conv: this is the judge.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

STATES = {
    "LIF": ("u", "v"),
    "LIFReset": ("u", "v"),
    "SigmaDelta": ("sigma", "act", "residue"),
    "Delta": ("act", "residue"),
    "Sigma": (),
}


def upstream(name):
    """Path of a file that ships inside lava-dl's wheel, under its tests."""
    pytest.importorskip("lava.lib.dl.netx", reason="lava-dl is not installed")
    root = Path(importlib.util.find_spec("lava.lib.dl.netx").origin).parents[4]
    return root / "tests" / "lava" / "lib" / "dl" / "netx" / name


def chw(values):
    """(W, H, C) or (N,) as (C, H, W)."""
    values = np.asarray(values).astype(np.int64)
    return values.reshape(-1, 1, 1) if values.ndim == 1 else values.transpose(2, 1, 0)


def build(path, bias, frames, arguments):
    """Stock Network with its input."""
    from lava.lib.dl import netx
    from lava.proc import io

    net = netx.hdf5.Network(net_config=str(path), **arguments)
    if bias is not None:
        net.in_layer.neuron.bias_mant.init = bias
    if frames is not None:
        source = io.source.RingBuffer(data=frames)
        port = net.in_layer.inp
        if isinstance(net.in_layer, netx.blocks.process.Input):
            port = net.in_layer.neuron.a_in
        source.s_out.connect(port)
    return net


def run(path, num_steps, *, bias=None, frames=None, states=True, **arguments):
    """Spikes (T, C, H, W) and states of every block, as netx numbers blocks.

    ``bias`` (W, H, C) or (N,) is what lava-dl's tests write to the input neuron's
    ``bias_mant``; ``frames`` (..., T) enter the input neuron's ``a_in``, or ``inp``
    where the file's input has no neuron. With ``states`` the runtime stops after
    each step to read them: {"0": spikes, "0:u": ..., ...}.
    """
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc import io

    net = build(path, bias, frames, arguments)
    sinks = []
    for layer in net.layers:
        sink = io.sink.RingBuffer(shape=layer.out.shape, buffer=num_steps)
        layer.out.connect(sink.a_in)
        sinks.append(sink)
    found = {}
    kinds = [STATES[type(layer.neuron).__name__] for layer in net.layers]
    config = Loihi2SimCfg(select_tag="fixed_pt")
    try:
        for chunk in [1] * num_steps if states else [num_steps]:
            net.run(condition=RunSteps(num_steps=chunk), run_cfg=config)
            for number, layer in enumerate(net.layers):
                for state in kinds[number] if states else ():
                    value = chw(getattr(layer.neuron, state).get())
                    found.setdefault(f"{number}:{state}", []).append(value)
        for number, sink in enumerate(sinks):
            data = sink.data.get()
            found[str(number)] = [chw(data[..., t]) for t in range(num_steps)]
    finally:
        net.stop()
    return {key: np.stack(values) for key, values in found.items()}


def probe(path, num_steps, folder, *, conv=None, bias=None, frames=None, **arguments):
    """As `run`, for large networks: neurons write their states to files themselves.

    ``conv`` is another model of Lava's Conv, whose own takes seconds a step.
    """
    import netx_probe
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.conv.process import Conv

    net = build(path, bias, frames, arguments)
    files = [
        netx_probe.attach(
            layer.neuron, folder, STATES[type(layer.neuron).__name__], num_steps
        )
        for layer in net.layers
    ]
    models = {**netx_probe.MODELS, **({Conv: conv} if conv else {})}
    config = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=models)
    try:
        net.run(condition=RunSteps(num_steps=num_steps), run_cfg=config)
    finally:
        net.stop()
    return {
        f"{number}:{state}" if state else str(number): np.stack(
            [chw(step) for step in np.load(written)]
        )
        for number, paths in enumerate(files)
        for state, written in paths.items()
    }
