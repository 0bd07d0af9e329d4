# SPDX-License-Identifier: BSD-3-Clause
"""Random Streams of every stock kind, small, and inputs for them."""

import dataclasses

import numpy as np

from export.compartment import Bias
from export.network import Input
from export.stock_compartment import CUBA, Delta, Sigma, SigmaDelta
from export.stock_network import Frames, Reset, StockConnection, StockLayer, Stream
from export.synapse import Conv, Dense, Injection


def even(rng, largest, *shape):
    weight = 2 * rng.integers(-largest // 2, largest // 2, shape)
    weight.flat[0] = 2  # never all zero, which stock netx cannot load
    return weight


def layer(name, source, shape, synapse, compartment):
    connection = StockConnection(source=source, synapse=synapse)
    return StockLayer(
        name=name,
        shape=shape,
        connections=(connection,),
        compartment=compartment,
        scale=1.0,
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
    return Stream(
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
    return Stream(input=source, layers=layers, num_steps=num_steps, task="test")


def inputs(stream, seed=0, runs=1):
    """Random payloads of the stream's input."""
    rng = np.random.default_rng(seed)
    low, high = stream.input.minimum, stream.input.maximum
    if not stream.input.changes:
        return rng.integers(0, 120, (runs, *stream.input.shape))
    shape = (runs, stream.num_steps, *stream.input.shape)
    if (low, high) == (0, 1):
        return (rng.random(shape) < 0.4).astype(np.int32)
    return rng.integers(low, high + 1, shape)


def loud(stream):
    """Let the input be far above what the stream was made for."""
    low = -(2**23) if stream.input.minimum < 0 else 0
    source = dataclasses.replace(stream.input, minimum=low, maximum=2**23 - 1)
    return dataclasses.replace(stream, input=source)


KINDS = {
    "spikes": lambda seed: spiking(seed),
    "reset": lambda seed: spiking(seed, reset=Reset(interval=5, offset=2)),
    "injected": lambda seed: spiking(seed, injected=True, reset=Reset(interval=4)),
    "delayed": lambda seed: spiking(seed, delayed=True),
    "sigma-delta": lambda seed: sigma_delta(seed),
    "spike_exp 2": lambda seed: sigma_delta(seed, spike_exp=2),
}
