# SPDX-License-Identifier: BSD-3-Clause
"""The network as a Process inside a user's own Lava application."""

import numpy as np
import pytest

pytest.importorskip("lava.magma", reason="no Lava: loihi-unet setup-lava")

import netx_judge as judge
import stocks
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.conv.process import Conv
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source

from export.errors import NetworkError
from export.netx import write_network
from sim.lava.dropin.network import Network
from sim.lava.fast_conv import FAST_CONV
from sim.reference.simulator import ReferenceSimulator
from sim.selftest import small_network

pytestmark = pytest.mark.lava


def run_app(process, frames, num_steps, config):
    """Source -> process -> sink; what arrives, shape (W, H, C, num_steps)."""
    data = np.zeros((*process.inp.shape, num_steps), dtype=np.int32)
    for step, frame in frames.items():
        data[..., step] = frame.transpose(2, 1, 0)
    source = Source(data=data)
    sink = Sink(shape=process.out.shape, buffer=num_steps)
    source.s_out.connect(process.inp)
    process.out.connect(sink.a_in)
    try:
        source.run(RunSteps(num_steps=num_steps), config)
        return sink.data.get().astype(np.int64)
    finally:
        source.stop()


@pytest.mark.parametrize(
    "models", [{}, {Conv: FAST_CONV["stock"]}], ids=["stock", "fast"]
)
@pytest.mark.parametrize("reset_offset", [0, 2])
def test_user_application_gives_the_same_integers(tmp_path, models, reset_offset):
    network = small_network(size=(4, 6))
    path = tmp_path / "network.net"
    write_network(network, path)
    rng = np.random.default_rng(3)
    low, high = network.input.minimum, network.input.maximum
    images = rng.integers(low, high, (2, *network.input.shape))
    steps = network.num_steps
    process = Network(
        str(path),
        input_shape=(6, 4, 1),
        reset_interval=steps,
        reset_offset=reset_offset,
    )
    frames = {
        reset_offset + i * steps + t: images[i] for i in range(2) for t in range(steps)
    }
    received = run_app(
        process,
        frames,
        reset_offset + steps + process.latency,
        Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=models),
    )
    last = reset_offset + process.latency - 1
    outputs = received[..., last::steps].transpose(3, 2, 1, 0)
    np.testing.assert_array_equal(
        outputs, ReferenceSimulator().run(network, images).output
    )


def test_first_layers_alone_emit_their_payloads():
    network = small_network(size=(4, 6))
    images = np.random.default_rng(4).integers(0, 200, (1, *network.input.shape))
    process = Network(network, num_layers=2)
    steps = network.num_steps
    received = run_app(
        process,
        dict.fromkeys(range(steps), images[0]),
        process.latency,
        Loihi2SimCfg(select_tag="fixed_pt"),
    )
    pool = ReferenceSimulator().run(network, images).payloads["pool"][0]
    np.testing.assert_array_equal(received[..., 2:].transpose(3, 2, 1, 0), pool)
    assert process.output_message_bits == 4


def test_last_layers_alone_take_in_payloads():
    network = small_network(size=(4, 6))
    process = Network(network, num_layers=4, skip_layers=2)
    assert process.inp.shape == (3, 2, 3)
    assert process.input_message_bits == 4
    steps = network.num_steps
    images = np.random.default_rng(4).integers(0, 200, (1, *network.input.shape))
    payloads = ReferenceSimulator().run(network, images).payloads
    received = run_app(
        process,
        dict(enumerate(payloads["pool"][0])),
        process.latency,
        Loihi2SimCfg(select_tag="fixed_pt"),
    )
    np.testing.assert_array_equal(
        received[..., process.latency - steps :].transpose(3, 2, 1, 0),
        payloads["up"][0],
    )


def test_describes_itself():
    network = small_network(size=(4, 6))
    process = Network(network, num_layers=99)
    assert len(process) == len(network.layers)
    assert "pool: (3, 2, 3) <- AveragePool(down)" in str(process)
    assert process.output_message_bits == 24


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_message_bits": 0}, r"input_message_bits: 0 found, payloads .* need"),
        ({"input_shape": (4, 6, 1)}, r"input_shape: \(4, 6, 1\) found, .* \(6, 4, 1\)"),
        (
            {"reset_interval": 4},
            "reset_interval: 4 found, the network has windows of 3",
        ),
        ({"reset_offset": -1}, "reset_offset: -1 found, 0 or more needed"),
        ({"num_layers": 0}, "num_layers: 0 found, 1 or more needed"),
        ({"skip_layers": 6}, "skip_layers: 6 found, 0 or more that leave a layer"),
        ({"skip_layers": 1}, "skip_layers: 1 found, the rest needs down, input; one"),
    ],
)
def test_contradictions_are_refused(arguments, message):
    with pytest.raises(NetworkError, match=message):
        Network(small_network(size=(4, 6)), **arguments)


def stock_run(net, frames, num_steps, bias=None):
    """Output (..., num_steps) of netx's Network or of ours, under one application."""
    if bias is not None:
        net.in_layer.neuron.bias_mant.init = bias
    sink = Sink(shape=net.out.shape, buffer=num_steps)
    net.out.connect(sink.a_in)
    if frames is not None:
        source = Source(data=frames)
        source.s_out.connect(net.inp)
    config = Loihi2SimCfg(
        select_tag="fixed_pt", exception_proc_model_map={Conv: FAST_CONV["stock"]}
    )
    try:
        net.run(RunSteps(num_steps=num_steps), config)
        return sink.data.get().astype(np.int64)
    finally:
        net.stop()


def netx_network(path, **arguments):
    netx = pytest.importorskip("lava.lib.dl.netx")
    return netx.hdf5.Network(net_config=str(path), **arguments)


def test_pilotnet_sdnn_as_its_tutorial_runs_it():
    """skip_layers=1: the Delta encoder runs outside, its payloads enter."""
    path = judge.upstream("gts/pilotnet_sdnn/network.net")
    rng = np.random.default_rng(0)
    shape = netx_network(path, skip_layers=1).inp.shape
    frames = rng.integers(-9, 10, (*shape, 12)) * (rng.random((*shape, 12)) < 0.1) * 64
    results = [
        stock_run(make(path, skip_layers=1), frames, 12)
        for make in (netx_network, Network)
    ]
    assert results[0].shape == results[1].shape
    assert results[0].any()
    np.testing.assert_array_equal(*results)


def test_biases_and_resets_as_in_netx():
    path = judge.upstream("tiny.net")
    bias = np.load(judge.upstream("gts/tinynet/input_bias.npy"))
    arguments = {"reset_interval": 7, "reset_offset": 3}
    nets = [make(path, **arguments) for make in (netx_network, Network)]
    assert nets[0].in_layer.transform == nets[1].in_layer.transform
    results = [stock_run(net, None, 16, bias) for net in nets]
    assert results[0].any()
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("kind", ["graph", "recurrent, delayed", "sigma-delta graph"])
def test_graphs_that_netx_does_not_load(kind, tmp_path):
    stream = stocks.KINDS[kind](1)
    values = stocks.inputs(stream, seed=1)
    write_network(stream, tmp_path / "a.net")
    net = Network(tmp_path / "a.net")
    frames = values[0].transpose(3, 2, 1, 0)
    frames = frames.reshape(*net.inp.shape, stream.num_steps)
    found = stock_run(net, frames, stream.num_steps)
    payload = ReferenceSimulator().run(stream, values).payloads[stream.output.name][0]
    expected = payload.transpose(3, 2, 1, 0).reshape(found.shape)
    np.testing.assert_array_equal(found, expected)


def test_netx_shapes_are_xyc(tmp_path):
    stream = stocks.spiking(0)
    write_network(stream, tmp_path / "a.net")
    assert Network(tmp_path / "a.net").inp.shape == (7, 6, 2)
    path = judge.upstream("gts/pilotnet_sdnn/network.net")
    with pytest.raises(NetworkError, match=r"input_shape is \(3, 100, 33\)"):
        Network(path, input_shape=(33, 100, 3))
