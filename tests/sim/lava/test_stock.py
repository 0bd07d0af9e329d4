# SPDX-License-Identifier: BSD-3-Clause
"""Stock netx in the Lava runtime, and lava-dl's own arrays, judge every backend."""

import netx_judge as judge
import numpy as np
import pytest
import stocks
from hypothesis import given, settings
from hypothesis import strategies as st

from export.compartment import Bias
from export.netx import StockOptions, read_network, read_stock, write_network
from export.netx.dense import mangled
from export.stock_compartment import CUBA
from export.stock_network import Frames, Reset, StockNetwork
from export.synapse import Conv, Dense
from sim.backend import OverflowLayerError, create
from sim.reference.stock import cuba_step
from sim.verify.comparison import compare

pytestmark = pytest.mark.lava

BACKENDS = ("reference", "torch", "lava")


def every_backend(network, values, backends=BACKENDS):
    """Recording that all backends agree on, in every spike and state."""
    first, *others = [create(name).run(network, values) for name in backends]
    for other in others:
        assert compare(first, other).identical
    return {
        name: payload[0].astype(np.int64) for name, payload in first.payloads.items()
    }


def assert_judged(network, found, judged):
    """What netx's blocks did is what the layers did."""
    names = [layer.name for layer in network.layers]
    assert {key.partition(":")[0] for key in judged} == set(map(str, range(len(names))))
    for key, expected in judged.items():
        number, colon, state = key.partition(":")
        trace = names[int(number)] + colon + state
        np.testing.assert_array_equal(found[trace], expected, err_msg=trace)


def fast_conv():
    """Bit-identical to Lava's own model (test_lava_kernel.py), and much faster."""
    from sim.lava.fast_conv import FAST_CONV

    return FAST_CONV["stock"]


def array(name):
    return np.load(judge.upstream(f"gts/{name}.npy"))


def tchw(values):
    """(W, H, C, T) or (N, T) as (T, C, H, W)."""
    values = np.moveaxis(values, -1, 0).astype(np.int64)
    if values.ndim == 2:
        return values[:, :, None, None]
    return values.transpose(0, 3, 2, 1)


def test_tiny():
    path = judge.upstream("tiny.net")
    network = read_stock(path, StockOptions(num_steps=18, reset=Reset(interval=17)))
    bias = array("tinynet/input_bias")
    found = every_backend(network, judge.chw(bias)[None], (*BACKENDS, "lava-stock"))
    judged = judge.run(path, 18, bias=bias, reset_interval=17)
    assert_judged(network, found, judged)
    # lava-dl's own comparison: test_hdf5.TestHdf5Netx.test_tinynet.
    truth = np.moveaxis(array("tinynet/output")[0], -1, 0)
    np.testing.assert_array_equal(found["layer2"][2:17], truth[1:])
    assert truth[1:].any()


def test_mnist():
    path = judge.upstream("mnist.net")
    network = read_stock(path, StockOptions(num_steps=8))
    bias = np.random.default_rng(0).integers(0, 140, 784)
    found = every_backend(network, bias.reshape(1, 784, 1, 1))
    assert_judged(network, found, judge.run(path, 8, bias=bias))
    assert found["layer3:v"].any()
    assert not found["layer3"].any()  # netx's default threshold: never


def test_ntidigits():
    path = judge.upstream("gts/ntidigits/ntidigits.net")
    spikes = array("ntidigits/input")
    steps = 40
    network = read_stock(path, StockOptions(num_steps=steps, num_layers=5))
    values = spikes[:, :steps].T.reshape(1, steps, 1, 1, 64).astype(int)
    found = every_backend(network, values)
    frames = spikes[:, :steps]
    assert_judged(network, found, judge.run(path, steps, frames=frames, num_layers=5))


def test_ntidigits_truth_of_all_steps():
    """lava-dl's array is netx's output one step later, at every one of its steps."""
    path = judge.upstream("gts/ntidigits/ntidigits.net")
    spikes, truth = array("ntidigits/input"), array("ntidigits/output")
    network = read_stock(path, StockOptions(num_layers=5))
    assert network.num_steps == spikes.shape[1] == 3000  # simulation/tSample
    values = spikes.T.reshape(1, 3000, 1, 1, 64).astype(int)
    payloads = create("torch").run(network, values, layers=("layer4",)).payloads
    found = payloads["layer4"][0].reshape(3000, 242)
    np.testing.assert_array_equal(found[:-1], truth.T[1:])
    assert truth.sum() == 22572


PILOTNET = ["input", "conv-0", "conv-1", "conv-2", "conv-3", "conv-4"]
PILOTNET += ["fc-0", "fc-1", "fc-2"]


def test_pilotnet_lif_truth_of_all_steps():
    """Recorded on Loihi 2 with a reset every 17 steps; 128 in v marks a spike."""
    path = judge.upstream("gts/pilotnet_lif/network.net")
    network = read_stock(path, StockOptions(num_steps=24, reset=Reset(interval=17)))
    image = judge.chw(array("pilotnet_lif/image"))[None]
    payloads = create("torch").run(network, image).payloads
    for layer, name in zip(network.layers, PILOTNET, strict=False):
        spikes = tchw(array(f"pilotnet_lif/{name}"))
        np.testing.assert_array_equal(payloads[layer.name][0], spikes, err_msg=name)
        if name == "input":
            continue
        u = tchw(array(f"pilotnet_lif/{name}-u"))
        v = tchw(array(f"pilotnet_lif/{name}-v"))
        np.testing.assert_array_equal(payloads[f"{layer.name}:u"][0], u, err_msg=name)
        assert (v[spikes > 0] == 128).all()
        v = np.where(spikes > 0, 0, v)
        np.testing.assert_array_equal(payloads[f"{layer.name}:v"][0], v, err_msg=name)


@pytest.mark.parametrize(("conv", "steps"), [("fast", 24), ("lava's own", 4)])
def test_pilotnet_lif_all_backends_and_netx(conv, steps, tmp_path):
    """Spikes, u and v of all ten layers; the last one is reached at step 10."""
    path = judge.upstream("gts/pilotnet_lif/network.net")
    network = read_stock(path, StockOptions(num_steps=steps, reset=Reset(interval=17)))
    image = array("pilotnet_lif/image")
    backends = BACKENDS if conv == "fast" else ("torch",)
    found = every_backend(network, judge.chw(image)[None], backends)
    judged = judge.probe(
        path,
        steps,
        tmp_path,
        conv=fast_conv() if conv == "fast" else None,
        bias=image,
        reset_interval=17,
    )
    assert len(judged) == 3 * 10
    assert_judged(network, found, judged)
    if conv == "fast":
        assert all(found[f"{layer.name}:v"].any() for layer in network.layers)
        assert all(found[layer.name].any() for layer in network.layers[:-1])


def test_pilotnet_sdnn(tmp_path):
    path = judge.upstream("gts/pilotnet_sdnn/network.net")
    network = read_network(path)
    assert network.num_steps == network.latency == 9  # the file does not say
    frame = array("pilotnet_sdnn/input")
    found = every_backend(network, judge.chw(frame[..., 0])[None, None].repeat(9, 1))
    judged = judge.probe(path, 9, tmp_path, frames=frame)
    assert_judged(network, found, judged)
    truth = array("pilotnet_sdnn/output").ravel()
    np.testing.assert_array_equal(found["layer9"].ravel(), truth)
    assert truth[-1] == -31026


@pytest.mark.parametrize("name", ["network", "square_network"])
def test_pilotnet_sdnn_states_of_a_moving_picture(name, tmp_path):
    """Every layer has changes to send at most steps."""
    path = judge.upstream(f"gts/pilotnet_sdnn/{name}.net")
    steps = 24
    network = read_stock(path, StockOptions(num_steps=steps))
    frame = array("pilotnet_sdnn/input")[..., 0]
    frame = frame[: network.input.shape[2], : network.input.shape[1]]
    frames = np.stack([np.roll(frame, 3 * t, axis=0) for t in range(steps)], axis=-1)
    found = every_backend(network, tchw(frames)[None])
    judged = judge.probe(path, steps, tmp_path, conv=fast_conv(), frames=frames)
    states = {"Delta": 2, "SigmaDelta": 3, "Sigma": 0}
    kinds = [type(layer.compartment).__name__ for layer in network.layers]
    assert len(judged) == sum(1 + states[kind] for kind in kinds)
    assert_judged(network, found, judged)
    for layer in network.layers[:-1]:
        sending = found[layer.name].any(axis=(1, 2, 3))
        assert sending[network.stages[layer.name] :].mean() >= 0.75


@pytest.mark.parametrize(
    ("name", "suffix", "size"),
    [("network", "", None), ("square_network", "_square", 33)],
)
def test_pilotnet_sdnn_sigmas(name, suffix, size):
    """Recorded on Loihi 2 from the second layer on: 20 steps of every sigma."""
    network = read_stock(judge.upstream(f"gts/pilotnet_sdnn/{name}.net"))
    first, *rest = network.layers[1:5]
    synapse = first.connections[0].synapse
    first = stocks.layer(first.name, "input", first.shape, synapse, first.compartment)
    act = array("pilotnet_sdnn/act0")[:size, :size]
    network = StockNetwork(
        input=Frames(
            shape=network.layers[0].shape, minimum=-(2**15), maximum=2**15, scale=1.0
        ),
        layers=(first, *rest),
        num_steps=20,
        task="test",
    )
    payloads = create("torch").run(network, tchw(act)[None]).payloads
    compared = 0
    for number in range(1, 5):
        path = judge.upstream(f"gts/pilotnet_sdnn/sigma{number}{suffix}.npy")
        if path.exists():
            compared += 1
            np.testing.assert_array_equal(
                payloads[f"layer{number}:sigma"][0], tchw(np.load(path))
            )
    assert compared == (4 if suffix else 2)


@pytest.mark.parametrize("kind", stocks.CHAINS)
def test_our_file_in_stock_netx(kind, tmp_path):
    network = stocks.KINDS[kind](3)
    write_network(network, tmp_path / "a.net")
    values = stocks.inputs(network, seed=3)
    found = every_backend(read_network(tmp_path / "a.net"), values)
    arguments = {}
    if network.reset is not None:
        arguments["reset_interval"] = network.reset.interval
        arguments["reset_offset"] = network.reset.offset
    if network.input.changes:
        frames = np.moveaxis(values[0].transpose(0, 3, 2, 1), 0, -1)
        arguments["frames"] = frames
        if kind != "sigma-delta" and kind != "spike_exp 2":
            arguments["input_shape"] = network.input.shape[::-1]
    else:
        arguments["bias"] = values[0].transpose(2, 1, 0)
    if kind == "spike_exp 2":
        arguments["spike_exp"] = 2
    judged = judge.run(tmp_path / "a.net", network.num_steps, **arguments)
    assert_judged(network, found, judged)


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.sampled_from([0, 1, 1024, 4095, 4096]))
def test_cuba_step_is_stock_arithmetic(seed, decay):
    """The methods of PyLifModelBitAcc themselves, at the edges of 24 bits."""
    from lava.proc.lif.models import PyLifModelBitAcc

    rng = np.random.default_rng(seed)
    u = rng.integers(-(2**23) + 1, 2**23 + 1, 200).astype(np.int32)
    v = rng.integers(-(2**23) + 1, 2**23, 200).astype(np.int32)
    a = rng.integers(-(2**17), 2**17, 200).astype(np.int32)
    u[:4], a[:4] = [2**23, -(2**23) + 1, 2**23, 0], [2**17 - 1, -(2**17), 0, -(2**17)]
    bias = rng.integers(-4096, 4096, 200)
    model = PyLifModelBitAcc({})
    model.u, model.v, model.du, model.dv = u.copy(), v.copy(), decay - 1, 4096 - decay
    model.bias_mant, model.bias_exp, model.vth = bias, np.full(200, 6), 1000
    model.scale_bias()
    model.scale_threshold()
    model.subthr_dynamics(activation_in=a)
    spikes = model.spiking_activation()
    model.reset_voltage(spikes)
    compartment = CUBA(
        i_decay=decay,
        v_decay=4096 - decay,
        vth_mant=1000,
        bias=Bias(mant=bias, exp=6),
    )
    wide = [x.astype(np.int64) for x in (u, v, a << 6, bias << 6)]
    found = cuba_step(*wide, compartment)
    for mine, stock in zip(found, (model.u, model.v, spikes), strict=True):
        np.testing.assert_array_equal(mine, stock)


def stock_weights(weight):
    """What netx's optimize_weight_bits and Lava's clip and truncation make of it."""
    from lava.lib.dl.netx.utils import optimize_weight_bits
    from lava.utils.weightutils import (
        clip_weights,
        determine_sign_mode,
        truncate_weights,
    )

    with np.errstate(divide="ignore"):
        mantissas, bits, exponent, _ = optimize_weight_bits(weight)
    mode = determine_sign_mode(mantissas)
    kept = truncate_weights(clip_weights(mantissas, mode, num_bits=8), mode, bits)
    return kept << exponent if exponent > 0 else kept >> -exponent


def test_stock_dense_keeps_exactly_the_weights_that_we_accept():
    """All smallest and largest weights, with one between them."""
    accepted = refused = 0
    for low in range(-256, 255, 2):
        for high in range(low, 255, 6 if low % 16 else 2):
            weight = np.array([[low, (low + high) // 4 * 2, high]])
            if low == high == 0:
                with pytest.raises(OverflowError, match="infinity"):
                    stock_weights(weight)
            elif mangled(weight):
                refused += 1
                assert (stock_weights(weight) != weight).any(), weight
            else:
                accepted += 1
                np.testing.assert_array_equal(stock_weights(weight), weight)
    assert accepted > 10000
    assert refused > 200


def test_overflow_in_lava_names_layer_and_step():
    neuron = CUBA(i_decay=0, v_decay=0, vth_mant=1, bias=Bias(mant=[0], exp=6))
    weight = Dense(weight=[[254]])
    network = StockNetwork(
        input=Frames(shape=(1, 1, 1), minimum=0, maximum=2**15, scale=1.0),
        layers=(stocks.layer("one", "input", (1, 1, 1), weight, neuron),),
        num_steps=4,
        task="test",
    )
    values = np.zeros((1, 4, 1, 1, 1), dtype=int)
    values[0, 1] = 517
    message = "layer 'one', step 2: input from 'input' << 6 8404352 outside"
    with pytest.raises(OverflowLayerError, match=message):
        create("lava").run(network, values)


@pytest.mark.parametrize("backend", ["lava", "lava-stock"])
def test_a_sum_that_stock_conv_wraps_into_range_is_an_error(backend):
    """254 * 2**16 wraps to -2**17, whose shift by 6 fits 24 bits again."""
    neuron = CUBA(i_decay=0, v_decay=0, vth_mant=1, bias=Bias(mant=[0], exp=6))
    conv = Conv(weight=np.full((1, 1, 1, 1), 254))
    network = StockNetwork(
        input=Frames(shape=(1, 1, 1), minimum=0, maximum=2**16, scale=1.0),
        layers=(stocks.layer("one", "input", (1, 1, 1), conv, neuron),),
        num_steps=4,
        task="test",
    )
    values = np.zeros((1, 4, 1, 1, 1), dtype=int)
    values[0, 1] = 2**16
    message = "layer 'one', step 2: input from 'input' 16646144 outside"
    for name in ("reference", "torch", backend):
        with pytest.raises(OverflowLayerError, match=message):
            create(name).run(network, values)


@pytest.mark.parametrize("kind", sorted(set(stocks.KINDS) - set(stocks.CHAINS)))
def test_graphs_on_every_backend(kind):
    network = stocks.KINDS[kind](2)
    values = stocks.inputs(network, seed=2)
    found = every_backend(network, values, (*BACKENDS, "lava-stock"))
    assert found[network.output.name].any()


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from([-256, -128, -64, -6, 0, 2, 100, 254]))
def test_stock_recurrent_dense_keeps_the_weights_that_we_accept(seed, edge):
    """netx scales weight and weight_rec together, Lava clips each by itself."""
    from lava.lib.dl.netx.utils import optimize_weight_bits
    from lava.utils.weightutils import (
        clip_weights,
        determine_sign_mode,
        truncate_weights,
    )

    rng = np.random.default_rng(seed)
    low, high = sorted(2 * rng.integers(-128, 128, 2))
    weight = 2 * rng.integers(low // 2, high // 2 + 1, (2, 3))
    recurrent = np.full((2, 2), edge)
    both = np.hstack((weight, recurrent))
    if not both.any():
        return
    scaled, bits, exponent, _ = optimize_weight_bits(both)
    same = True
    for part, original in ((scaled[:, :3], weight), (scaled[:, 3:], recurrent)):
        mode = determine_sign_mode(part)
        kept = truncate_weights(clip_weights(part, mode, num_bits=8), mode, bits)
        kept = kept << exponent if exponent > 0 else kept >> -exponent
        same &= bool((kept == original).all())
    assert (mangled(weight, recurrent) is None) == same
