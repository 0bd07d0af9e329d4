# SPDX-License-Identifier: BSD-3-Clause
"""Sigma-delta layers at once: where they are proven exact, and where they give way."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
import stocks
import torch

from export.compartment import Bias
from export.stock_compartment import Delta, Sigma, SigmaDelta
from export.stock_network import Frames, StockNetwork
from export.synapse import Conv, ConvTranspose, Dense, Injection
from sim.backend import OverflowLayerError, create
from sim.reference import synapse as by_taps
from sim.torch import stock_deltas
from sim.torch.exact import exact_arithmetic
from sim.torch.stock_sums import Sums
from sim.verify.comparison import compare

CPU = torch.device("cpu")


@pytest.fixture
def ways(monkeypatch):
    """How each layer ran: proven by a bound, by what was seen, or not at all."""
    found, run, proofs = Counter(), stock_deltas.run, []

    class Proof(stock_deltas._Proof):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            proofs.append(self)

    def counted(*arguments):
        result = run(*arguments)
        how = "bound" if proofs.pop().given else "seen"
        found[how if result is not None else "given up"] += 1
        return result

    monkeypatch.setattr(stock_deltas, "_Proof", Proof)
    monkeypatch.setattr(stock_deltas, "run", counted)
    return found


@pytest.mark.parametrize("kind", ["sigma-delta", "spike_exp 2", "sigma-delta graph"])
def test_usual_layers_run_at_once(kind, ways):
    network = stocks.KINDS[kind](0)
    values = stocks.inputs(network)
    left, right = (create(x).run(network, values) for x in ("reference", "torch"))
    assert compare(left, right).identical
    assert ways["bound"] + ways["seen"] == len(network.layers)
    # A chosen output alone takes the same way, and another chunk is the same.
    alone = create("torch").run(network, values, layers=(network.output.name,))
    name = network.output.name
    np.testing.assert_array_equal(alone.payloads[name], left.payloads[name])


def test_layers_of_several_chunks(monkeypatch):
    monkeypatch.setattr(stock_deltas, "CHUNK", 7)
    for kind in ("sigma-delta", "sigma-delta graph"):
        network = stocks.KINDS[kind](1)
        values = stocks.inputs(network, 1)
        left, right = (create(x).run(network, values) for x in ("reference", "torch"))
        assert compare(left, right).identical


def chain(seed):
    """Encoder, two sigma-delta layers and a decoder, at any size of their states."""
    rng = np.random.default_rng(seed)
    exponent = int(rng.integers(0, 5))
    largest = 2 ** int(rng.integers(6, 18 - exponent))
    source = Frames(shape=(2, 3, 3), minimum=-largest, maximum=largest, scale=1.0)

    def neuron(channels):
        most = 2 ** int(rng.integers(0, 12))
        return SigmaDelta(
            vth_mant=int(rng.integers(0, 9)),
            bias=Bias(mant=rng.integers(-most, most + 1, channels), exp=0),
            spike_exp=exponent,
        )

    conv = Conv(weight=stocks.even(rng, 2 ** int(rng.integers(2, 8)), 3, 2, 2, 2))
    dense = Dense(weight=stocks.even(rng, 2 ** int(rng.integers(2, 8)), 4, 12))
    delta = Delta(vth_mant=int(rng.integers(0, 9)), spike_exp=exponent)
    layers = (
        stocks.layer("delta", "input", source.shape, Injection(), delta),
        stocks.layer("conv", "delta", (3, 2, 2), conv, neuron(3)),
        stocks.layer("dense", "conv", (4, 1, 1), dense, neuron(4)),
        stocks.layer(
            "sigma",
            "dense",
            (1, 1, 1),
            Dense(weight=stocks.even(rng, 8, 1, 4)),
            Sigma(),
        ),
    )
    return StockNetwork(input=source, layers=layers, num_steps=5, task="test")


def outcome(backend, network, values):
    try:
        return create(backend).run(network, values)
    except OverflowLayerError as error:
        return str(error)


def test_at_every_size_of_the_states_the_same_integers_or_the_same_error(ways):
    errors = 0
    for seed in range(100):
        network = chain(seed)
        values = stocks.inputs(network, seed)
        left, right = (outcome(x, network, values) for x in ("reference", "torch"))
        if isinstance(left, str):
            errors += 1
            assert left == right, seed
        else:
            assert compare(left, right).identical, seed
    assert 10 < errors < 90
    assert all(ways[way] > 10 for way in ("bound", "seen", "given up")), ways


def test_one_step_and_layers_that_nobody_reads():
    network = dataclasses.replace(stocks.sigma_delta_graph(0), num_steps=1)
    values = stocks.inputs(network)
    left, right = (create(x).run(network, values) for x in ("reference", "torch"))
    assert compare(left, right).identical


def test_an_encoder_behind_a_convolution():
    network = stocks.sigma_delta(2)
    conv = network.layers[1]
    encoder = dataclasses.replace(conv, compartment=Delta(vth_mant=1, spike_exp=0))
    layers = (network.layers[0], encoder, *network.layers[2:])
    network = dataclasses.replace(network, layers=layers)
    values = stocks.inputs(network) // 4
    left, right = (create(x).run(network, values) for x in ("reference", "torch"))
    assert compare(left, right).identical
    assert left.payloads["conv"].any()


def synapses():
    rng = np.random.default_rng(0)
    plain = {"padding": (1, 0), "output_padding": (0, 0)}
    yield Conv(weight=stocks.even(rng, 254, 6, 2, 3, 2), padding=(1, 1), groups=3)
    yield ConvTranspose(weight=stocks.even(rng, 254, 6, 2, 3, 2), groups=2, **plain)
    yield Dense(weight=stocks.even(rng, 254, 7, 6 * 5 * 4))


@pytest.mark.parametrize("synapse", list(synapses()), ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("bits", [3, 12, 16, 23])
def test_sums_of_payloads_of_any_size(synapse, bits):
    """float32, two float32, float64: all are those of the reference."""
    rng = np.random.default_rng(bits)
    sent = rng.integers(-(2**bits) + 1, 2**bits, (2, 6, 5, 4))
    sent[0, 0, 0, 0] = 2**bits - 1
    with exact_arithmetic():
        sums, bound = Sums(synapse, CPU)(torch.from_numpy(sent))
    expected = np.stack([by_taps.apply(synapse, step) for step in sent])
    np.testing.assert_array_equal(sums.numpy(), expected)
    assert sums.dtype == (torch.float32 if bound < 2**24 else torch.float64)
    assert np.abs(expected).max() <= bound


def test_the_bound_looks_at_each_channel():
    """One loud channel behind small weights leaves float32 exact."""
    weight = np.full((1, 2, 1, 1), 254)
    weight[0, 0] = 2
    sent = torch.ones(1, 2, 3, 3, dtype=torch.int64)
    sent[:, 0] = 2**20
    with exact_arithmetic():
        sums, bound = Sums(Conv(weight=weight), CPU)(sent)
    assert bound == 2 * 2**20 + 254
    assert sums.dtype == torch.float32
    assert (sums == bound).all()
