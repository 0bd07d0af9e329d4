# SPDX-License-Identifier: BSD-3-Clause
"""Three mappings of one neuron: the theorem, and whole networks on every backend.

docs/mappings.md has the proof that is tried out here.
"""

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from export.compartment import MTIF, Accumulator, Bias
from export.errors import NetworkError, RangeError
from export.lowering import lower
from export.mapped import mapped
from export.mapping import MAPPINGS, Mapping, mapping_named
from export.network import Connection, Input, Layer, Network
from export.netx import read_network, write_network
from export.synapse import Conv
from loihi_unet.conversion.convert import convert
from sim.backend import OverflowLayerError, create
from sim.reference import simulator as reference
from sim.reference import synapse
from sim.reference.simulator import mtif_step, parallel_if_step
from sim.selftest import small_network
from sim.verify.comparison import compare

OTHERS = ("parallel-if", "binary-if")


# The theorem. Currents reach far beyond K * theta, so that clipping happens, and
# far below zero, so that negative drive has to be worked off.


def parallel(count):
    return Mapping(name="parallel-if", num_thresholds=count)


@st.composite
def drives(draw):
    count = draw(st.integers(1, 6))
    theta = draw(st.integers(1, parallel(count).largest_base))
    reach = 3 * theta << count
    current = st.one_of(
        st.integers(-reach, reach),
        st.sampled_from([-theta, -1, 0, 1, theta - 1, theta, (theta << count) - theta]),
    )
    windows = draw(st.lists(st.lists(current, max_size=9), min_size=1, max_size=3))
    return count, theta, windows


@given(drives())
@example((4, 1, [[15, 16, 14, -40, 100]]))
@example((1, 7, [[7, 7, 6, 1]]))
def test_as_many_parallel_compartments_fire_as_the_payload_says(drive):
    count, theta, windows = drive
    copies = 2**count - 1
    for currents in windows:  # every window starts from the staggered potentials
        v = np.array([0])
        potentials = np.arange(copies) * theta
        for current in currents:
            v, payload = mtif_step(v + current, np.array([theta]), count)
            potentials, spikes = parallel_if_step(
                potentials + current, np.array(theta), copies
            )
            assert set(spikes.tolist()) <= {0, 1}
            assert spikes.sum() == payload[0]
            # The invariant of the proof.
            assert sorted(potentials - v[0]) == list(np.arange(copies) * theta)


def two_compartments(v, pending, current, threshold):
    """NxTF's soft reset on Loihi 1: dendrite, soma, and a synapse back.

    The soma fires where the dendrite's potential is above its threshold (a chip
    compares with `>`); the recurrent synapse takes a time step to subtract.
    """
    v = v + current + pending
    spikes = (v > threshold - 1).astype(np.int64)
    return v, -threshold * spikes, spikes


@given(drives())
def test_two_compartments_on_loihi_1_spike_as_a_soft_reset_does(drive):
    count, theta, windows = drive
    copies = 2**count - 1
    threshold = copies * theta
    for currents in windows:
        v = expected = np.arange(copies) * theta
        pending = np.zeros_like(v)  # cleared with v, see the next test
        for current in currents:
            v, pending, spikes = two_compartments(v, pending, current, threshold)
            expected, same = parallel_if_step(
                expected + current, np.array(theta), copies
            )
            np.testing.assert_array_equal(spikes, same)
            np.testing.assert_array_equal(v + pending, expected)


def test_a_reset_that_arrives_in_the_next_window_is_an_error():
    """So a window starts with no reset on its way: cleared, or after an empty step."""
    start, threshold = np.zeros(1, dtype=np.int64), 10
    _, pending, spikes = two_compartments(start, 0, 12, threshold)
    assert spikes.sum() == 1
    _, _, late = two_compartments(start, pending, 12, threshold)
    _, _, right = two_compartments(start, 0, 12, threshold)
    assert (late.sum(), right.sum()) == (0, 1)


def test_without_the_stagger_the_sum_is_wrong():
    """Potentials that all start at 0 fire together: 15 spikes, then 15 of silence."""
    potentials = np.zeros(15, dtype=np.int64)
    totals = []
    for _ in range(15):
        potentials, spikes = parallel_if_step(potentials + 10, np.array(10), 15)
        totals.append(int(spikes.sum()))
    assert totals == [0] * 14 + [15]


@given(st.integers(0, 2**32 - 1), st.integers(0, 4))
def test_binary_outputs_through_shifted_synapses_give_the_same_sums(seed, exponent):
    rng = np.random.default_rng(seed)
    kernel = Conv(weight=2 * rng.integers(-128, 128, (3, 2, 3, 3)), padding=(1, 1))
    payload = rng.integers(0, 16, (2, 5, 4))
    planes = [
        synapse.apply(kernel, payload >> i & 1) << (exponent + i) for i in range(4)
    ]
    np.testing.assert_array_equal(
        sum(planes), synapse.apply(kernel, payload) << exponent
    )
    copies = [synapse.apply(kernel, (payload > k).astype(int)) for k in range(15)]
    np.testing.assert_array_equal(sum(copies), synapse.apply(kernel, payload))


# Whole networks.


def run(backend, network, images):
    return create(backend).run(network, images)


def assert_same_integers(left, right):
    """As `compare`, for recordings of two mappings: networks of two hashes."""
    assert left.payloads.keys() == right.payloads.keys()
    for name, payload in left.payloads.items():
        np.testing.assert_array_equal(payload, right.payloads[name], err_msg=name)
    np.testing.assert_array_equal(left.output, right.output)


def mappable_network(**arguments):
    """A small network whose thresholds leave room for 15 times theirs."""
    network = small_network(**arguments)
    first, *rest = network.layers
    compartment = dataclasses.replace(first.compartment, vth_mant=np.array([8500]))
    first = dataclasses.replace(first, compartment=compartment)
    return dataclasses.replace(network, layers=(first, *rest))


@pytest.mark.parametrize("mapping", OTHERS)
@pytest.mark.parametrize(
    "backend",
    [
        "reference",
        "torch",
        pytest.param("cuda", marks=pytest.mark.cuda),
        pytest.param("lava", marks=pytest.mark.lava),
        pytest.param("lava-stock", marks=pytest.mark.lava),
    ],
)
def test_a_stream_through_every_backend(backend, mapping):
    network = mappable_network(size=(4, 6), num_steps=5)
    images = np.random.default_rng(3).integers(-256, 511, (3, 1, 4, 6))
    expected = run("reference", network, images)
    assert all(payload.any() for payload in expected.payloads.values())
    assert any((payload == 15).any() for payload in expected.payloads.values())
    assert_same_integers(run(backend, mapped(network, mapping), images), expected)


def test_the_judge_sends_every_binary_output_through_its_own_exponent(monkeypatch):
    """N arrivals of zeros and ones a connection and step, none of a payload."""
    network = mapped(mappable_network(size=(4, 6), num_steps=3), "binary-if")
    images = np.random.default_rng(3).integers(-256, 511, (1, 1, 4, 6))
    synapses = {
        c.synapse: c.source for layer in network.layers for c in layer.connections
    }
    seen = {source: [] for source in synapses.values()}
    apply = synapse.apply

    def counting(kind, payload):
        seen[synapses[kind]].append(payload)
        return apply(kind, payload)

    monkeypatch.setattr(synapse, "apply", counting)
    recording = run("reference", network, images)
    readers = [c.source for layer in network.layers for c in layer.connections]
    for source, arrived in seen.items():
        if source == "input":
            continue
        assert len(arrived) == network.num_steps * 4 * readers.count(source)
        assert set(np.unique(arrived)) == {0, 1}
        # Spikes of the single outputs: ones in the recorded payloads, for each reader.
        payload = recording.payloads[source]
        ones = sum(int((payload >> i & 1).sum()) for i in range(4))
        assert np.sum(arrived) == ones * readers.count(source)


@pytest.mark.parametrize("wrong", [0, 1])
def test_a_wrong_exponent_of_an_output_is_seen(wrong, monkeypatch):
    network = mapped(mappable_network(size=(4, 6), num_steps=3), "binary-if")
    images = np.random.default_rng(3).integers(-256, 511, (1, 1, 4, 6))
    right = run("reference", network, images)
    step = reference.binary_if_step

    def swapped(v, vth, count):
        v, planes = step(v, vth, count)
        return v, planes[[wrong, 1 - wrong, *range(2, count)]]

    monkeypatch.setattr(reference, "binary_if_step", swapped)
    assert compare(right, run("reference", network, images)).identical is (wrong == 0)


@pytest.fixture(scope="module")
def snn(tmp_path_factory):
    return convert("denoise-gray", tmp_path_factory.mktemp("snn") / "s.safetensors")


@pytest.fixture(scope="module")
def crops():
    from loihi_unet.data.pictures import load_pictures
    from loihi_unet.tasks.denoise import noisy_picture

    picture = next(p for p in load_pictures(None, 1) if p.name == "camera.png")
    noisy = noisy_picture(picture, 0, sigma=25, seed=0).astype(np.int32)
    return np.stack([noisy[:, 100:116, x : x + 16] for x in (200, 232)])


@pytest.mark.lava
@pytest.mark.parametrize("mapping", MAPPINGS)
def test_shipped_model_is_exact_in_lava(snn, crops, mapping):
    network = lower(snn, 16, 16, mapping=mapping)
    left = run("torch", network, crops)
    assert compare(left, run("lava", network, crops)).identical
    graded = run("torch", mapped(network, "graded"), crops)
    assert_same_integers(left, graded)
    assert len(left.payloads) == 26


def test_lowering_makes_thresholds_and_exponents_fit(snn):
    graded = lower(snn, 32, 32)
    limit = {"graded": 131071, "parallel-if": 131071 // 15, "binary-if": 131071 // 8}
    for mapping in MAPPINGS:
        network = lower(snn, 32, 32, mapping=mapping)
        compartments = [layer.compartment for layer in network.layers[:-1]]
        assert {c.mapping for c in compartments} == {mapping}
        assert network.provenance["export"]["mapping"] == mapping
        assert {c.on_chip.highest_threshold for c in compartments} == {
            {"graded": 8, "parallel-if": 15, "binary-if": 8}[mapping]
        }
        if mapping != "graded":
            highest = [c.on_chip.highest_threshold * c.vth_mant for c in compartments]
            assert np.max(highest) <= 131071
        lowered = {
            before.name: int(after.compartment.vth_mant[0])
            for before, after in zip(graded.layers, network.layers, strict=True)
            if before.magnitude and before.compartment.vth_mant.max() > limit[mapping]
        }
        expected = {"enc0.conv1": limit[mapping]}
        assert lowered == ({} if mapping == "graded" else expected)
    # With 8 thresholds these bind: 255 * theta, and no exponent is left for planes.
    wide = dataclasses.replace(snn, num_thresholds=8)
    parallel = lower(wide, 32, 32, mapping="parallel-if")
    thetas = [int(x.compartment.vth_mant[0]) for x in parallel.layers[:-1]]
    assert max(thetas) == 131071 // 255
    assert max(int(x.compartment.vth_mant[0]) for x in graded.layers[:-1]) > 514
    planes = lower(wide, 32, 32, mapping="binary-if")
    inner = [c for x in planes.layers for c in x.connections if c.source != "input"]
    assert {c.weight_exp for c in inner} == {0}


# Limits and names.


def neuron(mapping, vth=10, count=4):
    return MTIF(
        vth_mant=np.array([vth]),
        num_thresholds=count,
        bias=Bias(mant=np.array([0])),
        mapping=mapping,
    )


def test_limits_of_the_threshold():
    assert neuron("parallel-if", 131071 // 15).copies == 15
    assert neuron("binary-if", 131071 // 8).planes == 4
    assert neuron("graded", 131071).copies == neuron("graded").planes == 1
    with pytest.raises(
        RangeError,
        match=r"vth_mant: 9000 found, parallel-if multiplies it by 15 and 1..131071 "
        r"is allowed; lower it by 262 to 8738",
    ):
        neuron("parallel-if", 9000)
    with pytest.raises(
        RangeError,
        match=r"vth_mant: 16384 found, binary-if multiplies it by 8 and 1..131071 "
        r"is allowed; lower it by 1 to 16383",
    ):
        neuron("binary-if", 16384)
    with pytest.raises(RangeError, match="layer 'down': vth_mant: 9000 found"):
        mapped(small_network(num_thresholds=4), "parallel-if")


def test_unknown_mapping():
    with pytest.raises(
        NetworkError, match="mapping 'best': graded, parallel-if, binary-if are allowed"
    ):
        mapping_named("best")
    with pytest.raises(NetworkError, match="mapping 'best'"):
        neuron("best")


def one_pixel(mapping, weight_exp, vth=1000):
    """Input -> neuron -> accumulator, one pixel each."""

    def layer(name, source, compartment, exponent):
        kernel = Conv(weight=np.full((1, 1, 1, 1), 2))
        connection = Connection(source=source, synapse=kernel, weight_exp=exponent)
        return Layer(
            name=name,
            shape=(1, 1, 1),
            connections=(connection,),
            compartment=compartment,
            scale=1.0,
        )

    return Network(
        input=Input(shape=(1, 1, 1), minimum=0, maximum=2**22, scale=1.0),
        layers=(
            layer("first", "input", neuron(mapping, vth), 0),
            layer(
                "out", "first", Accumulator(bias=Bias(mant=np.array([0]))), weight_exp
            ),
        ),
        num_steps=2,
        task="test",
    )


def test_planes_need_exponents():
    one_pixel("binary-if", 4)
    with pytest.raises(
        RangeError,
        match=r"layer 'out' <- 'first': weight_exp 5 found, output 3 of binary-if "
        "takes 8, outside 0..7",
    ):
        one_pixel("binary-if", 5)
    one_pixel("graded", 7)


@pytest.mark.parametrize(
    "backend",
    ["reference", "torch", pytest.param("lava", marks=pytest.mark.lava)],
)
def test_the_highest_compartment_overflows_first(backend):
    """v + 14 * theta must fit 24 bits too: the mapping costs that headroom."""
    image = np.full((1, 1, 1, 1), 2**22 - 1)
    graded, parallel = one_pixel("graded", 0, 8000), one_pixel("parallel-if", 0, 8000)
    run(backend, dataclasses.replace(graded, num_steps=1), image)
    with pytest.raises(
        OverflowLayerError,
        match=f"layer 'first', step 0: potential {2**23 - 2 + 14 * 8000} outside",
    ):
        run(backend, parallel, image)


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_file_keeps_the_mapping_and_the_hash_of_graded_networks(tmp_path, mapping):
    network = mappable_network()
    write_network(mapped(network, mapping), tmp_path / "n.net")
    read = read_network(tmp_path / "n.net")
    assert {x.compartment.mapping for x in read.layers[:-1]} == {mapping}
    assert (read.sha256 == network.sha256) is (mapping == "graded")
