# SPDX-License-Identifier: BSD-3-Clause
"""EXACT is said of all that a network sends, and of nothing else."""

import dataclasses
import re

import h5py
import numpy as np
import pytest
import stocks

from sim.backend import create
from sim.recording import RecordingError
from sim.recording_file import read_recording, write_recording
from sim.selftest import small_network
from sim.verify.comparison import OUTPUT, compare, merge, worst

NETWORK = small_network(size=(8, 12))
IMAGES = np.random.default_rng(3).integers(-256, 512, (3, 1, 8, 12))
SPIKING = ("down", "pool", "mid", "up", "join")
NO_HASH = {"network_sha256": None, "network_sha256_any_size": None}
NO_FACTS = {**NO_HASH, "layers": None, "has_output": None}


@pytest.fixture(scope="module")
def whole():
    return create("torch").run(NETWORK, IMAGES)


def without(recording, name):
    payloads = {k: v for k, v in recording.payloads.items() if k != name}
    return dataclasses.replace(recording, payloads=payloads)


def emptied(recording, name, axis):
    """With a layer that is there and holds nothing."""
    payload = recording.payloads[name]
    shape = tuple(0 if i == axis else n for i, n in enumerate(payload.shape))
    payloads = {**recording.payloads, name: np.zeros(shape, payload.dtype)}
    return dataclasses.replace(recording, payloads=payloads)


def of_images(recording, places):
    return dataclasses.replace(
        recording,
        images=recording.images[places],
        payloads={n: p[places] for n, p in recording.payloads.items()},
        output=recording.output[places],
    )


def of_steps(recording, steps):
    return dataclasses.replace(
        recording,
        steps=tuple(steps),
        payloads={n: p[:, list(steps)] for n, p in recording.payloads.items()},
    )


def mutations(whole):
    """Everything that can be left out of a recording, and what the verdict says."""
    for name in SPIKING:
        yield f"no {name}", without(whole, name), f"layer '{name}'"
        for axis in (2, 3, 4):
            yield f"{name}, axis {axis}", emptied(whole, name, axis), f"layer '{name}'"
    for step in range(3):
        rest = [t for t in range(3) if t != step]
        yield f"no step {step}", of_steps(whole, rest), f"step {step}"
    yield "one step", of_steps(whole, [1]), "steps 0, 2"
    for image in range(3):
        rest = [i for i in range(3) if i != image]
        yield f"no image {image}", of_images(whole, rest), f"image {image} of left"
    yield "one image", of_images(whole, [1]), "images 0, 2 of left"
    yield "no output", _changed(whole, output=None), OUTPUT
    yield "empty output", _changed(whole, output=whole.output[:, :0]), OUTPUT
    yield "no hash", _changed(whole, **NO_HASH), "cannot tell whether both ran one"
    yield "no list", _changed(whole, layers=None), "cannot tell which layers"
    yield "nothing of the network", _changed(whole, **NO_FACTS), "cannot tell which"
    longer = {"more": (1, 8, 12), **whole.layers}
    yield "another in the list", _changed(whole, layers=longer), "layer 'more'"


def _changed(recording, **changes):
    return dataclasses.replace(recording, **changes)


CASES = [name for name, *_ in mutations(create("torch").run(NETWORK, IMAGES))]


@pytest.mark.parametrize("flip", [False, True], ids=["right", "left"])
@pytest.mark.parametrize("case", CASES)
def test_what_is_left_out_is_said(whole, case, flip):
    _, part, said = next(m for m in mutations(whole) if m[0] == case)
    sides = (part, whole) if flip else (whole, part)
    comparison = compare(*sides)
    assert comparison.verdict == "PARTIAL"
    assert not comparison.identical
    said = said.replace("of left", "of right") if flip else said
    assert any(text.startswith(said) for text in comparison.not_compared)
    record = comparison.to_json()
    assert (record["verdict"], record["identical"]) == ("PARTIAL", False)
    assert record["not_compared"] == comparison.not_compared


def test_the_whole_is_exact(whole):
    assert compare(whole, whole).verdict == "EXACT"
    assert compare(whole, whole).not_compared == ()
    reference = create("reference").run(NETWORK, IMAGES)
    assert compare(whole, reference, NETWORK).verdict == "EXACT"


def test_both_sides_lack_the_same(whole):
    for name, part, said in mutations(whole):
        if "image" in name or name == "another in the list":
            continue  # all the images that there are, and a list of its own
        comparison = compare(part, part)
        assert comparison.verdict == "PARTIAL", name
        assert any(text.startswith(said) for text in comparison.not_compared), name


def test_the_network_tells_what_there_is(whole):
    chip = _changed(whole, **NO_FACTS, backend="chip")
    assert compare(chip, chip, NETWORK).verdict == "EXACT"
    # The network's file may be of another size.
    assert compare(chip, whole, small_network()).verdict == "EXACT"
    for part in (without(chip, "mid"), _changed(chip, output=None)):
        assert compare(part, part, NETWORK).verdict == "PARTIAL"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network_sha256": "0" * 64}, r"sha256 .* at this image size .* recorded was"),
        ({"network_sha256_any_size": "0" * 64}, "recorded was"),
        ({**NO_FACTS, "num_steps": 4}, "T = 3, recorded was 4"),
        ({**NO_FACTS, "has_output": False}, "an output accumulator, recorded was"),
        ({**NO_HASH, "layers": dict.fromkeys(SPIKING, (1, 1, 1))}, "'out'"),
        (
            {**NO_FACTS, "payloads": {"x": np.zeros((3, 3, 1, 1, 1), int)}},
            "layer 'x': not one of the 6",
        ),
        ({**NO_FACTS, "images": np.zeros((3, 2, 8, 12), int)}, r"\(1, 8, 12\) needed"),
        ({**NO_FACTS, "images": np.zeros((3, 1, 7, 12), int)}, "layer 'pool': pool"),
    ],
)
def test_another_network_is_refused(whole, changes, message):
    with pytest.raises(RecordingError, match=message):
        compare(whole, dataclasses.replace(whole, **changes), NETWORK)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"num_steps": 4}, "another T: 3 left, 4 right"),
        ({"images": IMAGES + 1}, "other images: 3 of 3 differ"),
        ({"images": IMAGES[..., :4]}, r"other images: shapes \(3, 1, 8, 12\) left"),
        ({"network_sha256": "0" * 64}, "another network: sha256 .* right"),
        ({"network_sha256_any_size": "0" * 64}, "another network"),
        ({"payloads": {}, "output": None}, "nothing to compare"),
        (
            {"output": IMAGES[:, :, :4]},
            r"the output has another shape: \(3, 1, 8, 12\)",
        ),
    ],
)
def test_fails_for_a_reason_without_a_mismatch(whole, changes, reason):
    comparison = compare(whole, dataclasses.replace(whole, **changes))
    assert (comparison.verdict, comparison.mismatches) == ("FAIL", 0)
    (text,) = comparison.reasons
    assert re.match(reason, text)


def test_no_images_at_all(whole):
    nothing = of_images(whole, [])
    comparison = compare(nothing, nothing)
    assert (comparison.verdict, comparison.compared) == ("FAIL", 0)
    assert "nothing to compare" in comparison.reasons[0]


def test_shapes_are_the_real_ones(whole):
    payloads = {**whole.payloads, "mid": whole.payloads["mid"].transpose(0, 1, 3, 4, 2)}
    comparison = compare(whole, dataclasses.replace(whole, payloads=payloads))
    assert comparison.reasons == (
        "layer 'mid' has another shape: (3, 3, 6, 4, 6) left, (3, 3, 4, 6, 6) right",
    )


def test_two_dumps_of_some_of_a_layers_neurons(whole):
    corner = {**whole.payloads, "mid": whole.payloads["mid"][..., :2, :2]}
    chip = dataclasses.replace(whole, payloads=corner)
    for network in (None, NETWORK):
        comparison = compare(chip, chip, network)
        assert comparison.verdict == "FAIL"
        assert "(C, H, W) = (6, 4, 6) in the list" in comparison.reasons[0]


def test_two_dumps_that_take_the_accumulator_for_a_spiking_layer(whole):
    zeros = np.zeros((3, 3, 1, 8, 12), int)
    payloads = {**whole.payloads, "out": zeros}
    chip = dataclasses.replace(whole, payloads=payloads, output=None)
    assert compare(chip, chip).not_compared == (OUTPUT,)
    chip = dataclasses.replace(chip, has_output=None)
    assert (
        "cannot tell whether the network has an output"
        in (compare(chip, chip).not_compared[0])
    )
    liar = dataclasses.replace(whole, has_output=False)
    assert compare(whole, liar).verdict == "PARTIAL"


def test_images_are_found_by_what_they_hold(whole):
    some = of_images(whole, [0, 2])
    output = some.output.copy()
    output[1, 0, 2, 1] += 1
    comparison = compare(whole, dataclasses.replace(some, output=output))
    assert comparison.verdict == "FAIL"
    assert comparison.layers[-1].first.image == 1  # of the two
    assert comparison.not_compared == ("image 1 of left",)
    assert compare(whole, of_images(whole, [2, 0])).verdict == "FAIL"


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, ">i4", np.int64])
def test_width_and_byte_order_of_integers_do_not_matter(whole, dtype):
    payloads = {n: p.astype(dtype) for n, p in whole.payloads.items()}
    other = dataclasses.replace(whole, payloads=payloads)
    assert compare(whole, other).verdict == "EXACT"


@pytest.mark.parametrize("value", [0.5, np.nan])
def test_floats_are_refused(whole, value, tmp_path):
    payloads = {**whole.payloads, "mid": np.full(whole.payloads["mid"].shape, value)}
    with pytest.raises(RecordingError, match="'mid': dtype float64 found"):
        dataclasses.replace(whole, payloads=payloads)
    write_recording(whole, tmp_path / "r.h5")
    with h5py.File(tmp_path / "r.h5", "a") as file:
        del file["payload/mid"]
        file["payload/mid"] = payloads["mid"]
    with pytest.raises(RecordingError, match="dtype float64 found, integers needed"):
        read_recording(tmp_path / "r.h5")


def test_a_file_of_schema_1(whole, tmp_path):
    write_recording(whole, tmp_path / "r.h5")
    with h5py.File(tmp_path / "r.h5", "a") as file:
        for key in ("schema", "layers", "hasOutput", "networkSha256AnySize"):
            del file[key]
        file["schema"] = 1
    old = read_recording(tmp_path / "r.h5")
    assert (old.layers, old.has_output, old.network_sha256_any_size) == (None,) * 3
    comparison = compare(old, whole)
    assert comparison.verdict == "PARTIAL"
    assert (
        "cannot tell which layers the network has (left" in (comparison.not_compared[0])
    )
    assert compare(old, whole, NETWORK).verdict == "EXACT"


def test_either_hash_will_do(whole):
    only = {"network_sha256": None}
    any_size = dataclasses.replace(whole, **only)
    in_the_other_key = dataclasses.replace(
        whole, network_sha256=NETWORK.sha256_any_size, network_sha256_any_size=None
    )
    this_size = dataclasses.replace(whole, network_sha256_any_size=None)
    for side in (any_size, in_the_other_key, this_size):
        assert compare(whole, side).verdict == "EXACT"
        assert compare(side, side, NETWORK).verdict == "EXACT"
    assert compare(any_size, this_size).verdict == "PARTIAL"
    # The hash of the file's size is not that of the images'.
    stale = dataclasses.replace(whole, network_sha256=small_network().sha256)
    assert compare(whole, stale).reasons[0].startswith("another network")


def test_hash_of_any_size():
    sizes = [NETWORK, NETWORK.resized(16, 20), small_network()]
    assert len({network.sha256_any_size for network in sizes}) == 1
    assert len({network.sha256 for network in sizes}) == 3
    others = [small_network(seed=1), small_network(num_steps=4)]
    others += [small_network(channels=4), small_network(num_thresholds=3)]
    hashes = {network.sha256_any_size for network in others} | {NETWORK.sha256_any_size}
    assert len(hashes) == 5


def test_states_of_stock_neurons_are_compared_where_both_have_them():
    stream = stocks.spiking()
    run = create("torch").run(stream, stocks.inputs(stream, seed=0))
    sent = {n: p for n, p in run.payloads.items() if ":" not in n}
    chip = dataclasses.replace(run, payloads=sent, backend="chip")
    assert len(sent) < len(run.payloads)
    for network in (None, stream):
        assert compare(run, chip, network).verdict == "EXACT"
        for name in sent:
            assert compare(run, without(chip, name), network).verdict == "PARTIAL"
    payloads = {n: p.copy() for n, p in run.payloads.items()}
    payloads["wide:v"][0, 1, 0] += 1
    wrong = dataclasses.replace(run, payloads=payloads)
    assert compare(run, wrong, stream).verdict == "FAIL"
    longer = dataclasses.replace(stream, num_steps=2 * stream.num_steps)
    assert compare(run, run, longer).verdict == "EXACT"  # T is the run's


def test_merged_verdicts(whole):
    parts = [of_images(whole, [i]) for i in range(3)]
    exact = compare(parts[0], parts[0])
    partial = compare(parts[1], without(parts[1], "mid"))
    fails = compare(parts[2], dataclasses.replace(parts[2], images=IMAGES[:1]))
    assert merge([exact, exact]).verdict == "EXACT"
    both = merge([exact, partial])
    assert (both.verdict, both.not_compared) == ("PARTIAL", ("layer 'mid'",))
    assert [layer.name for layer in merge([partial, exact]).layers][-1] == OUTPUT
    every = merge([exact, partial, fails])
    assert (every.verdict, every.mismatches) == ("FAIL", 0)
    assert every.reasons == fails.reasons
    assert worst([exact, partial]) == "PARTIAL"
    assert worst([exact, partial, fails]) == "FAIL"
    assert worst([]) is None
