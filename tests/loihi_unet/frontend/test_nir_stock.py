# SPDX-License-Identifier: BSD-3-Clause
"""Integers beside the float network, and on every backend."""

import dataclasses

import nir_graphs as g
import numpy as np
import pytest

from export.netx import read_network, write_network
from loihi_unet.frontend.nir import quantise
from loihi_unet.frontend.nir.agreement import padded, run_integers
from loihi_unet.frontend.nir.convert import convert
from loihi_unet.frontend.nir.floats import run_floats
from sim.backend import create
from sim.verify.comparison import compare


def small():
    """Every neuron with a threshold, and a potential at the output."""
    rng = np.random.default_rng(3)
    return g.chain(
        (3, 6, 6),
        g.conv("c", rng.normal(0, 1, (4, 3, 3, 3)), bias=rng.normal(0, 0.3, 4)),
        g.lif("lif", (4, 4, 4), r=4.0, v_leak=0.05, v_reset=0.1),
        g.pool("p", "AvgPool2d", (2, 2)),
        g.node("f", "Flatten", input_type={}, start_dim=0, end_dim=-1),
        g.linear("d", rng.normal(0, 1, (6, 16)), bias=rng.normal(0, 0.1, 6)),
        g.cuba("cuba", (6,), r=4.0, w_in=2.0, threshold=0.6),
        g.linear("e", rng.normal(0, 1, (5, 6))),
        g.neuron_if("if", (5,), threshold=0.8),
        g.linear("h", rng.normal(0, 1, (2, 5))),
        g.node("li", "LI", tau=[3.0, 5.0], r=[2.0, 2.0], v_leak=[0.1, 0.0]),
    )


def inputs(graph, seed=0, **more):
    shape = tuple(int(n) for n in graph.input.values["input_type"]["input"])
    full = (*shape, 1, 1)[:3]
    return g.spikes(np.random.default_rng(seed), full, **more)


def test_what_8_bits_hold_spikes_at_the_same_steps_as_the_float_network():
    graph = g.whole(np.random.default_rng(1))
    frames = inputs(graph)
    run = run_floats(graph, frames.astype(float), 1.0)
    found = convert(graph, 1.0, frames)
    names = [layer.name for layer in found.network.layers]
    assert [row.layer for row in found.agreement] == ["a", "b", "r", "z"]
    assert any("later" in name for name in names)  # a relay
    traces = run_integers(found.network, frames)
    for name, spikes in run.spikes.items():
        assert spikes.any()
        np.testing.assert_array_equal(traces[name], spikes, err_msg=name)
    assert all(row.same == row.correlation == 1 for row in found.agreement if row.same)
    assert all(row.error == 0 for row in found.errors)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("c4", lambda values: {"weight": values["weight"] * [[[[1, 0], [1, 1]]]]}),
        ("held", lambda values: {"delay": values["delay"] + 1}),
        ("late", lambda values: {"delay": values["delay"] + 1}),
        ("own", lambda values: {"weight": -values["weight"]}),
        ("b", lambda values: {"v_threshold": values["v_threshold"] + 30}),
    ],
)
def test_another_parameter_spikes_at_other_steps(name, change):
    graph = g.whole(np.random.default_rng(1))
    frames = inputs(graph)
    run = run_floats(graph, frames.astype(float), 1.0)
    old = graph.nodes[name]
    values = {**old.values, **change(old.values)}
    nodes = {**graph.nodes, name: dataclasses.replace(old, values=values)}
    other = convert(dataclasses.replace(graph, nodes=nodes), 1.0, frames)
    traces = run_integers(other.network, frames)
    assert any((traces[n] != spikes).any() for n, spikes in run.spikes.items())


def test_rounded_networks_agree_and_say_how_far():
    graph = small()
    found = convert(graph, 1.0, inputs(graph, steps=40))
    rows = {row.layer: row for row in found.agreement}
    assert rows["lif"].same > 0.9
    assert rows["cuba"].correlation > 0.9
    assert rows["li"].same is None
    assert rows["li"].correlation > 0.98
    errors = {(row.layer, row.parameter): row.error for row in found.errors}
    assert 0 < errors["lif", "weight from input"] < 1 / 254
    assert errors["lif", "threshold"] < 1e-12
    assert errors["li", "decay of v"] == pytest.approx(abs(1365 / 4096 * 3 - 1))


BACKENDS = ["torch", pytest.param("lava", marks=pytest.mark.lava)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("which", ["small", "whole"])
def test_backends_give_the_same_integers(backend, which):
    graph = small() if which == "small" else g.whole(np.random.default_rng(1))
    frames = inputs(graph, runs=1)
    network, frames = padded(convert(graph, 1.0, frames).network, frames)
    judge = create("reference").run(network, frames)
    found = compare(judge, create(backend).run(network, frames))
    assert found.identical
    assert {layer.name for layer in found.layers} == set(network.traces)
    last = network.layers[-1]
    vth = last.compartment.vth_mant // 2
    if which == "small":  # the last layer never fires
        last, vth = network.layers[-2], network.layers[-2].compartment.vth_mant // 4
    flipped = dataclasses.replace(last.compartment, vth_mant=vth)
    layers = tuple(
        dataclasses.replace(x, compartment=flipped) if x is last else x
        for x in network.layers
    )
    other = create(backend).run(dataclasses.replace(network, layers=layers), frames)
    other = dataclasses.replace(other, network_sha256=judge.network_sha256)
    assert not compare(judge, other).identical


@pytest.mark.parametrize("which", ["small", "whole"])
def test_the_network_file_holds_the_same_integers(which, tmp_path):
    graph = small() if which == "small" else g.whole(np.random.default_rng(1))
    network = convert(graph, 1.0).network
    write_network(network, tmp_path / "x.net")
    assert read_network(tmp_path / "x.net").sha256 == network.sha256


def test_a_bias_that_acts_before_the_first_input_is_forgotten():
    graph = g.chain(
        (2,),
        g.linear("d1", [[1.0, 0.0]]),
        g.neuron_if("a", (1,), threshold=0.5),
        g.linear("d2", [[-127.0]], bias=[30.0]),
        g.neuron_if("b", (1,), threshold=100),
    )
    frames = np.zeros((1, 9, 2, 1, 1), dtype=np.int64)
    found = convert(graph, 1.0, frames)
    spikes = run_integers(found.network, frames)["b"][0, :, 0, 0, 0]
    assert spikes.tolist() == [0, 0, 0, 1, 0, 0, 0, 1, 0]


def test_scales_shrink_until_the_data_saturates_nothing():
    """An integrator over many steps: the float network says how far it goes."""
    graph = g.chain((1,), g.linear("d", [[1.0]]), g.node("i", "I", r=np.ones(1)))
    frames = np.ones((1, 900, 1, 1, 1), dtype=np.int64)
    found = convert(graph, 1.0, frames)
    assert found.proofs == {"i": "on the data"}
    v = run_integers(found.network, frames)["i:v"][0, :, 0, 0, 0]
    assert (np.diff(v) == v[0]).all()
    blind = convert(graph, 1.0)
    assert blind.proofs == {"i": "for 516 steps of the worst input"}
    v = run_integers(blind.network, frames)["i:v"][0, :, 0, 0, 0]
    assert v[515] < v[516] == v[-1]  # saturated


def test_what_saturates_is_rounded_again_at_half_the_scale(monkeypatch):
    graph = g.chain((1,), g.linear("d", [[1.0]]), g.node("i", "I", r=np.ones(1)))
    frames = np.ones((1, 900, 1, 1, 1), dtype=np.int64)
    fits = convert(graph, 1.0, frames)
    monkeypatch.setattr(quantise, "MARGIN", 0.4)  # the float network goes beyond it
    found = convert(graph, 1.0, frames)
    v = run_integers(found.network, frames)["i:v"][0, :, 0, 0, 0]
    assert (np.diff(v) == v[0]).all()
    weights = [
        x.network.layers[0].connections[0].synapse.weight.tolist()
        for x in (fits, found)
    ]
    assert weights == [[[72]], [[128]]]  # half of 254, even
