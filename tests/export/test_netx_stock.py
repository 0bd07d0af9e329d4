# SPDX-License-Identifier: BSD-3-Clause
"""Stock netx files: read, or refused with one line; Streams survive their file."""

import h5py
import netx_judge as judge
import numpy as np
import pytest
import stocks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from export.difference import diff
from export.errors import NetworkError, UnsupportedLayerError
from export.netx import StockOptions, read_network, read_stock, write_network
from export.stock_compartment import CUBA, Delta, Sigma, SigmaDelta
from export.stock_network import Reset, StockNetwork
from export.synapse import Conv, Dense, Injection

UPSTREAM = [
    # file, layers of the file, T, steps to the output, compartments
    ("tiny.net", None, 64, 3, [CUBA] * 3),
    ("mnist.net", None, 16, 4, [CUBA] * 4),
    ("gts/pilotnet_lif/network.net", None, 16, 10, [CUBA] * 10),
    ("gts/ntidigits/ntidigits.net", 5, 3000, 4, [CUBA] * 3),
    (
        "gts/pilotnet_sdnn/network.net",
        None,
        9,
        9,
        [Delta, *[SigmaDelta] * 7, Sigma],
    ),
    ("gts/pilotnet_sdnn/square_network.net", None, 5, 5, [Delta, *[SigmaDelta] * 4]),
]


@pytest.mark.lava
@pytest.mark.parametrize(("name", "count", "steps", "latency", "kinds"), UPSTREAM)
def test_files_of_lava_dl(tmp_path, name, count, steps, latency, kinds):
    network = read_stock(judge.upstream(name), StockOptions(num_layers=count))
    assert [type(layer.compartment) for layer in network.layers] == kinds
    assert (network.num_steps, network.latency) == (steps, latency)
    if count is None:
        assert diff(network, read_network(judge.upstream(name))) == []
    write_network(network, tmp_path / "a.net")
    back = read_network(tmp_path / "a.net")
    assert diff(back, network) == []
    assert back.sha256 == network.sha256


@pytest.mark.lava
def test_every_file_of_lava_dl_is_named_here():
    root = judge.upstream("tiny.net").parent
    found = {p.relative_to(root).as_posix() for p in root.rglob("*.net")}
    # test_hdf5.py writes this one beside itself when it runs.
    assert found - {"recurrent_example.net"} == {row[0] for row in UPSTREAM}


@pytest.mark.lava
def test_ntidigits_as_a_whole_is_refused():
    message = r"/layer/5/type: 'average' found: stock netx has no averaging either"
    with pytest.raises(UnsupportedLayerError, match=message):
        read_network(judge.upstream("gts/ntidigits/ntidigits.net"))


@pytest.mark.parametrize("kind", stocks.KINDS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(seed=st.integers(0, 2**16))
def test_read_of_write_is_identical(tmp_path, kind, seed):
    network = stocks.KINDS[kind](seed)
    write_network(network, tmp_path / "a.net")
    back = read_network(tmp_path / "a.net")
    assert isinstance(back, StockNetwork)
    assert diff(back, network) == []
    assert back.sha256 == network.sha256
    write_network(back, tmp_path / "b.net")
    assert (tmp_path / "a.net").read_bytes() == (tmp_path / "b.net").read_bytes()


def stock_file(path, edit=lambda file: None):
    """A file as slayer writes it: float weights, an array of one string as type."""
    rng = np.random.default_rng(0)
    neuron = {
        "type": "CUBA",
        "iDecay": 1024,
        "vDecay": 128,
        "vThMant": 80,
        "refDelay": 1,
        "gradedSpike": False,
    }
    rows = [
        {"type": "input", "shape": [2, 5, 5], "weight": [64.0], "bias": [32.0]},
        {
            "type": "conv",
            "shape": [3, 2, 2],
            "weight": 2.0 * rng.integers(-9, 9, (3, 2, 3, 3, 1)),
            "bias": [2.0, -4.0, 6.0],
            "stride": 2,
            "padding": [0, 0],
            "dilation": [1, 1],
            "groups": 1,
        },
        {"type": "flatten", "shape": [12, 1, 1]},
        {"type": "dense", "shape": [4], "weight": 2.0 * rng.integers(-9, 9, (4, 12))},
        {"type": "dense", "shape": [1, 1, 1], "weight": 2.0 * rng.integers(1, 9, 4)},
    ]
    with h5py.File(path, "w") as file:
        for number, row in enumerate(rows):
            group = file.create_group(f"layer/{number}")
            for key, value in row.items():
                if key == "type":
                    value = np.array([value.encode()], "S10")
                group[key] = value
            if row["type"] != "flatten" and number != 4:
                for key, value in neuron.items():
                    group[f"neuron/{key}"] = value
        file["simulation/tSample"] = 7
        edit(file)
    return path


def test_what_a_stock_file_means(tmp_path):
    options = StockOptions(reset=Reset(interval=5))
    network = read_stock(stock_file(tmp_path / "s.net"), options)
    assert [layer.name for layer in network.layers] == [
        "layer0",
        "layer1",
        "layer3",
        "layer4",
    ]
    assert network.num_steps == 7
    assert network.latency == 4
    inject, conv, dense, last = network.layers
    synapse = inject.connections[0].synapse
    assert isinstance(synapse, Injection)
    assert (synapse.gain, synapse.offset) == (64, 32)
    assert isinstance(conv.connections[0].synapse, Conv)
    assert conv.connections[0].synapse.stride == (2, 2)
    assert conv.compartment.bias.effective().tolist() == [128, -256, 384]
    assert isinstance(dense.connections[0].synapse, Dense)
    assert dense.connections[0].synapse.weight.shape == (4, 12)
    # netx's neuron of a dense layer without any: adds up, never spikes.
    neuron = last.compartment
    assert (neuron.i_decay, neuron.v_decay, neuron.vth_mant) == (0, 4096, 131072)
    assert last.connections[0].synapse.weight.shape == (1, 4)
    part = read_stock(tmp_path / "s.net", StockOptions(num_layers=2, num_steps=3))
    assert len(part.layers) == 2
    assert part.num_steps == 3


def test_steps_where_the_file_does_not_say(tmp_path):
    path = stock_file(tmp_path / "s.net", lambda file: file.pop("simulation"))
    assert read_network(path).num_steps == 4


@pytest.mark.parametrize(
    ("given_delay", "expected"),
    [
        (3, np.full((4, 12), 3)),
        (np.arange(4.0), np.repeat(np.arange(4)[:, None], 12, axis=1)),
        (np.arange(12.0), np.repeat(np.arange(12)[None], 4, axis=0)),
        (np.arange(48.0).reshape(4, 12), np.arange(48).reshape(4, 12)),
    ],
)
def test_delays_as_netx_spreads_them(tmp_path, given_delay, expected):
    def edit(file):
        file["layer/3/delay"] = given_delay

    network = read_network(stock_file(tmp_path / "s.net", edit))
    found = network.layers[2].connections[0].synapse.delay
    np.testing.assert_array_equal(found, expected)


def put(key, value):
    def edit(file):
        if key in file:
            del file[key]
        file[key] = value

    return edit


def drop(key):
    return lambda file: file.pop(key)


def put_complex(file):
    del file["layer/3/weight"]
    file["layer/3/weight/real"] = 2


def concat(*sources, shape=(3, 2, 2)):
    def edit(file):
        kind(1, b"concat")(file)
        put("layer/1/layers", np.array(sources, dtype=int))(file)
        put("layer/1/shape", shape)(file)

    return edit


def recurrent(weight):
    def edit(file):
        kind(3, b"dense_rec")(file)
        put("layer/3/weight", np.full((4, 12), -256.0))(file)
        put("layer/3/weight_rec", weight)(file)

    return edit


def empty(index):
    def edit(file):
        del file[f"layer/{index}"]
        file.create_group(f"layer/{index}")

    return edit


def pool(size=2, **geometry):
    def edit(file):
        kind(1, b"pool")(file)
        put("layer/1/weight", np.full((1, 1, size, size), 64.0))(file)
        put("layer/1/stride", [size, size])(file)
        for key, value in geometry.items():
            put(f"layer/1/{key}", value)(file)

    return edit


def kind(index, name):
    return put(f"layer/{index}/type", np.array([name], "S10"))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (kind(1, b"pool"), r"/layer/1/weight: shape \(3, 2, 3, 3\) found, one kernel"),
        (kind(1, b"unpool"), r"weight: shape .* found, one kernel \(1, 1, H, W\)"),
        (kind(1, b"convT"), "/layer/1: convT weight expects 3 input ch|'layer0'"),
        (kind(4, b"average"), "'average' found: .* num_layers reads what is before"),
        (kind(1, b"concat"), "/layer/1/layers: missing"),
        (concat(9), "/layer/1/layers: 9 found, earlier entries needed"),
        (concat(1), "/layer/1/layers: 1 found, earlier entries needed"),
        (concat(), "/layer/1/layers: nothing found, earlier entries needed"),
        (
            concat(0, 0),
            r"/layer/1/shape: \(3, 2, 2\) found, the sources give \(4, 5, 5\)",
        ),
        (concat(0, 0, shape=(4, 5, 5)), "dense weight expects 12|/layer/3/weight"),
        (kind(3, b"dense_rec"), "/layer/3/weight_rec: missing"),
        (
            recurrent(np.full((4, 3), 2.0)),
            r"/layer/3/weight_rec: shape \(4, 3\) found, \(4, 4\) needed",
        ),
        (
            recurrent(np.full((4, 4), 2.0)),
            "/layer/3/weight: weights found that stock netx loads as other weights",
        ),
        (empty(3), "/layer/3/type: an empty entry found, as slayer's KWTA"),
        (pool(stride=[1, 2]), "/layer/1/stride: stride 1, padding 0 and dilation 1 al"),
        (pool(padding=[1, 0]), "/layer/1/stride: stride 2, padding 1 and dilation 1"),
        (pool(size=3), "/layer/1/kernelSize: height 3 found for a source of 5 rows"),
        (kind(3, b"dense_comp"), "'dense_comp' found: complex weights"),
        (kind(3, b"gru"), "'gru' found: netx has no such layer"),
        (kind(1, b"input"), "/layer/1/type: 'input' found, only the first may be one"),
        (drop("layer/0"), "/layer/0: missing"),
        (kind(2, b"dense"), "/layer/2/type: 'dense' found, 'flatten' needed before"),
        (kind(4, b"conv"), "/layer/4/type: 'conv' after a flat layer found"),
        (put("layer/1/delay", [2, 1]), "delay: 2 values found, one or 3 needed"),
        (put("layer/1/delay", 63), r"layer 'layer1' delay: 63\.\.63 outside 0\.\.62"),
        (put("layer/3/delay", 63), r"dense delay: 63\.\.63 outside 0\.\.62"),
        (put("layer/3/delay", [1, 2]), r"delay: shape \(2,\) found, one per output"),
        (put("layer/3/delay", 0.5), "delay: 0.5 found, integers are allowed"),
        (drop("layer/1/neuron"), "/layer/1/neuron: missing, a group needed"),
        (
            put("layer/1/neuron/type", "RF"),
            r"neuron 'RF' \(resonate-and-fire\) found, CUBA",
        ),
        (put("layer/1/neuron/type", "RF_IZHIKEVICH"), "resonate-and-fire, Izhikevich"),
        (put("layer/1/neuron/type", "ADRF_PHASE"), r"'ADRF_PHASE' \(adaptive resonate"),
        (put("layer/1/neuron/type", "ADRF_IZHIKEVICH"), "adaptive resonate-.*Izhik"),
        (put("layer/1/neuron/type", "ALIF"), r"'ALIF' \(adaptive leaky integrate"),
        (put("layer/1/neuron/type", "KWTA"), r"'KWTA' \(k winners take all\)"),
        (put("layer/1/neuron/type", "gru"), "neuron 'gru' found, CUBA, LOIHI or SDNN"),
        (
            put("layer/1/neuron/weight_exp", [1.0]),
            "weight_exp: 1 found, stock netx ign",
        ),
        (put("layer/1/bias", [0.5]), "/layer/1/bias: 0.5 found, integers are allowed"),
        (put("layer/1/neuron/iDecay", [1, 2]), "i_decay of 2 channels found, shape is"),
        (put("layer/1/neuron/refDelay", 2), "refDelay: 2 found, .* no refractory"),
        (put("layer/1/neuron/wgtExp", 1), "wgtExp: 1 found, stock netx ignores it"),
        (put("layer/1/neuron/gradedSpike", True), "gradedSpike: 1 found, .* binary"),
        (put("layer/1/neuron/messageBits", 8), "messageBits: found: stock netx cannot"),
        (
            put("layer/1/neuron/iDecay", 4097),
            r"/layer/1/neuron: CUBA i_decay: 4097 outside 0\.\.4096",
        ),
        (put("layer/1/neuron/vDecay", -1), r"CUBA v_decay: -1 outside 0\.\.4096"),
        (
            put("layer/1/neuron/vThMant", 2**18),
            r"/layer/1/neuron: CUBA vth_mant: 262144 outside 0\.\.262143",
        ),
        (put("layer/1/bias", [1.0, 2.0]), "layer 'layer1': bias of 2 channels found"),
        (put("layer/1/bias", [4096.0, 0, 0]), r"bias_mant: 0\.\.4096 outside"),
        (put("layer/1/stride", [1, 2, 3]), "stride: 3 values found, one or two needed"),
        (put("layer/1/shape", [3, 2, 3]), r"synapse gives \(3, 2, 2\), layer shape"),
        (
            put("layer/3/weight", np.zeros((4, 12))),
            "weight: all weights are 0, which stock netx",
        ),
        (
            put("layer/3/weight", np.full((4, 12), -256.0) * np.eye(4, 12)),
            r"weight: weights -256\.\.0 found: none is positive",
        ),
        (put("layer/3/weight", np.full((4, 12), 3.0)), "3 found, the mixed-sign"),
        (put("layer/3/weight", np.full((4, 12), 0.9)), "0.9 found, integers are"),
        (put("layer/3/weight", np.full(7, 2.0)), "weight: 7 values found for 4 rows"),
        (put("layer/3/weight", np.full((4, 9), 2.0)), "dense weight expects 9 inputs"),
        (
            put_complex,
            "weight: complex weights are not supported",
        ),
        (put("layer/0/shape", [2, 5]), "/layer/0/shape: 2 values found, 3 needed"),
        (
            put("layer/1/weight", h5py.SoftLink("/layer/3/weight")),
            "/layer/1/weight: soft or external link found, none is followed",
        ),
        (drop("layer"), "an HDF5 file of another program found, a network file"),
    ],
)
def test_refused_with_one_line(tmp_path, edit, message):
    path = stock_file(tmp_path / "s.net", edit)
    with pytest.raises(NetworkError, match=message) as caught:
        read_network(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def sdnn(file):
    for index in (0, 1, 3):
        del file[f"layer/{index}/neuron"]
        file[f"layer/{index}/neuron/type"] = "SDNN"
        file[f"layer/{index}/neuron/vThMant"] = index
    for index in (3, 4):
        del file[f"layer/{index}/weight"]
    file["layer/3/weight"] = np.full((4, 12), 2.0)
    file["layer/4/weight"] = np.full((1, 4), 2.0)
    file["layer/4/neuron/type"] = "SDNN"
    file["layer/4/neuron/vThMant"] = 0
    file["layer/4/neuron/sigma_output"] = True


def test_sigma_delta_file(tmp_path):
    network = read_stock(
        stock_file(tmp_path / "s.net", sdnn), StockOptions(spike_exp=3)
    )
    kinds = [type(layer.compartment) for layer in network.layers]
    assert kinds == [Delta, SigmaDelta, SigmaDelta, Sigma]
    assert network.layers[1].compartment.bias.mant.tolist() == [2, -4, 6]
    assert network.layers[1].compartment.spike_exp == 3
    assert (network.input.minimum, network.input.maximum) == (-(2**14), 2**14 - 1)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (put("layer/1/neuron/activation", "tanh"), "'tanh' found, stock netx makes"),
        (put("layer/4/neuron/sigma_output", False), "False found, stock netx takes"),
        (put("layer/4/neuron/sigma_output", [True] * 2), "sigma_output: 2 values"),
        (put("layer/4/bias", [2.0]), "bias: found, a sigma output has none"),
        (put("layer/1/neuron/vThMant", 2048), r"SigmaDelta vth_mant: 2048 outside 0"),
    ],
)
def test_sigma_delta_refused(tmp_path, edit, message):
    def both(file):
        sdnn(file)
        edit(file)

    with pytest.raises(NetworkError, match=message):
        read_network(stock_file(tmp_path / "s.net", both))


def test_reset_of_sigma_delta_is_refused(tmp_path):
    path = stock_file(tmp_path / "s.net", sdnn)
    with pytest.raises(NetworkError, match="only CUBA layers can be reset"):
        read_stock(path, StockOptions(reset=Reset(interval=3)))


def test_changed_stream_file_is_noticed(tmp_path):
    write_network(stocks.spiking(), tmp_path / "a.net")
    with h5py.File(tmp_path / "a.net", "a") as file:
        file["layer/1/neuron/vThMant"][()] = 21
    with pytest.raises(NetworkError, match="the sha256 inside does not match"):
        read_network(tmp_path / "a.net")
