# SPDX-License-Identifier: BSD-3-Clause
"""The counter against plain Python, and against what a changed weight changes."""

import contextlib
import dataclasses
import inspect
import types

import coverage_oracle
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from strategies import runs

import sim.coverage.counter
import sim.coverage.taps
from export.compartment import MTIF, Accumulator, Bias
from export.mapping import MAPPINGS
from export.network import Connection, Input, Layer, Network
from export.synapse import AveragePool, Conv, ConvTranspose
from sim.backend import OverflowLayerError, create
from sim.coverage.counter import Coverage, together
from sim.coverage.report import Share
from sim.coverage.taps import meeting, met_taps, tap_shape
from sim.recording import RecordingError
from sim.selftest import small_network

QUICK = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def counted(network, images, met=met_taps):
    """The counter's report, with the taps found by ``met``."""
    coverage = Coverage(network)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sim.coverage.counter, "met_taps", met)
        coverage.add(network, create("reference").run(network, images))
    return coverage.report(network)


def by_hand(network, images):
    """The oracle's counts in the report's form."""
    met, fired, near = coverage_oracle.count(network, images)
    weights = {layer.name: 0 for layer in network.layers}
    for name, _, _ in met:
        weights[name] += 1
    thresholds = {}
    for layer in network.layers:
        c = layer.compartment
        each = isinstance(c, MTIF) and len(c.vth_mant) > 1
        heard = len(near[layer.name]) if each else min(1, len(near[layer.name]))
        thresholds[layer.name] = heard if isinstance(c, MTIF) else 0
    return weights, {n: len(c) for n, c in near.items()}, thresholds, fired


def agrees(network, images, met=met_taps):
    report = counted(network, images, met)
    weights, near, thresholds, fired = by_hand(network, images)
    sources = {c.source for layer in network.layers for c in layer.connections}
    silent = {
        name: tuple(c for c in range(node.shape[0]) if c not in fired[name])
        for name, node in network.nodes.items()
        if name in sources and len(fired[name]) < node.shape[0]
    }
    return (
        {x.name: x.weights.met for x in report.layers} == weights
        and {x.name: x.biases.met for x in report.layers} == near
        and {x.name: x.thresholds.met for x in report.layers} == thresholds
        and {x.source: x.channels for x in report.silent} == silent
    )


@QUICK
@given(runs())
def test_counts_are_those_of_plain_python(run):
    network, images = run
    with contextlib.suppress(OverflowLayerError):  # then nothing was recorded
        assert agrees(network, images)


def layer(name, shape, connections, vth=8, mapping="graded"):
    compartment = MTIF(
        vth_mant=np.full(shape[0], vth),
        num_thresholds=3,
        bias=Bias(mant=np.zeros(shape[0], dtype=int)),
        mapping=mapping,
    )
    return Layer(
        name=name,
        shape=shape,
        connections=tuple(connections),
        compartment=compartment,
        scale=1.0,
    )


def one_layer(synapse, shape):
    source = Input(shape=shape, minimum=0, maximum=15, scale=1.0)
    found = layer(
        "layer",
        synapse.output_shape(shape),
        [Connection(source="input", synapse=synapse)],
    )
    return Network(input=source, layers=(found,), num_steps=2, task="test")


def ones(*shape):
    return np.full(shape, 2)


#: Geometries in which each part of the counter decides something.
SYNAPSES = {
    "border": (Conv(weight=ones(2, 1, 3, 3), padding=(1, 1)), (1, 4, 5)),
    "wide border": (Conv(weight=ones(1, 1, 3, 2), padding=(3, 2)), (1, 2, 3)),
    # Taps of the first and of the last row read the padding alone.
    "one row": (Conv(weight=ones(1, 1, 3, 2), padding=(1, 1)), (1, 1, 3)),
    "no border": (Conv(weight=ones(1, 2, 2, 3)), (2, 4, 4)),
    "stride": (Conv(weight=ones(2, 1, 1, 2), stride=(2, 3)), (1, 5, 7)),
    "dilation": (Conv(weight=ones(1, 1, 3, 2), dilation=(2, 3)), (1, 6, 5)),
    "groups": (Conv(weight=ones(4, 2, 2, 1), groups=2), (4, 3, 3)),
    "transposed": (ConvTranspose(weight=ones(2, 3, 3, 3)), (2, 3, 2)),
    "transposed, uneven": (
        ConvTranspose(
            weight=ones(1, 2, 3, 2),
            stride=(1, 2),
            padding=(1, 0),
            output_padding=(0, 1),
        ),
        (1, 3, 3),
    ),
    "transposed, cut": (
        ConvTranspose(weight=ones(1, 1, 3, 3), padding=(2, 2), output_padding=(0, 0)),
        (1, 3, 3),
    ),
    "pool": (AveragePool(channels=2, kernel_size=(2, 1)), (2, 4, 3)),
}


def single_pixels(shape):
    """Pictures with one lit pixel each, and a black one."""
    lit = np.eye(int(np.prod(shape)), dtype=int).reshape(-1, *shape)
    return [np.zeros((1, *shape), dtype=int), *(picture[None] for picture in lit)]


@pytest.mark.parametrize("name", SYNAPSES)
def test_every_pixel_of_every_geometry(name):
    synapse, shape = SYNAPSES[name]
    network = one_layer(synapse, shape)
    assert all(agrees(network, picture) for picture in single_pixels(shape))


@pytest.mark.parametrize("name", SYNAPSES)
def test_places_at_which_a_tap_is_met(name):
    """Against the counter: a channel that fires at one pixel meets it there, or not."""
    synapse, shape = SYNAPSES[name]
    if isinstance(synapse, AveragePool):
        return
    taps = tap_shape(synapse, shape).taps[1:]
    for tap in np.ndindex(*taps):
        wanted = np.zeros(taps, dtype=np.bool_)
        wanted[tap] = True
        places = meeting(synapse, shape, wanted)
        for pixel in np.ndindex(*shape[1:]):
            first = np.full(shape, 9)
            first[(0, *pixel)] = 0
            assert places[pixel] == met_taps(synapse, first, 1)[(0, *tap)]


#: Bugs: what stands in `sim.coverage.taps`, and what is planted instead.
BUGS = {
    "padding ignored": ("dilation[axis] - conv.padding[axis]", "dilation[axis]"),
    "padding counted as read": (
        "[p[(p >= 0) & (p < size)] for p in positions]",
        "[p.clip(0, size - 1) for p in positions]",
    ),
    "padding read from the other side": ("(p >= 0) & (p < size)", "p < size"),
    "off by one at the far border": ("(p < size)", "(p < size - 1)"),
    "off by one at the near border": ("(p >= 0)", "(p > 0)"),
    "stride ignored": ("outputs * conv.stride[axis]", "outputs"),
    "dilation ignored": ("tap * conv.dilation[axis]", "tap"),
    "axes swapped": ("met[:, ky, kx] =", "met[:, kx % len(rows), ky % len(columns)] ="),
    "any channel": ("line[:, across].any(axis=1)", "line[:, across].any()"),
    "transposed: mirrored": (
        "+ tap - conv.padding[axis]",
        "- tap + conv.padding[axis]",
    ),
    "transposed: not cut": ("[(to >= 0) & (to < size)]", "[to >= 0]"),
    "transposed: stride ignored": ("positions * conv.stride[axis]", "positions"),
    "pool counts by the first channel": ("fired.any()", "fired[0].any()"),
    "groups ignored": ("len(weight) // groups", "len(weight)"),
    "silence counts": ("fired = first < steps", "fired = first <= steps"),
}


def planted(old, new):
    """`sim.coverage.taps` with a bug."""
    source = inspect.getsource(sim.coverage.taps)
    assert source.count(old) == 1
    module = types.ModuleType(sim.coverage.taps.__name__)
    # Dataclasses look their module up by name, and find the sound one: same fields.
    exec(compile(source.replace(old, new), "planted", "exec"), module.__dict__)
    return module


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug, monkeypatch):
    broken = planted(*BUGS[bug])
    monkeypatch.setattr(sim.coverage.counter, "tap_shape", broken.tap_shape)
    found = False
    for synapse, shape in SYNAPSES.values():
        network = one_layer(synapse, shape)
        for picture in single_pixels(shape):
            found = found or not agrees(network, picture, broken.met_taps)
    assert found


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_mappings_count_alike(mapping):
    images = np.random.default_rng(2).integers(-256, 512, (1, 1, 2, 4))
    plain = small_network(size=(2, 4), num_thresholds=2)
    mapped = dataclasses.replace(
        plain,
        layers=tuple(
            dataclasses.replace(
                x, compartment=dataclasses.replace(x.compartment, mapping=mapping)
            )
            if isinstance(x.compartment, MTIF)
            else x
            for x in plain.layers
        ),
    )
    assert counted(mapped, images) == counted(plain, images)
    assert agrees(mapped, images)


def test_a_weight_that_met_nothing_changes_nothing():
    network = small_network(size=(2, 2))
    images = np.random.default_rng(0).integers(-256, 512, (1, 1, 2, 2))
    backend = create("reference")
    right = backend.run(network, images)
    met, _, _ = coverage_oracle.count(network, images)
    left_out = 0
    for x in network.layers:
        for number, c in enumerate(x.connections):
            if isinstance(c.synapse, AveragePool):
                continue
            unmet = [
                i
                for i in np.ndindex(c.synapse.weight.shape)
                if (x.name, number, i) not in met
            ]
            left_out += len(unmet)
            weight = c.synapse.weight.copy()
            for index in unmet:
                weight[index] = -256
            found = backend.run(changed(network, x, number, weight), images)
            assert np.array_equal(found.output, right.output)
            for name, payload in right.payloads.items():
                assert np.array_equal(found.payloads[name], payload)
    report = counted(network, images).weights
    assert left_out == report.total - report.met > 0


def changed(network, where, number, weight):
    """A network with other weights in one connection."""
    connections = list(where.connections)
    synapse = dataclasses.replace(connections[number].synapse, weight=weight)
    connections[number] = dataclasses.replace(connections[number], synapse=synapse)
    new = dataclasses.replace(where, connections=tuple(connections))
    layers = tuple(new if x is where else x for x in network.layers)
    return dataclasses.replace(network, layers=layers)


def test_came_within_one_threshold():
    source = Input(shape=(1, 1, 1), minimum=-3, maximum=3, scale=1.0)
    found = layer(
        "layer",
        (3, 1, 1),
        [
            Connection(
                source="input",
                synapse=Conv(weight=np.array([[2], [-2], [254]]).reshape(3, 1, 1, 1)),
            )
        ],
        vth=100,
    )
    out = Layer(
        name="out",
        shape=(1, 1, 1),
        connections=(
            Connection(source="layer", synapse=Conv(weight=ones(1, 3, 1, 1))),
        ),
        compartment=Accumulator(bias=Bias(mant=np.array([0]))),
        scale=1.0,
    )
    network = Network(input=source, layers=(found, out), num_steps=2, task="test")
    report = counted(network, np.full((1, 1, 1, 1), 1))
    first, last = report.layers
    assert first.weights == Share(met=3, total=3)
    # One channel fires, one rises without firing, and one falls.
    assert first.biases == first.thresholds == Share(met=2, total=3)
    assert last.weights == Share(met=1, total=3)
    assert (last.biases, last.thresholds) == (
        Share(met=1, total=1),
        Share(met=0, total=0),
    )
    (silent,) = report.silent
    assert (silent.source, silent.channels, silent.weights) == ("layer", (0, 1), 2)
    assert report.weights_of_firing == Share(met=4, total=4)


def test_what_reads_the_padding_alone_is_out_of_reach():
    synapse, _ = SYNAPSES["border"]
    network = one_layer(synapse, (1, 1, 1))
    lit = np.ones((1, 1, 1, 1), dtype=int)
    found = counted(network, lit)
    # Of nine taps, two channels read one; the others find the padding.
    assert (found.weights, found.out_of_reach) == (Share(met=2, total=18), 16)
    assert found.weights_of_firing == Share(met=2, total=2)
    black = counted(network, 0 * lit)
    assert (black.weights.met, black.out_of_reach) == (0, 0)  # listed as silent
    assert black.silent[0].weights == 18
    wide = network.resized(3, 3)
    more = np.zeros((1, 1, 3, 3), dtype=int)
    more[..., 0, 0] = 1
    parts = [Coverage(x) for x in (network, wide)]
    backend = create("reference")
    parts[0].add(network, backend.run(network, lit))
    parts[1].add(wide, backend.run(wide, more))
    both = together(parts).report(network)
    assert (both.weights, both.out_of_reach) == (Share(met=8, total=18), 0)


def test_parts_of_several_sizes_together():
    network = small_network()
    rng = np.random.default_rng(1)
    parts, images = [], []
    for size in ((2, 2), (4, 2), (2, 6)):
        sized = network.resized(*size)
        part = Coverage(sized)
        picture = rng.integers(-256, 512, (1, 1, *size))
        part.add(sized, create("reference").run(sized, picture))
        parts.append(part)
        images.append(part.report(sized).weights.met)
    found = together(parts).report(network)
    assert found.images == 3
    assert max(images) <= found.weights.met <= found.weights.total


def test_what_was_not_recorded_is_not_counted():
    network = small_network()
    images = np.zeros((1, 1, 8, 8), dtype=int)
    recording = create("torch").run(network, images, layers=("down",))
    with pytest.raises(RecordingError, match="layer 'pool' was not recorded"):
        Coverage(network).add(network, recording)


def test_a_share_is_never_rounded_up():
    assert str(Share(met=9999, total=10000)) == "9,999 of 10,000 (99.9 %)"
    assert str(Share(met=0, total=0)) == "0 of 0 (100.0 %)"
