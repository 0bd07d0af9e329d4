# SPDX-License-Identifier: BSD-3-Clause
"""Construction checks everything an object can violate, and names the place."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from strategies import networks

from export.compartment import MTIF, Accumulator, Bias
from export.difference import diff
from export.errors import NetworkError, RangeError
from export.network import Connection, Input
from export.synapse import AveragePool, Conv, ConvTranspose, integers
from sim.selftest import small_network


def conv(value=2, shape=(1, 1, 3, 3), **arguments):
    return Conv(weight=np.full(shape, value), **arguments)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: conv(3), "conv weight: 3 found, the mixed-sign synapse holds even"),
        (lambda: conv(256), r"conv weight: 256..256 outside -256..254"),
        (lambda: conv(-258), r"conv weight: -258..-258 outside -256..254"),
        (lambda: conv(0.5), "conv weight: 0.5 found, integers are allowed"),
        (lambda: conv(np.nan), "conv weight: nan found, integers are allowed"),
        (lambda: conv(np.inf), "conv weight: inf found, integers are allowed"),
        (lambda: conv(2**40), r"conv weight: a value outside -2147483648..2147483647"),
        (lambda: Conv(weight=np.array("x")), "dtype <U1 found, integers are allowed"),
        (lambda: conv(shape=(1, 1, 3)), r"shape \(1, 1, 3\) found, 4 non-empty axes"),
        (lambda: conv(shape=(0, 1, 3, 3)), "4 non-empty axes needed"),
        (
            lambda: conv(stride=(0, 1)),
            r"conv stride: \(0, 1\) found, two integers",
        ),
        (lambda: conv(padding=(1,)), r"conv padding: \(1,\) found, two integers >= 0"),
        (lambda: conv(dilation=(1, 0)), r"conv dilation: \(1, 0\) found"),
        (lambda: conv(shape=(3, 1, 1, 1), groups=2), "groups: 2 does not divide the 3"),
        (
            lambda: ConvTranspose(
                weight=np.full((1, 1, 3, 3), 2), output_padding=(2, 1)
            ),
            r"output_padding: \(2, 1\) found, less than the stride \(2, 2\) needed",
        ),
        (
            lambda: AveragePool(channels=1, weight_mant=3),
            "pool weight: 3 found, even 2..254 allowed",
        ),
        (lambda: Bias(mant=np.array([4096])), r"bias_mant: 4096..4096 outside -4096.."),
        (
            lambda: Bias(mant=np.array([[1]])),
            r"bias_mant: shape \(1, 1\) found",
        ),
        (lambda: Bias(mant=np.array([1]), exp=8), r"bias_exp: 8 outside 0..7"),
        (
            lambda: Connection(source="a", synapse=conv(), delay=63),
            r"connection from 'a': delay 63 outside 0..62",
        ),
        (
            lambda: Connection(source="a", synapse=conv(), weight_exp=-1),
            r"connection from 'a': weight_exp -1 outside 0..7",
        ),
        (
            lambda: Input(shape=(1, 2), minimum=0, maximum=1, scale=1.0),
            r"input: shape \(1, 2\) found, positive \(C, H, W\) needed",
        ),
        (
            lambda: Input(shape=(1, 2, 2), minimum=2, maximum=1, scale=1.0),
            r"input: payload 2..1 found, an interval within",
        ),
        (
            lambda: Input(shape=(1, 2, 2), minimum=0, maximum=1, scale=float("nan")),
            "input: scale nan found, positive and finite needed",
        ),
    ],
)
def test_parts_refuse(make, message):
    with pytest.raises(NetworkError, match=message):
        make()


def mtif(vth, num_thresholds=4):
    bias = Bias(mant=np.zeros(2, int))
    return MTIF(vth_mant=np.array(vth), num_thresholds=num_thresholds, bias=bias)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mtif([0]), r"vth_mant: 0..0 outside 1..131071"),
        (lambda: mtif([131072]), r"vth_mant: 131072..131072 outside 1..131071"),
        (lambda: mtif([1, 2, 3]), r"vth_mant: shape \(3,\) found, \(1,\) or \(2,\)"),
        (lambda: mtif([1], 17), r"num_thresholds: 17 outside 1..16"),
    ],
)
def test_compartment_refuses(make, message):
    with pytest.raises(NetworkError, match=message):
        make()


def changed(layer_index=None, connection=None, **changes):
    """The small network with one thing replaced."""
    network = small_network()
    if layer_index is None:
        return dataclasses.replace(network, **changes)
    layers = list(network.layers)
    layer = layers[layer_index]
    if connection is not None:
        parts = list(layer.connections)
        parts[connection] = dataclasses.replace(parts[connection], **changes)
        changes = {"connections": tuple(parts)}
    layers[layer_index] = dataclasses.replace(layer, **changes)
    return dataclasses.replace(network, layers=tuple(layers))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: changed(4, 0, delay=2),
            "layer 'join' <- 'down': delay 2 found, stages 1 and 5 need 3",
        ),
        (lambda: changed(1, 0, source="x"), "layer 'pool' <- 'x': no earlier layer"),
        (lambda: changed(1, 0, source="mid"), "'pool' <- 'mid': no earlier layer"),
        (
            lambda: changed(2, 0, synapse=conv(shape=(6, 2, 3, 3), padding=(1, 1))),
            r"layer 'mid' <- 'pool': conv weight expects 2 input channels, "
            r"source shape is \(3, 4, 4\)",
        ),
        (
            lambda: changed(2, 0, synapse=conv(shape=(6, 3, 3, 3))),
            r"'mid' <- 'pool': synapse gives \(6, 2, 2\), layer shape is \(6, 4, 4\)",
        ),
        (
            lambda: changed(2, 0, synapse=conv(shape=(6, 3, 9, 9))),
            r"conv leaves no output for source shape \(3, 4, 4\)",
        ),
        (
            lambda: changed(1, 0, synapse=AveragePool(channels=3, kernel_size=(3, 2))),
            r"pool window \(3, 2\) does not divide source shape \(3, 8, 8\)",
        ),
        (
            lambda: changed(1, 0, synapse=AveragePool(channels=2)),
            r"pool expects 2 channels, source shape is \(3, 8, 8\)",
        ),
        (
            lambda: changed(
                3, 0, synapse=ConvTranspose(weight=np.full((2, 3, 3, 3), 2))
            ),
            r"convT weight expects 2 input channels, source shape is \(6, 4, 4\)",
        ),
        (
            lambda: changed(
                3,
                0,
                synapse=ConvTranspose(weight=np.full((6, 3, 1, 1), 2), padding=(9, 9)),
            ),
            "convT leaves no output",
        ),
        (lambda: changed(1, name="down"), "layer 'down': name used twice"),
        (lambda: changed(1, name="a/b"), "layer 'a/b': a name is non-empty and has no"),
        (lambda: changed(1, connections=()), "layer 'pool': no connection found"),
        (lambda: changed(1, scale=0.0), "layer 'pool': scale 0.0 found"),
        (
            lambda: changed(1, compartment=mtif([1])),
            r"layer 'pool': bias of 2 channels found, shape is \(3, 4, 4\)",
        ),
        (
            lambda: changed(
                1, compartment=Accumulator(bias=Bias(mant=np.zeros(3, int)))
            ),
            "layer 'pool': an accumulator found, only the last layer may be one",
        ),
        (lambda: changed(num_steps=0), "num_steps: 0 found, 1 or more needed"),
        (lambda: changed(layers=()), "network: no layer found"),
        (lambda: changed(provenance={"a": float("nan")}), "provenance: not JSON"),
        (lambda: changed(provenance={"a": object()}), "provenance: not JSON"),
    ],
)
def test_network_refuses(make, message):
    with pytest.raises(NetworkError, match=message):
        make()


def test_input_check():
    source = small_network().input
    with pytest.raises(RangeError, match=r"input: values 0..512 found, -256..511"):
        source.check(np.array([0, 512] * 32).reshape(1, 1, 8, 8))
    with pytest.raises(NetworkError, match=r"images of shape \(1, 8, 8\) found"):
        source.check(np.zeros((1, 8, 8)))
    with pytest.raises(NetworkError, match=r"input: 0.5 found, integers are allowed"):
        source.check(np.full((1, 1, 8, 8), 0.5))
    assert source.check(np.full((1, 1, 8, 8), 7.0)).dtype == np.int32


def test_arrays_are_read_only_copies():
    mine = np.full((1, 1, 3, 3), 2)
    synapse = Conv(weight=mine)
    mine[:] = 4
    assert (synapse.weight == 2).all()
    with pytest.raises(ValueError, match="read-only"):
        synapse.weight[:] = 6


def test_stages_delays_and_latency():
    network = small_network()
    names = ("input", "down", "pool", "mid", "up", "join", "out")
    assert [network.stages[n] for n in names] == list(range(7))
    assert network.latency == network.num_steps + 6


def test_hash_follows_integers_and_not_provenance():
    network = small_network()
    assert changed(provenance={"other": 1}).sha256 == network.sha256
    assert changed(num_steps=4).sha256 != network.sha256
    assert changed(4, 0, weight_exp=3).sha256 != network.sha256
    weight = network.layers[0].connections[0].synapse.weight.copy()
    weight[0, 0, 0, 0] ^= 2
    flipped = changed(0, 0, synapse=Conv(weight=weight, padding=(1, 1)))
    assert flipped.sha256 != network.sha256
    (line,) = diff(network, flipped)
    assert line.startswith("layers['down'].connections[0].synapse.weight[0, 0, 0, 0]: ")


@given(networks())
def test_network_equals_itself(network):
    assert diff(network, network) == []


def test_resized_changes_shapes_only():
    network = small_network()
    larger = network.resized(12, 20)
    assert larger.layers[2].shape == (6, 6, 10)
    assert diff(larger.resized(8, 8), network) == []
    with pytest.raises(NetworkError, match=r"layer 'pool': pool window"):
        network.resized(9, 8)


def test_absolute_sum_is_reached():
    """The bound is tight: some output equals it for payloads of the weights' sign."""
    from sim.reference.synapse import apply

    rng = np.random.default_rng(0)
    weight = 2 * rng.integers(-100, 100, (2, 3, 3, 3))
    transposed = ConvTranspose(weight=weight)
    bound = transposed.absolute_sum().max()
    best = 0
    for _ in range(2000):
        payload = rng.choice([-1, 1], (2, 2, 2)).astype(np.int64)
        best = max(best, int(np.abs(apply(transposed, payload)).max()))
    assert best == bound


def test_integers_accepts_whole_floats_as_stock_files_store_them():
    assert integers(np.array([2.0, -4.0], np.float32), "x").tolist() == [2, -4]
