# SPDX-License-Identifier: BSD-3-Clause
"""Maps of payloads show what was sent, within their budget; and signed differences."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from loihi_unet.report import payload_maps
from loihi_unet.report.difference import EQUAL, LESS, MORE, signed_difference
from loihi_unet.report.payload_maps import write_payload_maps
from sim.backend import create
from sim.selftest import small_network


@pytest.fixture(scope="module")
def recording():
    network = small_network(size=(16, 24), num_steps=4)
    images = np.random.default_rng(0).integers(-20, 270, (2, 1, 16, 24))
    return create("torch").run(network, images)


def test_every_payload_is_a_pixel(recording, tmp_path):
    (first, *_) = maps = write_payload_maps(tmp_path, recording)
    assert [m["layer"] for m in maps] == [n for n in recording.payloads if ":" not in n]
    payload = recording.payloads[first["layer"]][0]
    steps, channels, height, width = payload.shape
    assert (first["steps"], first["channels"]) == (steps, channels)
    with Image.open(tmp_path / first["file"]) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(steps, -1, image.width, 3)
    low, high = first["lowest"], first["highest"]
    for t in range(steps):
        for c in range(channels):
            y, x = divmod(c, first["columns"])
            y, x = y * (height + 1), x * (width + 1)
            found = pixels[t, y : y + height, x : x + width]
            share = (payload[t, c].astype(float) - low) / (high - low)
            level = np.rint(share * 254).astype(int)
            assert (found == payload_maps._palette()[level]).all()
        assert first["spiking"][t] == (payload[t] != 0).mean()


def test_the_budget_is_kept(recording, tmp_path, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (2, 4, 64, 128, 128))
    names = list(recording.payloads)[:3]
    payloads = dict.fromkeys(names, noise)
    large = dataclasses.replace(recording, payloads=payloads)
    maps = write_payload_maps(tmp_path, large)
    assert [m["layer"] for m in maps] == names
    size = sum((tmp_path / m["file"]).stat().st_size for m in maps)
    assert size <= payload_maps.BUDGET
    assert size * 4 / 3 < 3_000_000
    monkeypatch.setattr(payload_maps, "BUDGET", 100_000)
    maps = write_payload_maps(tmp_path, large)
    assert sum((tmp_path / m["file"]).stat().st_size for m in maps) <= 100_000
    assert maps[0]["channels"] < 16
    top, left, height, width = maps[0]["window"]
    assert height == width < 128
    assert top == left == (128 - height) // 2


def rgb(colour):
    return list(bytes.fromhex(colour[1:]))


def test_signed_difference():
    ours = np.array([[[0.0, 4, -8, 0.001]]])
    pixels, scale = signed_difference(ours, np.zeros_like(ours))
    assert scale == 8
    assert pixels[:, 0, 0].tolist() == rgb(EQUAL)
    assert pixels[:, 0, 2].tolist() == rgb(LESS)
    # A small one is seen as well.
    assert pixels[:, 0, 3].tolist() != rgb(EQUAL)
    half = np.array([rgb(EQUAL), rgb(MORE)]).mean(axis=0)
    assert np.abs(pixels[:, 0, 1] - half).max() <= 0.5
    assert signed_difference(ours, ours).scale == 1
    colours = np.array([1.0, -3, 2])[:, None, None]
    assert signed_difference(colours, 0 * colours).pixels[:, 0, 0].tolist() != rgb(MORE)
