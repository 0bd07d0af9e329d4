# SPDX-License-Identifier: BSD-3-Clause
"""Stock networks on cores: what their files hold, against printed counts and loops."""

import dataclasses

import netx_judge as judge
import numpy as np
import pytest
import stocks
import structures

from export.errors import NetworkError
from export.fit import fit
from export.fit.loihi2 import OLDER, partition
from export.fit.structure import describe
from export.mapping import Mapping
from export.netx import read_network
from export.stock_compartment import Delta, Sigma
from export.synapse import Conv, ConvTranspose, Dense, Injection
from sim.backend import create
from sim.statistics import activity

STOCK = Mapping(name="graded", num_thresholds=1)


@pytest.mark.lava  # the file ships inside lava-dl's wheel
def test_the_pilotnet_file_takes_the_cores_that_intel_printed():
    network = read_network(judge.upstream("gts/pilotnet_lif/network.net"))
    uses = partition(describe(network), STOCK, rules=OLDER, weight_bits=3)
    assert [use.cores for use in uses.values()] == [13, 25, 13, 3, 3, 2, 12, 1, 1, 1]
    by_hand = partition(
        structures.pilotnet(held=True), STOCK, rules=OLDER, weight_bits=3
    )
    assert list(uses.values()) == list(by_hand.values())
    assert fit(network, chip="loihi2", system="oheo-gulch").fits
    single = fit(network, chip="loihi1")
    assert single.fits
    assert all(layer.compartments == layer.neurons for layer in single.layers)


@pytest.mark.parametrize("kind", stocks.KINDS)
def test_every_kind_has_a_place_on_loihi_2(kind):
    stock = stocks.KINDS[kind](0)
    report = fit(stock, chip="loihi2")
    assert report.fits
    placed = [
        layer
        for layer in stock.layers
        if not isinstance(layer.compartment, Delta)  # the host's
    ]
    assert [x.name for x in report.layers] == [layer.name for layer in placed]
    for found, layer in zip(report.layers, placed, strict=True):
        assert found.compartments == np.prod(layer.shape)
        assert found.synapses == synapses(stock, layer)
    assert report.timing.latency_steps == stock.latency
    assert report.suggestions == ()


def synapses(stock, layer, sent=None):
    """Synapses of a layer, one at a time; each as often as its source spikes."""
    total = 0
    for connection in layer.connections:
        shape = stock.nodes[connection.source].shape
        if isinstance(connection.synapse, Injection):
            continue
        spikes = np.ones(shape, dtype=int) if sent is None else sent[connection.source]
        total += of_connection(connection.synapse, spikes, layer.shape)
    return total


def of_connection(synapse, spikes, target):
    match synapse:
        case Dense():
            return sum(int(n) for n in spikes.ravel() for _ in range(target[0]))
        case ConvTranspose():
            return of_transpose(synapse, spikes, target)
    assert isinstance(synapse, Conv)
    total, per_group = 0, target[0] // synapse.groups
    for c, y, x in np.ndindex(*target):
        first = c // per_group * synapse.weight.shape[1]
        for i, ky, kx in np.ndindex(*synapse.weight.shape[1:]):
            row = y * synapse.stride[0] - synapse.padding[0] + ky * synapse.dilation[0]
            col = x * synapse.stride[1] - synapse.padding[1] + kx * synapse.dilation[1]
            if 0 <= row < spikes.shape[1] and 0 <= col < spikes.shape[2]:
                total += int(spikes[first + i, row, col])
    return total


def of_transpose(synapse, spikes, target):
    total, per_group = 0, synapse.weight.shape[1]
    for c, y, x in np.ndindex(*spikes.shape):
        for ky, kx in np.ndindex(*synapse.weight.shape[2:]):
            row = y * synapse.stride[0] - synapse.padding[0] + ky * synapse.dilation[0]
            col = x * synapse.stride[1] - synapse.padding[1] + kx * synapse.dilation[1]
            if 0 <= row < target[1] and 0 <= col < target[2]:
                total += int(spikes[c, y, x]) * per_group
    return total


@pytest.mark.parametrize("kind", stocks.KINDS)
@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
def test_operations_of_a_recording(kind, chip):
    stock = stocks.KINDS[kind](1)
    values = np.concatenate([stocks.inputs(stock, seed=seed) for seed in (1, 2)])
    recording = create("reference").run(stock, values)
    counts = activity(stock, recording)
    report = fit(stock, chip=chip, activity=counts)
    sent = {name: (p != 0).sum(axis=(0, 1)) for name, p in recording.payloads.items()}
    if stock.input.changes:
        sent["input"] = (values != 0).sum(axis=(0, 1))
    expected = {
        layer.name: synapses(stock, layer, sent) / 2
        for layer in stock.layers
        if not isinstance(layer.compartment, Delta)
    }
    assert report.traffic.synops == expected
    assert sum(expected.values()) > 0
    compartments = sum(layer.compartments for layer in report.layers)
    assert report.traffic.updates == stock.num_steps * compartments
    assert report.traffic.spikes == {
        layer.name: sent[layer.name].sum() / 2 for layer in report.layers
    }
    assert (report.energy.terms == ()) == (chip == "loihi2")
    if chip == "loihi1":
        assert len(report.energy.terms) == 4
        assert 0 < report.energy.low < report.energy.high


def test_reset_to_zero_needs_no_second_compartment():
    stock = stocks.spiking()
    structure = describe(stock)
    soft = dataclasses.replace(
        structure,
        layers=tuple(dataclasses.replace(x, soft_reset=True) for x in structure.layers),
    )
    assert not any(layer.built_reset for layer in structure.layers)
    assert all(layer.built_reset for layer in soft.layers)
    report = fit(stock, chip="loihi1")
    assert report.fits
    assert sum(x.compartments for x in report.layers) == sum(
        x.neurons for x in report.layers
    )
    # 6 x 7 x 2 inputs reach the strided convolution as spikes of the host.
    axons = {x.name: {u.resource: u.used for u in x.uses} for x in report.layers}
    wide = stock.layers[1]
    sources = wide.connections[0].synapse.weight.shape[1]
    assert axons["wide"]["input axons"] == sources
    assert axons["conv"]["input axons"] > 0
    assert axons["conv"]["synapse words"] > 0


def test_sigma_delta_does_not_fit_loihi_1():
    report = fit(stocks.sigma_delta(), chip="loihi1")
    stock = stocks.sigma_delta()
    graded = [x.name for x in stock.layers]
    assert report.errors == tuple(
        f"layer '{name}': payload bits 24 found, 1..1 allowed; spikes are binary: "
        "sigma-delta neurons need a Loihi 2"
        for name in graded
    )
    assert isinstance(stock.layers[-1].compartment, Sigma)


def test_the_threshold_that_stands_for_never():
    stock = stocks.spiking()
    last = stock.layers[-1]
    neuron = dataclasses.replace(last.compartment, vth_mant=131072)
    last = dataclasses.replace(last, compartment=neuron)
    stock = dataclasses.replace(stock, layers=(*stock.layers[:-1], last))
    report = fit(stock, chip="loihi2")
    assert report.fits
    assert any(
        "layer 'out': threshold 131072 found, 0..131071 allowed" in line
        for line in report.warnings
    )


def test_delays_are_checked_and_named():
    stock = stocks.spiking(delayed=True)
    checks = fit(stock, chip="loihi1").checks
    delay = [c for c in checks if c.quantity == "delay" and "'wide' <-" in c.place]
    assert [c.found for c in delay] == ["5"]
    lines = {x.name: x.extrapolated for x in fit(stock, chip="loihi1").layers}
    assert lines["wide"] == (
        "delayed dense layer (compartments x delay range taken as constant)",
    )
    assert fit(stock, chip="loihi2").layers[1].extrapolated == ()


def test_mappings_are_not_for_stock_neurons():
    with pytest.raises(
        NetworkError, match="mapping 'parallel-if': a stock neuron is one compartment"
    ):
        fit(stocks.spiking(), chip="loihi2", mapping="parallel-if")


def test_notes_say_what_the_host_does():
    frames = fit(stocks.spiking(), chip="loihi2").notes
    assert "84 values at each of 12 steps" in frames[1]
    biases = fit(stocks.spiking(injected=True), chip="loihi1").notes
    assert "the host writes 84 biases before each run" in biases[1]
    assert "population axons would take fewer" in biases[2]
