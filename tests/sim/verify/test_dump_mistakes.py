# SPDX-License-Identifier: BSD-3-Clause
"""Whoever wrote a dump in another order is told which; others are not accused."""

import dataclasses

import numpy as np
import pytest

from sim.backend import create
from sim.selftest import small_network
from sim.verify.comparison import compare
from sim.verify.diagnose import diagnose, explained
from sim.verify.dump_mistakes import dump_mistakes

SIZE = (8, 12)
IMAGES = np.random.default_rng(0).integers(-256, 512, (3, 1, *SIZE))
NETWORK = small_network(size=SIZE, num_steps=4)


@pytest.fixture(scope="module")
def whole():
    return create("reference").run(NETWORK, IMAGES)


def lava_order(values):
    """A buffer in Lava's (W, H, C), taken for (C, H, W)."""
    return values.transpose(0, 1, 4, 3, 2).reshape(values.shape)


def late(by):
    def shift(values):
        flat = values.reshape(-1, *values.shape[2:])
        moved = np.concatenate([np.zeros_like(flat[:by]), flat[:-by]])
        return moved.reshape(values.shape)

    return shift


MISTAKES = {
    "rows mirrored": lambda v: v[..., ::-1, :],
    "columns mirrored": lambda v: v[..., ::-1],
    "turned by 180 degrees": lambda v: v[..., ::-1, ::-1],
    "axes in the order (H, W, C), (C, H, W) needed": lambda v: v.transpose(
        0, 1, 3, 4, 2
    ),
    "axes in the order (C, W, H), (C, H, W) needed": lambda v: v.swapaxes(3, 4),
    "axes in the order (W, H, C)": lambda v: v.transpose(0, 1, 4, 3, 2),
    "written in the order (W, H, C) and read as (C, H, W)": lava_order,
    "channels in reverse order": lambda v: v[:, :, ::-1],
    "channels in another order: channel 0 is 1 of the left side, 1 is 0": (
        lambda v: v[:, :, [1, 0, 2, 3, 4, 5]]
    ),
    "images in reverse order": lambda v: v[::-1],
    "images in another order: image 0 is 1 of the left side": lambda v: v[[1, 0, 2]],
    "one window late: image i of the right side is the left's i - 1": late(4),
    "3 steps late, over all windows": late(3),
    "one step late": late(1),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_of_order(whole, message):
    assert whole.payloads["mid"].shape == (3, 4, 6, 4, 6)
    # A buffer's order is seen in its shape where C is W.
    name = "up" if message.startswith("written") else "mid"
    payload = MISTAKES[message](whole.payloads[name])
    chip = dataclasses.replace(whole, payloads={**whole.payloads, name: payload})
    for network in (None, NETWORK):
        comparison = explained(compare(whole, chip, network), whole, chip, network)
        assert comparison.verdict == "FAIL"
        assert message in comparison.causes[0]
        assert comparison.to_json()["causes"] == comparison.causes
    # One value more, and nothing explains it.
    wrong = payload.copy()
    wrong[-1, -1, -1, -1, -1] += 1
    chip = dataclasses.replace(whole, payloads={**whole.payloads, name: wrong})
    causes = explained(compare(whole, chip), whole, chip).causes
    assert not any(message in cause for cause in causes)


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (np.int8, np.uint8, "signed values read as unsigned ones of 8 bits"),
        (np.uint8, np.int8, "unsigned values read as signed ones of 8 bits"),
        (np.int16, np.uint16, "signed values read as unsigned ones of 16 bits"),
        (np.int32, np.uint8, "values cut to 8 bits"),
    ],
)
def test_sign_and_width(left, right, message):
    bits = np.iinfo(left)
    values = np.random.default_rng(1).integers(
        max(bits.min, -1000), min(bits.max, 1000), (2, 1, 3, 4, 5), dtype=np.int64
    )
    values = values.astype(left)
    (found,) = dump_mistakes(values, values.astype(right))
    assert found.startswith(message)


def test_sign_of_the_output(whole):
    chip = dataclasses.replace(whole, output=whole.output.astype(np.uint32))
    comparison = explained(compare(whole, chip), whole, chip)
    assert "signed values read as unsigned ones of 32 bits" in comparison.causes[0]


def test_outputs_one_window_late(whole):
    chip = dataclasses.replace(whole, output=late(1)(whole.output[:, None])[:, 0])
    comparison = explained(compare(whole, chip), whole, chip)
    assert "one window late" in comparison.causes[0]


def test_images_that_entered_in_another_order(whole):
    for images, message in (
        (IMAGES[::-1], "images: images in reverse order"),
        (IMAGES[..., ::-1], "images: columns mirrored"),
        (IMAGES.transpose(0, 2, 3, 1), "images: axes in the order (H, W, C)"),
    ):
        chip = dataclasses.replace(whole, images=images)
        comparison = explained(compare(whole, chip), whole, chip)
        assert (comparison.verdict, comparison.mismatches) == ("FAIL", 0)
        assert message in comparison.causes[0]


def test_silence_is_not_late():
    silent = np.zeros((3, 4, 2, 3, 3), np.uint8)
    one = silent.copy()
    one[0, 0, 0, 0, 0] = 1
    assert list(dump_mistakes(silent, one)) == []


def wrong_in(recording, name, *places, by=1):
    payload = recording.payloads[name].copy()
    for place in places:
        payload[place] += by
    return dataclasses.replace(
        recording, payloads={**recording.payloads, name: payload}
    )


def test_the_dump_not_the_chip(whole):
    chip = wrong_in(whole, "mid", (1, 2, 3, 1, 2))
    comparison = compare(whole, chip, NETWORK)
    found = explained(comparison, whole, chip, NETWORK)
    assert found.causes == (
        "Only this value differs; the layers it feeds agree: the dump, not the chip.",
    )
    assert diagnose(comparison, whole, chip, NETWORK).remark == found.causes[-1]
    chip = wrong_in(whole, "mid", (1, 2, 3, 1, 2), (0, 0, 0, 0, 0))
    found = explained(compare(whole, chip, NETWORK), whole, chip, NETWORK)
    assert found.causes[0].startswith(
        "Only 2 values differ; the layers they feed agree"
    )


def test_the_chip_not_the_dump(whole):
    """What follows differs as well: it is not said that the dump is wrong."""
    chip = wrong_in(whole, "mid", (1, 2, 3, 1, 2), by=9)
    follows = wrong_in(chip, "up", (1, 2, 0, 2, 4))
    found = explained(compare(whole, follows, NETWORK), whole, follows, NETWORK)
    assert not any("the dump" in cause for cause in found.causes)


def test_a_value_that_nothing_can_tell(whole):
    """The layer that is fed does the same with either value: nobody is accused."""
    up = next(layer for layer in NETWORK.layers if layer.name == "up")
    silent = dataclasses.replace(
        up,
        compartment=dataclasses.replace(
            up.compartment, vth_mant=np.array([2**20 // 15])
        ),
    )
    layers = tuple(silent if x.name == "up" else x for x in NETWORK.layers)
    network = dataclasses.replace(NETWORK, layers=layers)
    run = create("torch").run(network, IMAGES)
    assert not run.payloads["up"].any()
    chip = wrong_in(run, "mid", (1, 2, 3, 1, 2))
    found = explained(compare(run, chip, network), run, chip, network)
    assert found.causes == (
        "Only this value differs; the layers it feeds would give the same with either.",
    )


def test_without_the_network_it_says_what_would_tell(whole):
    chip = wrong_in(whole, "mid", (1, 2, 3, 1, 2))
    (cause,) = explained(compare(whole, chip), whole, chip).causes
    assert cause.startswith("Only this value differs of all; --network tells")


def test_causes_of_some_of_the_images(whole):
    """Images of the shorter recording decide which belong together."""
    mirrored = {**whole.payloads, "mid": whole.payloads["mid"][..., ::-1]}
    chip = dataclasses.replace(
        whole,
        images=IMAGES[[0, 2]],
        payloads={n: p[[0, 2]] for n, p in mirrored.items()},
        output=whole.output[[0, 2]],
    )
    found = explained(compare(whole, chip, NETWORK), whole, chip, NETWORK)
    assert "columns mirrored" in found.causes[0]
    assert found.layers[2].first.image == 0
    assert found.not_compared == ("image 1 of left",)
