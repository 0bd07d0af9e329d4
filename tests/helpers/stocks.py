# SPDX-License-Identifier: BSD-3-Clause
"""Random Streams of every stock kind, small, and inputs for them."""

import dataclasses

import numpy as np

from export.compartment import Bias
from export.network import Input
from export.stock_compartment import CUBA, Delta, Sigma, SigmaDelta
from export.stock_network import (
    Frames,
    Reset,
    StockConnection,
    StockLayer,
    StockNetwork,
)
from export.synapse import Conv, ConvTranspose, Dense, Injection


def even(rng, largest, *shape):
    weight = 2 * rng.integers(-largest // 2, largest // 2, shape)
    weight.flat[0] = 2  # never all zero, which stock netx cannot load
    return weight


def layer(name, source, shape, synapse, compartment, **fields):
    return joined(name, [(source, synapse)], shape, compartment, **fields)


def joined(name, parts, shape, compartment, **fields):
    """A layer of several (source, synapse)."""
    return StockLayer(
        name=name,
        shape=shape,
        connections=tuple(StockConnection(source=s, synapse=y) for s, y in parts),
        compartment=compartment,
        scale=1.0,
        **fields,
    )


def cuba(rng, channels, vth=20, largest_bias=30):
    return CUBA(
        i_decay=int(rng.choice([0, 7, 1024, 4095, 4096])),
        v_decay=int(rng.choice([0, 123, 1024, 4096])),
        vth_mant=vth,
        bias=Bias(mant=rng.integers(-largest_bias, largest_bias + 1, channels), exp=6),
    )


def spiking(seed=0, *, num_steps=12, reset=None, injected=False, delayed=False):
    """CUBA: an optional injected layer, a strided conv, two dense ones."""
    rng = np.random.default_rng(seed)
    shape = (2, 6, 7)
    layers = []
    if injected:
        source = Input(shape=shape, minimum=-4096, maximum=4095, scale=1 / 36)
        neuron = CUBA(
            i_decay=4096, v_decay=512, vth_mant=90, bias=Bias(mant=[0, 0], exp=6)
        )
        synapse = Injection(gain=36, offset=34)
        layers.append(layer("inject", "input", shape, synapse, neuron))
    else:
        source = Frames(shape=shape, minimum=0, maximum=1, scale=1.0)
    conv = Conv(
        weight=even(rng, 60, 4, 1, 3, 2), stride=(2, 1), padding=(1, 0), groups=2
    )
    before = layers[-1].name if layers else "input"
    shape = conv.output_shape(shape)
    layers.append(layer("conv", before, shape, conv, cuba(rng, 4)))
    delay = rng.integers(0, 6, (5, int(np.prod(shape)))) if delayed else None
    wide = Dense(weight=even(rng, 40, 5, int(np.prod(shape))), delay=delay)
    layers.append(layer("wide", "conv", (5, 1, 1), wide, cuba(rng, 5)))
    out = Dense(weight=even(rng, 256, 3, 5))
    layers.append(layer("out", "wide", (3, 1, 1), out, cuba(rng, 3, vth=40)))
    return StockNetwork(
        input=source,
        layers=tuple(layers),
        num_steps=num_steps,
        reset=reset,
        task="test",
        provenance={"seed": seed},
    )


def sigma_delta(seed=0, *, num_steps=8, spike_exp=6):
    """Delta, SigmaDelta (conv, dense), Sigma."""
    rng = np.random.default_rng(seed)
    shape = (2, 5, 4)
    source = Frames(shape=shape, minimum=-32, maximum=32, scale=1.0)
    delta = Delta(vth_mant=3, spike_exp=spike_exp)
    conv = Conv(weight=even(rng, 8, 3, 2, 2, 3), padding=(0, 1), dilation=(2, 1))
    inner = conv.output_shape(shape)
    dense = Dense(weight=even(rng, 8, 4, int(np.prod(inner))))

    def bias(channels):
        return Bias(mant=rng.integers(-9, 10, channels), exp=0)

    layers = (
        layer("delta", "input", shape, Injection(), delta),
        layer(
            "conv",
            "delta",
            inner,
            conv,
            SigmaDelta(vth_mant=1, bias=bias(3), spike_exp=spike_exp),
        ),
        layer(
            "dense",
            "conv",
            (4, 1, 1),
            dense,
            SigmaDelta(vth_mant=0, bias=bias(4), spike_exp=spike_exp),
        ),
        layer("sigma", "dense", (2, 1, 1), Dense(weight=even(rng, 6, 2, 4)), Sigma()),
    )
    return StockNetwork(input=source, layers=layers, num_steps=num_steps, task="test")


def graph(seed=0, *, num_steps=14, reset=None, delayed=True):
    """CUBA: pool and unpool as grouped convolutions, skips, ConvT of odd size."""
    rng = np.random.default_rng(seed)
    source = Frames(shape=(2, 6, 8), minimum=0, maximum=1, scale=1.0)

    def varied(channels):
        return CUBA(
            i_decay=rng.integers(0, 4097, channels),
            v_decay=rng.integers(0, 2000, channels),
            vth_mant=rng.integers(5, 30, channels),
            bias=Bias(mant=rng.integers(-20, 21, channels), exp=6),
        )

    def delay(channels):
        return rng.integers(0, 4, channels) if delayed else None

    pool = Conv(weight=np.full((3, 1, 2, 2), 40), stride=(2, 2), groups=3)
    plain = {"padding": (0, 0), "output_padding": (0, 0)}
    unpool = ConvTranspose(weight=np.full((4, 1, 2, 2), 64), groups=4, **plain)
    odd = ConvTranspose(
        weight=even(rng, 90, 4, 1, 3, 2),
        stride=(2, 2),
        padding=(1, 0),
        output_padding=(0, 0),
        groups=2,
        dilation=(1, 2),
    )
    conv = Conv(weight=even(rng, 60, 3, 2, 3, 3), padding=(1, 1))
    deep = Conv(weight=even(rng, 90, 4, 3, 3, 3), padding=(1, 1))
    thin = Conv(weight=even(rng, 60, 2, 3, 3, 3), padding=(1, 1))
    up = Conv(weight=even(rng, 60, 2, 4, 3, 3), padding=(1, 1))
    layers = (
        layer("conv", "input", (3, 6, 8), conv, varied(3), delay=delay(3)),
        layer("pool", "conv", (3, 3, 4), pool, cuba(rng, 3)),
        layer("deep", "pool", (4, 3, 4), deep, varied(4)),
        layer("unpool", "deep", (4, 6, 8), unpool, cuba(rng, 4), delay=delay(4)),
        joined("join", [("conv", thin), ("unpool", up)], (2, 6, 8), varied(2)),
        layer("odd", "deep", (2, 5, 9), odd, cuba(rng, 2)),
        joined(
            "out",
            [
                ("join", Dense(weight=even(rng, 30, 3, 96))),
                ("odd", Dense(weight=even(rng, 30, 3, 90))),
            ],
            (3, 1, 1),
            varied(3),
        ),
    )
    return StockNetwork(
        input=source, layers=layers, num_steps=num_steps, reset=reset, task="test"
    )


def recurrent(seed=0, *, num_steps=12, delayed=False):
    """CUBA: two dense layers that read themselves."""
    rng = np.random.default_rng(seed)
    source = Frames(shape=(6, 1, 1), minimum=0, maximum=1, scale=1.0)

    def own(name, before, inputs, size, **fields):
        parts = [
            (before, Dense(weight=even(rng, 90, size, inputs))),
            (name, Dense(weight=even(rng, 60, size, size))),
        ]
        return joined(name, parts, (size, 1, 1), cuba(rng, size), **fields)

    delay = rng.integers(0, 5, 5) if delayed else None
    layers = (own("first", "input", 6, 5, delay=delay), own("second", "first", 5, 4))
    return StockNetwork(input=source, layers=layers, num_steps=num_steps, task="test")


def sigma_delta_graph(seed=0, *, num_steps=8):
    """Delta, a pool, a ConvTranspose, a skip and a Sigma that is no dense layer."""
    rng = np.random.default_rng(seed)
    source = Frames(shape=(2, 4, 6), minimum=-32, maximum=32, scale=1.0)

    def neuron(channels):
        bias = Bias(mant=rng.integers(-9, 10, channels), exp=0)
        return SigmaDelta(vth_mant=int(rng.integers(0, 3)), bias=bias)

    pool = Conv(weight=np.full((2, 1, 2, 2), 16), stride=(2, 2), groups=2)
    up = ConvTranspose(
        weight=even(rng, 20, 2, 3, 2, 2), padding=(0, 0), output_padding=(0, 0)
    )
    layers = (
        layer("delta", "input", (2, 4, 6), Injection(), Delta(vth_mant=3)),
        layer("pool", "delta", (2, 2, 3), pool, neuron(2)),
        layer("up", "pool", (3, 4, 6), up, neuron(3)),
        joined(
            "sigma",
            [
                ("delta", Conv(weight=even(rng, 6, 2, 2, 3, 3), padding=(1, 1))),
                ("up", Conv(weight=even(rng, 6, 2, 3, 3, 3), padding=(1, 1))),
            ],
            (2, 4, 6),
            Sigma(),
        ),
    )
    return StockNetwork(input=source, layers=layers, num_steps=num_steps, task="test")


def inputs(stock, seed=0, runs=1):
    """Random payloads of the stream's input."""
    rng = np.random.default_rng(seed)
    low, high = stock.input.minimum, stock.input.maximum
    if not stock.input.changes:
        return rng.integers(0, 120, (runs, *stock.input.shape))
    shape = (runs, stock.num_steps, *stock.input.shape)
    if (low, high) == (0, 1):
        return (rng.random(shape) < 0.4).astype(np.int32)
    return rng.integers(low, high + 1, shape)


def loud(stock):
    """Let the input be far above what the stream was made for."""
    low = -(2**23) if stock.input.minimum < 0 else 0
    source = dataclasses.replace(stock.input, minimum=low, maximum=2**23 - 1)
    return dataclasses.replace(stock, input=source)


# Kinds that stock netx loads from a file of ours.
CHAINS = {
    "spikes": lambda seed: spiking(seed),
    "reset": lambda seed: spiking(seed, reset=Reset(interval=5, offset=2)),
    "injected": lambda seed: spiking(seed, injected=True, reset=Reset(interval=4)),
    "delayed": lambda seed: spiking(seed, delayed=True),
    "sigma-delta": lambda seed: sigma_delta(seed),
    "spike_exp 2": lambda seed: sigma_delta(seed, spike_exp=2),
}
KINDS = {
    **CHAINS,
    "graph": lambda seed: graph(seed),
    "graph, reset": lambda seed: graph(seed, reset=Reset(interval=5), delayed=False),
    "recurrent": lambda seed: recurrent(seed),
    "recurrent, delayed": lambda seed: recurrent(seed, delayed=True),
    "sigma-delta graph": lambda seed: sigma_delta_graph(seed),
}
