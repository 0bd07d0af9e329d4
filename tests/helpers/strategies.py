# SPDX-License-Identifier: BSD-3-Clause
"""Hypothesis: whole small networks and images for them."""

import dataclasses

import numpy as np
from hypothesis import strategies as st

from export.compartment import MTIF, Accumulator, Bias
from export.mapping import MAPPINGS, Mapping
from export.network import Connection, Input, Layer, Network
from export.synapse import AveragePool, Conv, ConvTranspose

LIMIT_WEIGHTS = st.sampled_from([-256, -254, -2, 0, 2, 254])


def arrays(draw, shape, elements):
    size = int(np.prod(shape))
    return np.array(draw(st.lists(elements, min_size=size, max_size=size))).reshape(
        shape
    )


def weights(draw, *shape):
    """Even mantissas: a random array with some entries at the limits."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    weight = 2 * rng.integers(-128, 128, shape)
    flat = weight.reshape(-1)
    flat[: min(3, len(flat))] = [draw(LIMIT_WEIGHTS) for _ in range(min(3, len(flat)))]
    return weight


@st.composite
def convs(draw, c_in, max_out=3):
    groups = draw(st.sampled_from([1, c_in]))
    c_out = groups * draw(st.integers(1, max(1, max_out // groups)))
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    pairs = st.tuples(st.integers(1, 2), st.integers(1, 2))
    dilation = draw(pairs)
    # Enough padding that the output is never empty.
    padding = tuple(d * (k - 1) // 2 + 1 for d, k in zip(dilation, kernel, strict=True))
    return Conv(
        weight=weights(draw, c_out, c_in // groups, *kernel),
        stride=draw(pairs),
        padding=padding,
        dilation=dilation,
        groups=groups,
    )


@st.composite
def conv_transposes(draw, shape):
    stride = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    kernel = draw(st.tuples(st.integers(2, 3), st.integers(2, 3)))
    # A padding of 1 takes two rows away: what is left must not be empty.
    allowed = [
        (p, q)
        for p, q in [(0, 0), (1, 0), (0, 1)]
        if all(
            (n - 1) * s + k > 2 * cut
            for n, s, k, cut in zip(shape[1:], stride, kernel, (p, q), strict=True)
        )
    ]
    return ConvTranspose(
        weight=weights(draw, shape[0], draw(st.integers(1, 2)), *kernel),
        stride=stride,
        padding=draw(st.sampled_from(allowed)),
        output_padding=tuple(draw(st.integers(0, s - 1)) for s in stride),
    )


@st.composite
def connections(draw, nodes):
    """One connection of any kind, or a join of two convolutions."""
    name = draw(st.sampled_from(sorted(nodes)))
    shape = nodes[name]
    kind = draw(st.sampled_from(["conv", "join", "pool", "convT"]))
    if kind == "pool":
        window = tuple(
            draw(st.sampled_from([k for k in (1, 2) if n % k == 0])) for n in shape[1:]
        )
        return [(name, AveragePool(channels=shape[0], kernel_size=window), 0)]
    if kind == "convT" and max(shape[1:]) <= 4:
        return [(name, draw(conv_transposes(shape)), draw(st.integers(0, 2)))]
    if kind == "join":
        names = [n for n, s in nodes.items() if s[1:] == shape[1:]]
        others = draw(st.lists(st.sampled_from(sorted(names)), min_size=1, max_size=2))
        c_out = draw(st.integers(1, 2))
        return [
            (
                n,
                Conv(weight=weights(draw, c_out, nodes[n][0], 3, 2), padding=(1, 1)),
                draw(st.integers(0, 3)),
            )
            for n in [name, *others]
        ]
    return [(name, draw(convs(shape[0])), draw(st.integers(0, 2)))]


@st.composite
def networks(draw, max_layers=4):
    height, width = draw(st.tuples(st.integers(2, 5), st.integers(2, 5)))
    source = Input(
        shape=(draw(st.integers(1, 2)), height, width),
        minimum=-8,
        maximum=15,
        scale=0.1,
    )
    nodes = {"input": source.shape}
    stages = {"input": 0}
    count = draw(st.integers(1, max_layers))
    layers = []
    for index in range(count):
        parts = draw(connections(nodes))
        stage = 1 + max(stages[name] for name, _, _ in parts)
        shape = parts[0][1].output_shape(nodes[parts[0][0]])
        bias = Bias(
            mant=arrays(
                draw, (shape[0],), st.sampled_from([-4096, -7, 0, 1, 500, 4095])
            ),
            exp=draw(st.integers(0, 2)),
        )
        last = index == count - 1 and draw(st.booleans())
        compartment = Accumulator(bias=bias) if last else draw(mtifs(shape[0], bias))
        layers.append(
            Layer(
                name=f"layer{index}",
                shape=shape,
                connections=tuple(
                    Connection(
                        source=name,
                        synapse=synapse,
                        weight_exp=exponent,
                        delay=stage - stages[name] - 1,
                    )
                    for name, synapse, exponent in parts
                ),
                compartment=compartment,
                scale=1.0,
            )
        )
        nodes[f"layer{index}"], stages[f"layer{index}"] = shape, stage
    return Network(
        input=source,
        layers=tuple(layers),
        num_steps=draw(st.integers(1, 4)),
        task="test",
    )


@st.composite
def mtifs(draw, channels, bias):
    per_channel = draw(st.booleans())
    count = draw(st.sampled_from([1, 2, 4, 8, 9]))
    # Exponents up to 3 leave room for 5 planes; K potentials a pixel, and Python
    # integers, for 4 thresholds at most.
    mapping = draw(st.sampled_from(MAPPINGS if count <= 4 else ["graded"]))
    limit = Mapping(name=mapping, num_thresholds=count).largest_base
    values = {min(vth, limit) for vth in (1, 2, 3, 50, 1001, 4000, 131071)}
    return MTIF(
        vth_mant=arrays(
            draw, (channels if per_channel else 1,), st.sampled_from(sorted(values))
        ),
        num_thresholds=count,
        bias=bias,
        mapping=mapping,
    )


@st.composite
def runs(draw, max_images=2):
    """A network and images for it."""
    network = draw(networks())
    count = draw(st.integers(1, max_images))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    source = network.input
    images = rng.integers(
        source.minimum, source.maximum + 1, (count, *source.shape), dtype=np.int32
    )
    images.flat[0], images.flat[-1] = source.minimum, source.maximum
    return network, images


@st.composite
def overflowing_runs(draw, max_images=3):
    """A network whose numbers are large, and images: most overflow somewhere."""
    network = draw(networks())
    least, most = draw(st.sampled_from([(-8, 15), (-900, 4000)]))
    source = dataclasses.replace(network.input, minimum=least, maximum=most)
    layers = []
    for layer in network.layers:
        connections_ = []
        for c in layer.connections:
            planes = network.nodes[c.source].planes
            exponent = draw(st.integers(0, 8 - planes))
            connections_.append(dataclasses.replace(c, weight_exp=exponent))
        old = layer.compartment
        bias = dataclasses.replace(old.bias, exp=draw(st.sampled_from([0, 3, 7])))
        layers.append(
            dataclasses.replace(
                layer,
                connections=tuple(connections_),
                compartment=dataclasses.replace(old, bias=bias),
            )
        )
    network = dataclasses.replace(
        network,
        input=source,
        layers=tuple(layers),
        num_steps=draw(st.sampled_from([1, 2, 3, 17])),
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    size = (draw(st.integers(1, max_images)), *source.shape)
    images = rng.integers(least, most + 1, size, dtype=np.int32)
    # Some images are weak: they overflow late or never.
    images[rng.random(len(images)) < 0.4] //= 50
    return network, images
