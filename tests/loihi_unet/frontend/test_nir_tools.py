# SPDX-License-Identifier: BSD-3-Clause
"""Networks that other tools write: they spike as their own forward says.

A tool that is not installed is skipped.
"""

import nir_graphs as g
import numpy as np
import pytest
import torch

from loihi_unet.frontend.nir.convert import convert
from loihi_unet.frontend.nir.floats import run_floats
from loihi_unet.frontend.nir.read import read_graph

nir = pytest.importorskip("nir", reason="the extra nir is not installed")
STEPS = 25


def tool(name):
    return pytest.importorskip(
        name, reason=f"{name} is not installed", exc_type=Exception
    )


def frames(shape, seed=0):
    return g.spikes(np.random.default_rng(seed), (*shape, 1, 1)[:3], 1, STEPS)


def exchanged(graph, tmp_path):
    nir.write(tmp_path / "x.nir", graph)
    return read_graph(tmp_path / "x.nir")


def check(graph, dt, own, values):
    """The float network gives the tool's own spikes; the integers nearly."""
    run = run_floats(graph, values.astype(float), dt)
    (last,) = graph.sources("output")
    np.testing.assert_array_equal(run.spikes[last].reshape(own.shape), own)
    assert own.any()
    found = convert(graph, dt, values)
    rows = {row.layer: row for row in found.agreement}
    assert rows[last].same > 0.5
    return found


def test_snntorch(tmp_path):
    snn = tool("snntorch")
    export = tool("snntorch.export_nir").export_to_nir
    torch.manual_seed(0)
    reset = {"reset_mechanism": "zero", "reset_delay": False, "init_hidden": True}
    net = torch.nn.Sequential(
        torch.nn.Linear(8, 12),
        snn.Leaky(0.8 * torch.ones(12), threshold=torch.full((12,), 0.3), **reset),
        torch.nn.Linear(12, 4),
        snn.Leaky(
            0.9 * torch.ones(4), threshold=torch.full((4,), 0.2), output=True, **reset
        ),
    )
    graph = exchanged(export(net, torch.zeros(1, 8), ignore_dims=[0]), tmp_path)
    values = frames((8,))
    tool("snntorch.utils").reset(net)
    with torch.no_grad():
        x = torch.tensor(values[0, :, :, 0, 0], dtype=torch.float32)
        own = torch.stack([net(step[None])[0][0] for step in x]).numpy()
    check(graph, 1e-4, own, values)


def test_snntorch_recurrent(tmp_path):
    snn = tool("snntorch")
    export = tool("snntorch.export_nir").export_to_nir
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(6, 5),
        snn.RLeaky(
            beta=0.7,
            linear_features=5,
            threshold=0.3,
            reset_mechanism="zero",
            init_hidden=True,
            output=True,
        ),
    )
    graph = exchanged(export(net, torch.zeros(1, 6), ignore_dims=[0]), tmp_path)
    (layer,) = convert(graph, 1e-4, frames((6,))).network.layers
    assert layer.recurrent


def test_spikingjelly(tmp_path):
    neuron = tool("spikingjelly.activation_based.neuron")
    functional = tool("spikingjelly.activation_based.functional")
    export = tool("spikingjelly.activation_based.nir_exchange").export_to_nir
    torch.manual_seed(1)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, padding=1),
        neuron.LIFNode(tau=2.0, v_threshold=0.25, decay_input=False),
        torch.nn.AvgPool2d(2),
        torch.nn.Conv2d(4, 4, 3),
        neuron.IFNode(v_threshold=0.4),
        torch.nn.Flatten(),
        torch.nn.Linear(16, 3),
        neuron.IFNode(v_threshold=0.3),
    )
    values = frames((2, 8, 8))
    x = torch.tensor(values[0], dtype=torch.float32)
    graph = exchanged(export(net, x[:1], dt=1e-3), tmp_path)
    functional.reset_net(net)
    with torch.no_grad():
        own = torch.stack([net(step[None])[0] for step in x]).numpy()
    check(graph, 1e-3, own, values)


def test_norse(tmp_path):
    norse = tool("norse.torch")
    to_nir = tool("norse.torch.utils.export_nir").to_nir
    torch.manual_seed(2)
    # Norse's dt is 1e-3; its constants are inverse.
    p = norse.LIFBoxParameters(
        tau_mem_inv=torch.full((6,), 250.0),
        v_leak=torch.zeros(6),
        v_th=torch.full((6,), 0.2),
    )
    net = norse.SequentialState(torch.nn.Linear(5, 6), norse.LIFBoxCell(p, dt=1e-3))
    values = frames((1, 1, 5))  # it takes the batch for an axis
    x = torch.tensor(values[0, :, 0, 0], dtype=torch.float32)
    # It writes dt / tau_mem_inv: time in steps of its argument.
    graph = exchanged(to_nir(net, x[:1], dt=1.0), tmp_path)
    state, own = None, []
    with torch.no_grad():
        for step in x:
            z, state = net(step[None], state)
            own.append(z[0])
    check(graph, 1e-3, torch.stack(own).numpy(), values)


def test_sinabs(tmp_path):
    layers = tool("sinabs.layers")
    to_nir = tool("sinabs.nir").to_nir
    torch.manual_seed(3)
    reset = tool("sinabs.activation").MembraneReset()
    one = tool("sinabs.activation").SingleSpike
    net = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3, bias=False),
        layers.IAFSqueeze(batch_size=1, spike_fn=one, reset_fn=reset),
        layers.SumPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(12, 4),
        layers.IAFSqueeze(batch_size=1, spike_fn=one, reset_fn=reset),
    )
    values = frames((2, 6, 6))
    x = torch.tensor(values[0], dtype=torch.float32)
    with torch.no_grad():
        own = net(x).numpy()
    for module in net:
        if hasattr(module, "reset_states"):
            module.reset_states()
    written = to_nir(net, x)
    written.infer_types()  # shapes, without which nir writes no Flatten
    graph = exchanged(written, tmp_path)
    check(graph, 1.0, own, values)
