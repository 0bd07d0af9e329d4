# SPDX-License-Identifier: BSD-3-Clause
"""What has no stock layer is refused by its node's name."""

import dataclasses

import nir_graphs as g
import numpy as np
import pytest

from export.facts import STATE
from loihi_unet.frontend.nir.convert import convert
from loihi_unet.frontend.nir.primitives import NIRError

IF = g.neuron_if("n", (2,))
EYE = np.eye(2)


def loop():
    nodes = [
        g.neuron_if("a", (2,)),
        g.linear("x", EYE),
        g.neuron_if("b", (2,)),
        g.linear("y", EYE),
    ]
    edges = [("input", "a"), ("a", "x"), ("x", "b"), ("b", "y"), ("y", "a")]
    return g.graph((2,), nodes, [*edges, ("b", "output")])


def linear_loop():
    nodes = [g.linear("x", EYE), g.linear("y", EYE), IF]
    edges = [("input", "x"), ("x", "y"), ("y", "x"), ("y", "n"), ("n", "output")]
    return g.graph((2,), nodes, edges)


def li_inside():
    li = g.node("li", "LI", tau=[2.0, 2.0], r=[1.0, 1.0], v_leak=[0.0, 0.0])
    return g.chain((2,), li, g.linear("x", EYE), IF)


def too_long():
    return g.chain((2,), *(g.linear(f"x{i}", EYE) for i in range(1000)), IF)


def too_many():
    """Two ways around each of eleven nodes."""
    nodes, edges = [g.linear("x0", EYE)], [("input", "x0")]
    for i in range(11):
        nodes += [g.linear(f"{way}{i + 1}", EYE) for way in "xyz"]
        edges += [(f"x{i}", f"{way}{i + 1}") for way in "yz"]
        edges += [(f"{way}{i + 1}", f"x{i + 1}") for way in "yz"]
    return g.graph((2,), [*nodes, IF], [*edges, ("x11", "n"), ("n", "output")])


def uneven():
    tau = np.full((1, 2, 2), 4.0)
    tau[0, 1, 1] = 5
    return g.chain((1, 2, 2), g.lif("n", (1, 2, 2), tau=tau))


def skip_of_payloads():
    nodes = [
        g.conv("c1", np.ones((1, 1, 1, 1))),
        g.neuron_if("a", (1, 2, 2)),
        g.conv("c2", np.ones((1, 1, 1, 1))),
        g.neuron_if("b", (1, 2, 2)),
        g.conv("c3", np.ones((1, 1, 1, 1))),
    ]
    edges = [("input", "c1"), ("c1", "a"), ("a", "c2"), ("c2", "b")]
    return g.graph(
        (1, 2, 2), nodes, [*edges, ("input", "c3"), ("c3", "b"), ("b", "output")]
    )


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: g.chain((2,), g.node("t", "Threshold", threshold=[1.0, 1.0])),
            "'t' (Threshold): not read",
        ),
        (loop, "a loop over several neurons found among 'a' -> 'b'"),
        (linear_loop, "node 'y' (Linear): a loop without a neuron"),
        (too_long, "node 'n': more than 64 nodes without a neuron"),
        (too_many, "node 'n': more than 1024 ways into it"),
        (
            lambda: g.chain((2, 3, 3), g.pool("p", "SumPool2d", (1, 1), (0, 1)), IF),
            "'p' (SumPool2d): stride",
        ),
        (lambda: g.chain((1 << 25,), IF), "shape (33554432,) found"),
        (li_inside, "node 'li' (LI): it sends its potential to ['x']"),
        (uneven, "a time constant differs within a feature map"),
        (
            lambda: g.chain((3,), g.linear("x", EYE), IF),
            "'x' (Linear): (3,) enters, (2,) needed",
        ),
        (lambda: g.chain((2, 3, 3), g.linear("x", EYE), IF), "(a Flatten?)"),
        (lambda: g.chain((2,), g.lif("n", (2,), tau=0.5)), "tau 0.5 found, dt is 1"),
        (
            lambda: g.chain((2,), g.lif("n", (2,), v_reset=2.0)),
            "v_threshold below v_reset",
        ),
        (
            lambda: g.chain((2,), g.lif("n", (2,), r=np.nan)),
            "'n' (LIF): r holds a value that is not finite",
        ),
        (
            lambda: g.chain((2,), g.node("d", "Delay", delay=[0.0, 63.0]), IF),
            "delay of 0..63 steps",
        ),
        (
            lambda: g.chain((2,), g.linear("x", 0 * EYE), IF),
            "node 'n': all weights into it are 0",
        ),
        (
            lambda: g.chain((2,), g.conv("c", np.ones((1, 2, 1, 1))), IF),
            "'c' (Conv2d): (2,) enters",
        ),
        (
            lambda: g.chain((2,), g.pool("p", "SumPool2d", (2, 2)), IF),
            "'p' (SumPool2d): (2,) enters",
        ),
        (lambda: g.graph((2,), [IF], [("n", "output")]), "'n' (IF): nothing enters it"),
        (
            lambda: g.graph((2,), [IF], [("input", "n"), ("m", "n"), ("n", "output")]),
            "no node 'm'",
        ),
    ],
)
def test_refused_by_name(make, text):
    with pytest.raises(NIRError) as caught:
        convert(make(), 1.0)
    assert text in str(caught.value)


def test_only_spikes_can_be_relayed():
    convert(skip_of_payloads(), 1.0, np.ones((1, 4, 1, 2, 2), dtype=np.int64))
    frames = np.full((1, 4, 1, 2, 2), 7)
    with pytest.raises(NIRError, match=r"'input': values 0..7 are to be delayed"):
        convert(skip_of_payloads(), 1.0, frames)


def test_large_thresholds_and_biases_shrink_the_scale():
    graph = g.chain(
        (2,), g.linear("x", EYE, bias=[100.0, 0.0]), g.neuron_if("n", (2,), 500)
    )
    found = convert(graph, 1.0)
    layer = found.network.layers[0].compartment
    assert 3900 < layer.bias.mant[0] <= 4095
    assert layer.vth_mant == pytest.approx(5 * layer.bias.mant[0], abs=5)
    errors = {row.parameter: row.error for row in found.errors}
    assert 0 < errors["weight from input"] < 1 / 40
    nodes = {**graph.nodes, "x": g.linear("x", EYE / 500, bias=[100.0, 0.0])}
    with pytest.raises(NIRError, match="'n': at the scale that its bias"):
        convert(dataclasses.replace(graph, nodes=nodes), 1.0)


def test_what_rounding_does_to_a_delay_is_in_the_table():
    held = g.node("d", "Delay", delay=[0.0, 2.4])
    found = convert(g.chain((2,), held, g.linear("x", EYE), IF), 1)
    (row,) = [row for row in found.errors if row.layer == "d"]
    assert (row.nir, row.integers) == ((0.0, 2.4), (0, 2))
    assert row.error == pytest.approx(1 / 6)


def test_sums_keep_within_24_bits_however_many_synapses():
    weight = np.ones((1, 4000))
    graph = g.chain((4000,), g.linear("x", weight), g.lif("n", (1,), r=4.0))
    for frames in (None, np.ones((1, 5, 4000, 1, 1), dtype=np.int64)):
        found = convert(graph, 1.0, frames)
        layer = found.network.layers[0]
        bound = int(layer.connections[0].synapse.absolute_sum().max())
        assert bound << 6 <= STATE.maximum
    assert convert(graph, 1.0).proofs == {"n": "always"}
