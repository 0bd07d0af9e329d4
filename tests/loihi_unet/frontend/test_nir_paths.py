# SPDX-License-Identifier: BSD-3-Clause
"""One synapse gives what the nodes on its path give, one after the other."""

import nir_graphs as g
import numpy as np
import pytest

from loihi_unet.frontend.nir.apply import apply, convolve
from loihi_unet.frontend.nir.folding import Kernel
from loihi_unet.frontend.nir.paths import Matrix, constant, link, paths_into
from loihi_unet.frontend.nir.primitives import NIRError
from loihi_unet.frontend.nir.shapes import infer, three

RNG = np.random.default_rng(5)
W = RNG.normal(size=(6, 4, 3, 3))


def weight(groups=1):
    return W[:, : 4 // groups]


def scale(per_channel):
    full = np.broadcast_to(np.arange(1, 5).reshape(4, 1, 1), (4, 9, 8)).copy()
    if not per_channel:
        full[0, 0, 0] = 9
    return g.node("s", "Scale", scale=full)


FOLDS = {
    "pool, conv": [g.pool("p", "AvgPool2d", (2, 2)), g.conv("c", weight())],
    "pool, padded conv": [
        g.pool("p", "SumPool2d", (3, 2)),
        g.conv("c", weight(), padding=(1, 2), stride=(1, 2)),
    ],
    "wide pool, grouped and dilated conv": [
        g.pool("p", "AvgPool2d", (3, 3), stride=(1, 2), padding=(1, 0)),
        g.conv("c", weight(2), groups=2, dilation=(2, 1)),
    ],
    "scale, pool, conv": [
        scale(True),
        g.pool("p", "SumPool2d", (2, 2)),
        g.conv("c", weight()),
    ],
    "conv, pool": [g.conv("c", weight()), g.pool("p", "AvgPool2d", (2, 2))],
    "grouped conv, conv": [
        g.conv("c", weight(2), groups=2, dilation=(1, 2), padding=(1, 1)),
        g.conv("d", RNG.normal(size=(2, 6, 2, 2)), stride=(2, 1)),
    ],
    "nothing": [],
}
MATRICES = {
    "flatten, dense": [
        g.node("f", "Flatten", input_type={}, start_dim=0, end_dim=-1),
        g.linear("d", RNG.normal(size=(5, 288))),
    ],
    "uneven scale, pool, flatten": [
        scale(False),
        g.pool("p", "AvgPool2d", (2, 2), padding=(1, 1)),
        g.node("f", "Flatten", input_type={}, start_dim=0, end_dim=2),
    ],
}


def made(nodes):
    bare = g.chain((4, 9, 8), *nodes, g.neuron_if("n", ()))
    graph = g.graph(
        (4, 9, 8),
        [*nodes, g.neuron_if("n", ())],
        list(bare.edges),
    )
    shapes = dict(infer(graph))
    (path,) = paths_into(graph, "n")
    return graph, shapes, link(graph, path, "n", shapes, 1.0)


def straight(nodes, shapes, x):
    before = (4, 9, 8)
    for node in nodes:
        x = apply(node, x.reshape(len(x), *before), before, bias=False)
        before = shapes[node.name]
    return x


@pytest.mark.parametrize("name", FOLDS)
def test_a_folded_path_is_exact(name):
    _, shapes, found = made(FOLDS[name])
    x = RNG.normal(size=(2, 4, 9, 8))
    k = found.synapse
    assert isinstance(k, Kernel)
    y = convolve(x, k.weight, k.stride, k.padding, k.dilation, k.groups)
    wanted = straight(FOLDS[name], shapes, x)
    assert y.shape[1:] == three(shapes["n"])
    np.testing.assert_allclose(y, wanted, atol=1e-10)


@pytest.mark.parametrize("name", MATRICES)
def test_a_matrix_is_exact(name):
    _, shapes, found = made(MATRICES[name])
    x = RNG.normal(size=(2, 4, 9, 8))
    assert isinstance(found.synapse, Matrix)
    y = x.reshape(2, -1) @ found.synapse.weight.T
    np.testing.assert_allclose(y, straight(MATRICES[name], shapes, x), atol=1e-10)


@pytest.mark.parametrize(
    "nodes",
    [
        # The ninth row is in no window, but the padding of the convolution is there.
        [g.pool("p", "AvgPool2d", (2, 2)), g.conv("c", weight(), padding=(1, 1))],
        [
            g.pool("p", "AvgPool2d", (3, 3), stride=(1, 1)),
            g.conv("c", weight(), padding=(1, 1)),
        ],
        [scale(False)],
    ],
)
def test_what_would_not_be_exact_is_refused(nodes):
    with pytest.raises(NIRError, match=r"'input' -> 'n' over \['.'.*folds into no"):
        made(nodes)


def test_biases_go_the_same_way():
    nodes = [
        g.linear("a", RNG.normal(size=(3, 4)), bias=[1.0, 2.0, 3.0]),
        g.linear("b", RNG.normal(size=(3, 4)), bias=[0.5, 0.5, 0.5]),
        g.node("s", "Scale", scale=[2.0, 2.0, 4.0]),
        g.neuron_if("n", (3,)),
    ]
    edges = [("input", "a"), ("input", "b"), ("a", "s"), ("b", "s"), ("s", "n")]
    graph = g.graph((4,), nodes, [*edges, ("n", "output")])
    found = constant(graph, "n", dict(infer(graph)))
    assert found.reshape(-1).tolist() == [3.0, 5.0, 14.0]


def test_delays_are_of_what_sends_or_receives():
    held = g.node("h", "Delay", delay=[0.0, 1.0, 0.0, 3.0])
    late = g.node("l", "Delay", delay=[0.2, 0.0, 0.1])
    nodes = [held, g.linear("d", np.ones((3, 4))), late, g.neuron_if("n", (3,))]
    graph = g.chain((4,), *nodes)
    shapes = dict(infer(graph))
    found = link(graph, paths_into(graph, "n")[0], "n", shapes, 0.1)
    wanted = np.array([[2], [0], [1]]) + np.array([0, 10, 0, 30])
    np.testing.assert_array_equal(found.synapse.delay, wanted)
    between = g.node("m", "Delay", delay=[0.0, 1.0, 0.0])
    nodes = [nodes[1], between, g.linear("e", np.ones((3, 3))), nodes[3]]
    graph = g.chain((4,), *nodes)
    with pytest.raises(NIRError, match=r"'m' \(Delay\): delays that differ"):
        link(graph, paths_into(graph, "n")[0], "n", dict(infer(graph)), 0.1)
