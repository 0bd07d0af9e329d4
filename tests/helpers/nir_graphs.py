# SPDX-License-Identifier: BSD-3-Clause
"""Small graphs of NIR nodes, made without the package nir."""

import itertools

import numpy as np

from loihi_unet.frontend.nir.graph import Graph, Node, checked


def node(name, kind, **values):
    """A node; numbers become arrays."""
    plain = ("input_type", "padding", "bias")
    return Node(
        name,
        kind,
        {
            k: v if k in plain else np.asarray(v, dtype=np.float64)
            for k, v in values.items()
        },
    )


def graph(shape, nodes, edges):
    """A graph with an Input 'input' of that shape and an Output 'output'."""
    ends = [
        node("input", "Input", input_type={"input": np.array(shape)}),
        node("output", "Output", input_type={"input": None}),
    ]
    return checked(
        Graph(nodes={n.name: n for n in [*ends, *nodes]}, edges=tuple(edges))
    )


def chain(shape, *nodes):
    """Input, the nodes, Output."""
    names = ["input", *(n.name for n in nodes), "output"]
    return graph(shape, nodes, itertools.pairwise(names))


def neuron_if(name, shape, threshold=1.0, r=1.0):
    return node(
        name,
        "IF",
        r=np.full(shape, r),
        v_threshold=np.full(shape, threshold),
        v_reset=np.zeros(shape),
    )


def lif(name, shape, tau=4.0, threshold=1.0, r=1.0, v_leak=0.0, v_reset=0.0):
    return node(
        name,
        "LIF",
        tau=np.full(shape, tau),
        r=np.full(shape, r),
        v_leak=np.full(shape, v_leak),
        v_threshold=np.full(shape, threshold),
        v_reset=np.full(shape, v_reset),
    )


def cuba(name, shape, tau_syn=2.0, tau_mem=4.0, threshold=1.0, r=1.0, w_in=1.0):
    return node(
        name,
        "CubaLIF",
        tau_syn=np.full(shape, tau_syn),
        tau_mem=np.full(shape, tau_mem),
        r=np.full(shape, r),
        v_leak=np.zeros(shape),
        v_threshold=np.full(shape, threshold),
        v_reset=np.zeros(shape),
        w_in=np.full(shape, w_in),
    )


def linear(name, weight, bias=None):
    if bias is None:
        return node(name, "Linear", weight=weight)
    return node(name, "Affine", weight=weight, bias=np.asarray(bias, dtype=float))


def conv(name, weight, bias=None, **geometry):
    weight = np.asarray(weight, dtype=np.float64)
    fields = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    bias = np.zeros(len(weight)) if bias is None else np.asarray(bias, dtype=float)
    return node(name, "Conv2d", weight=weight, bias=bias, **{**fields, **geometry})


def pool(name, kind, size, stride=None, padding=(0, 0)):
    return node(name, kind, kernel_size=size, stride=stride or size, padding=padding)


def levels(rng, *shape):
    """Weights that 8 bits hold exactly: whole numbers, the largest 127."""
    weight = rng.integers(-60, 61, shape).astype(np.float64)
    weight.flat[0] = 127
    return weight


def spikes(rng, shape, runs=2, steps=12, rate=0.4):
    return (rng.random((runs, steps, *shape)) < rate).astype(np.int64)


def whole(rng):
    """Skips, delays, a relay, a pool, recurrence: all of it held by integers."""
    nodes = [
        conv("c1", levels(rng, 3, 2, 3, 3), padding=(1, 1)),
        neuron_if("a", (3, 6, 6), threshold=70),
        pool("p", "SumPool2d", (2, 2)),
        conv("c2", levels(rng, 2, 3, 2, 2)),
        neuron_if("b", (2, 2, 2), threshold=90),
        pool("p2", "SumPool2d", (2, 2)),
        node("held", "Delay", delay=np.full((2, 3, 3), 2.0)),
        conv("c4", levels(rng, 2, 2, 2, 2)),
        node("flat", "Flatten", input_type={}, start_dim=0, end_dim=-1),
        linear("d1", levels(rng, 4, 8), bias=[3, -2, 0, 9]),
        node("late", "Delay", delay=[0.0, 1.0, 2.0, 0.0]),
        neuron_if("r", (4,), threshold=100),
        linear("own", levels(rng, 4, 4)),
        linear("d2", levels(rng, 3, 4)),
        neuron_if("z", (3,), threshold=50),
    ]
    edges = [
        ("input", "c1"),
        ("c1", "a"),
        ("a", "p"),
        ("p", "c2"),
        ("c2", "b"),
        ("input", "p2"),
        ("p2", "held"),
        ("held", "c4"),
        ("c4", "b"),
        ("b", "flat"),
        ("flat", "d1"),
        ("d1", "late"),
        ("late", "r"),
        ("r", "own"),
        ("own", "r"),
        ("r", "d2"),
        ("d2", "z"),
        ("z", "output"),
    ]
    return graph((2, 6, 6), nodes, edges)
