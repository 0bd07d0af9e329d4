# SPDX-License-Identifier: BSD-3-Clause
"""The verdict, that it can fail, and the recording's file."""

import dataclasses

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from strategies import runs

from sim.backend import OverflowLayerError, create
from sim.recording import RecordingError
from sim.recording_file import read_recording, recording_writer, write_recording
from sim.selftest import small_network
from sim.streaming import stream
from sim.verify.comparison import OUTPUT, compare, merge

IMAGES = np.random.default_rng(3).integers(-256, 512, (2, 1, 8, 12))


@pytest.fixture(scope="module")
def network():
    return small_network(size=(8, 12))


@pytest.fixture(scope="module")
def recording(network):
    return create("torch").run(network, IMAGES)


def corrupt(network, layer_name, change):
    """A backend that got one number wrong although its contract is right."""
    broken = small_network(size=(8, 12))
    # The hash is cached here: only the integers can give the fault away.
    assert broken.sha256 == network.sha256
    (layer,) = [x for x in broken.layers if x.name == layer_name]
    change(layer)
    return broken


def flip_weight(layer):
    synapse = layer.connections[0].synapse
    weight = synapse.weight.copy()
    weight[0, 0, 1, 1] ^= 64
    object.__setattr__(synapse, "weight", weight)


def raise_threshold(layer):
    vth = layer.compartment.vth_mant + 1
    object.__setattr__(layer.compartment, "vth_mant", vth)


def shorten_delay(layer):
    object.__setattr__(layer.connections[0], "delay", layer.connections[0].delay - 1)


@pytest.mark.parametrize(
    ("layer", "change"),
    [("mid", flip_weight), ("up", raise_threshold), ("join", shorten_delay)],
)
@pytest.mark.parametrize(
    "backend", ["reference", pytest.param("lava", marks=pytest.mark.lava)]
)
def test_one_wrong_number_fails(network, recording, layer, change, backend):
    broken = corrupt(network, layer, change)
    comparison = compare(recording, create(backend).run(broken, IMAGES))
    assert comparison.same_network
    assert not comparison.identical
    bad = [x.name for x in comparison.layers if x.mismatches]
    assert bad[0] == layer
    first = comparison.layers[[x.name for x in comparison.layers].index(layer)].first
    at = (first.image, first.step, first.c, first.y, first.x)
    assert first.left == recording.payloads[layer][at]
    assert first.left != first.right


def test_first_mismatch_and_counts(recording):
    payloads = dict(recording.payloads)
    payloads["mid"] = payloads["mid"].copy()
    payloads["mid"][1, 2, 3, 1, 2] += 1
    payloads["mid"][1, 2, 3, 1, 4] += 1
    other = dataclasses.replace(recording, payloads=payloads, backend="chip")
    comparison = compare(recording, other)
    layer = comparison.layers[2]
    assert (layer.name, layer.mismatches) == ("mid", 2)
    first = layer.first
    assert (first.image, first.step, first.c, first.y, first.x) == (1, 2, 3, 1, 2)
    assert first.right == first.left + 1
    assert comparison.mismatches == 2
    assert comparison.to_json()["identical"] is False
    values = sum(p.size for p in recording.payloads.values()) + recording.output.size
    assert comparison.compared == values


def test_output_alone(recording):
    left = dataclasses.replace(recording, payloads={})
    output = recording.output.copy()
    output[0, 0, 2, 1] -= 1
    comparison = compare(left, dataclasses.replace(recording, output=output))
    assert [x.name for x in comparison.layers] == [OUTPUT]
    assert comparison.layers[0].first.step == recording.num_steps - 1
    assert not comparison.identical


def test_subset_of_steps(recording):
    payloads = {"up": recording.payloads["up"][:, [0, 2]]}
    some = dataclasses.replace(recording, steps=(0, 2), payloads=payloads, output=None)
    comparison = compare(recording, some)
    assert (comparison.steps, comparison.verdict) == (2, "PARTIAL")
    assert "step 1" in comparison.not_compared
    payloads["up"] = payloads["up"].copy()
    payloads["up"][0, 1, 0, 0, 0] += 1
    some = dataclasses.replace(recording, steps=(0, 2), payloads=payloads, output=None)
    assert compare(recording, some).layers[0].first.step == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": (0, 3)}, r"steps: \(0, 3\) found, ascending steps within 0..2"),
        ({"steps": (1, 0, 2)}, "ascending steps"),
        ({"images": np.zeros((2, 8, 12), int)}, r"\(images, C, H, W\) or"),
        ({"images": np.zeros((2, 0, 8, 12), int)}, "pixels needed"),
        ({"output": np.zeros((2, 8, 12), int)}, r"output: shape .*\(2, C, H, W\)"),
        ({"network_sha256_any_size": "x"}, "sha256: 'x' found, 64 hexadecimal"),
        ({"layers": {}}, "layers: none found"),
        ({"layers": {"down": (3, 8, 12)}}, "layer 'pool': not one of the 1 in its"),
        ({"images": np.zeros((2, 1, 8, 12))}, "images: dtype float64 found"),
        ({"payloads": {"a": np.zeros((1, 3, 1, 1, 1), int)}}, r"layer 'a': shape"),
        (
            {"payloads": {"a": np.zeros((2, 3, 1, 1, 1), np.uint64)}},
            "layer 'a': dtype uint64 found, integers up to int64 needed",
        ),
        ({"output": np.zeros((1, 1, 8, 12), int)}, "output: 1 images found, 2 needed"),
    ],
)
def test_recording_refuses(recording, changes, message):
    with pytest.raises(RecordingError, match=message):
        dataclasses.replace(recording, **changes)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs())
def test_file_round_trip(tmp_path, run):
    try:
        recording = create("torch").run(*run)
    except OverflowLayerError:
        return
    write_recording(recording, tmp_path / "r.h5")
    back = read_recording(tmp_path / "r.h5")
    assert compare(recording, back).identical
    for name in (
        *("backend", "network_sha256", "network_sha256_any_size", "num_steps"),
        *("steps", "seconds", "layers", "has_output"),
    ):
        assert getattr(back, name) == getattr(recording, name)
    assert dict(back.versions) == dict(recording.versions)
    assert back.payloads.keys() == recording.payloads.keys()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("schema", 3, "schema 3 found, 1 or 2 allowed"),
        ("steps", [0, 9, 2], "ascending steps within"),
        ("versions", "[]", "versions: not a JSON object"),
        ("versions", "{", "versions: not JSON"),
        ("images", [1.5], "images: dtype float64 found, integers needed"),
        ("images", [np.nan], "images: dtype float64 found, integers needed"),
        ("layers", "{", "layers: not JSON"),
        ("layers", "{}", r'layers: a JSON list of \["name", \[C, H, W\]\]'),
        ("layers", '[["down", [3, 8]]]', "layers: a JSON list of"),
        ("layers", "[]", "recording layers: none found"),
        ("layers", '[["a", [1, 1, 1]], ["a", [1, 1, 1]]]', "layers: 'a' found twice"),
        ("layers", '[["a", [1, 0, 1]]]', r"'a' has shape \(1, 0, 1\)"),
        ("layers", '[["a", [1, 1, 1]]]', "layer 'down': not one of the 1 in its list"),
        ("networkSha256", "5e65b2af4e04", "'5e65b2af4e04' found, 64 hexadecimal"),
    ],
)
def test_bad_file_is_one_line(tmp_path, recording, key, value, message):
    path = tmp_path / "r.h5"
    write_recording(recording, path)
    with h5py.File(path, "a") as file:
        del file[key]
        file[key] = value
    with pytest.raises(RecordingError, match=message) as caught:
        read_recording(path)
    assert str(caught.value).startswith(str(path))


def test_a_recording_written_in_parts_is_the_whole(tmp_path):
    network = small_network()
    images = np.random.default_rng(0).integers(0, 256, (5, 1, 8, 8))
    whole = create("reference").run(network, images)
    with recording_writer(tmp_path / "parts.h5") as writer:
        for part in stream(network, images, backend="reference", batch=2, layers=None):
            writer.append(part)
    assert compare(read_recording(tmp_path / "parts.h5"), whole).identical


def test_parts_of_different_sizes(tmp_path):
    parts = [
        create("torch").run(small_network(size=size), np.zeros((1, 1, *size)))
        for size in ((8, 8), (8, 12))
    ]
    message = r"images: shape \(1, 8, 12\) of one image found, \(1, 8, 8\) before"
    with recording_writer(tmp_path / "parts.h5") as writer:
        writer.append(parts[0])
        with pytest.raises(RecordingError, match=message):
            writer.append(parts[1])
    assert read_recording(tmp_path / "parts.h5").images.shape == (1, 1, 8, 8)


def test_a_recording_that_failed_does_not_appear(tmp_path):
    with (
        pytest.raises(ZeroDivisionError, match="division"),
        recording_writer(tmp_path / "r.h5"),
    ):
        1 / 0  # noqa: B018
    assert list(tmp_path.iterdir()) == []


def test_an_error_inside_is_not_the_files(tmp_path):
    """An OSError of a backend must not say that the recording cannot be written."""
    with (
        pytest.raises(OSError, match="too many open files"),
        recording_writer(tmp_path / "r.h5"),
    ):
        raise OSError("too many open files")
    assert list(tmp_path.iterdir()) == []


def test_merging_counts_images_through():
    network = small_network()
    images = np.random.default_rng(0).integers(0, 256, (5, 1, 8, 8))
    left = create("reference").run(network, images)
    output = left.output.copy()
    output[3, 0, 2, 1] += 1
    right = dataclasses.replace(left, output=output)
    parts = [
        compare(*(_part(side, start, stop) for side in (left, right)))
        for start, stop in ((0, 1), (1, 3), (3, 5))
    ]
    assert merge(parts) == compare(left, right)


def _part(recording, start, stop):
    return dataclasses.replace(
        recording,
        images=recording.images[start:stop],
        payloads={n: p[start:stop] for n, p in recording.payloads.items()},
        output=recording.output[start:stop],
    )
