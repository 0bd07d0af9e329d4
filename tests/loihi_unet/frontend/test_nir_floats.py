# SPDX-License-Identifier: BSD-3-Clause
"""The float network: by hand, and against torch."""

import nir_graphs as g
import numpy as np
import pytest
import torch

from loihi_unet.frontend.nir.apply import apply
from loihi_unet.frontend.nir.floats import run_floats


def train(*values):
    """One run of one neuron."""
    return np.array(values, dtype=float).reshape(1, -1, 1, 1, 1)


def flat(array):
    return array.reshape(-1).tolist()


def run(graph, *values, dt=1.0):
    found = run_floats(graph, train(*values), dt)
    return {k: flat(v) for k, v in (found.spikes | found.values).items()}


def test_if_adds_up_and_forgets_what_is_above():
    graph = g.chain((1,), g.neuron_if("n", (1,), threshold=1.0, r=0.75))
    assert run(graph, 1, 1, 1, 1)["n"] == [0, 1, 0, 1]
    assert run(graph, 1, 1, 1, 1, dt=2)["n"] == [1, 1, 1, 1]  # 0.75 * 2
    assert run(g.chain((1,), g.neuron_if("n", (1,))), 1, 1)["n"] == [0, 1]  # v > 1


def test_lif_decays_to_its_leak_and_starts_at_its_reset():
    # v: -1 -> -1 + (0.5 + 1 - -1... by hand: v += (v_leak - v + r x) / 4
    graph = g.chain((1,), g.lif("n", (1,), r=4.0, v_leak=1.0, v_reset=-1.0))
    # -0.5; -0.125 + 1 = 0.875; 0.90625 + 1 -> spike, -1; -0.5
    assert run(graph, 0, 1, 1, 0)["n"] == [0, 0, 1, 0]
    found = run_floats(graph, train(0, 1, 1, 0), 1.0)
    assert found.peaks["n"] == (1.0, 1.90625 + 1)  # from v_reset


def test_li_and_integrator_show_their_potential():
    li = g.node("n", "LI", tau=[2.0], r=[3.0], v_leak=[1.0])
    assert run(g.chain((1,), li), 1, 0)["n"] == [2.0, 1.5]
    one = g.node("n", "I", r=[0.5])
    assert run(g.chain((1,), one), 1, 1, dt=4)["n"] == [2.0, 4.0]


def test_cubalif_takes_the_current_of_the_same_step():
    graph = g.chain((1,), g.cuba("n", (1,), r=4.0, w_in=2.0, threshold=1.5))
    # I: 1, 0.5, 0.25;  v: 1, 0.75 + 0.5 = 1.25, 0.9375 + 0.25
    assert run(graph, 1, 0, 0)["n"] == [0, 0, 0]
    # I: 1, 1.5;  v: 1, 0.75 + 1.5
    assert run(graph, 1, 1)["n"] == [0, 1]
    li = g.node(
        "n", "CubaLI", tau_syn=[2.0], tau_mem=[4.0], r=[4.0], v_leak=[0.0], w_in=[2.0]
    )
    assert run(g.chain((1,), li), 1, 0, 0)["n"] == [1.0, 1.25, 1.1875]


def test_spikes_come_back_a_step_later_and_delays_hold_back():
    nodes = [g.neuron_if("n", (1,), threshold=0.5), g.linear("w", [[1.0]])]
    edges = [("input", "n"), ("n", "w"), ("w", "n"), ("n", "output")]
    assert run(g.graph((1,), nodes, edges), 1, 0, 0)["n"] == [1, 1, 1]
    nodes.append(g.node("d", "Delay", delay=[2.0]))
    edges = [*edges[:2], ("w", "d"), ("d", "n"), edges[3]]
    assert run(g.graph((1,), nodes, edges), 1, 0, 0, 0, 0)["n"] == [1, 0, 0, 1, 0]


def test_edges_add_up_and_the_output_may_be_a_sum():
    nodes = [
        g.linear("a", [[2.0]], bias=[1.0]),
        g.linear("b", [[3.0]]),
        g.node("s", "Scale", scale=[10.0]),
    ]
    edges = [("input", "a"), ("input", "b"), ("a", "s"), ("b", "s"), ("s", "output")]
    assert run(g.graph((1,), nodes, edges), 0, 1)["output"] == [10.0, 60.0]


@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions_and_pools_are_those_of_torch(groups):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 4, 9, 8))
    weight, bias = rng.normal(size=(6, 4 // groups, 3, 2)), rng.normal(size=6)
    geometry = {"stride": (2, 1), "padding": (1, 2), "dilation": (2, 1)}
    node = g.conv("c", weight, bias=bias, groups=groups, **geometry)
    t = [torch.from_numpy(a) for a in (x, weight, bias)]
    wanted = torch.nn.functional.conv2d(*t, groups=groups, **geometry)
    np.testing.assert_allclose(apply(node, x, x.shape[1:]), wanted, atol=1e-12)
    same = g.conv("c", weight[..., :1], groups=groups, padding="same")
    t[1] = t[1][..., :1]
    wanted = torch.nn.functional.conv2d(*t[:2], groups=groups, padding="same")
    np.testing.assert_allclose(apply(same, x, x.shape[1:]), wanted, atol=1e-12)
    line = g.node(
        "c", "Conv1d", weight=weight[..., 0], stride=2, padding=1, dilation=1,
        groups=groups, bias=None,
    )  # fmt: skip
    y = x[..., 0]
    wanted = torch.nn.functional.conv1d(
        torch.from_numpy(y), t[1][..., 0], stride=2, padding=1, groups=groups
    )
    np.testing.assert_allclose(apply(line, y, y.shape[1:]), wanted, atol=1e-12)
    pool = g.pool("p", "AvgPool2d", (3, 2), stride=(2, 3), padding=(1, 1))
    wanted = torch.nn.functional.avg_pool2d(t[0], (3, 2), (2, 3), (1, 1))
    np.testing.assert_allclose(apply(pool, x, x.shape[1:]), wanted, atol=1e-12)
