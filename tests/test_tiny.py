# SPDX-License-Identifier: BSD-3-Clause
"""The whole pipeline on one small crop with the shipped model; runs first."""

import numpy as np
import pytest

from export.images import decode
from export.lowering import lower
from export.netx import read_network, write_network
from loihi_unet.data.pictures import load_pictures
from loihi_unet.files.spiking_file import load_spiking_unet
from loihi_unet.tasks.denoise import noisy_picture
from loihi_unet.tasks.metrics import quality
from sim.backend import create
from sim.verify.comparison import compare


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    snn = load_spiking_unet("denoise-gray")
    write_network(lower(snn, 32, 32), folder / "network.net")
    return read_network(folder / "network.net")


@pytest.fixture(scope="module")
def picture():
    return next(p for p in load_pictures(None, 1) if p.name == "camera.png")


def test_denoises_a_crop(network, picture):
    noisy = noisy_picture(picture, 0, sigma=25, seed=0)[:, 96:224, 160:288]
    clean = picture.pixels[:, 96:224, 160:288]
    large = network.resized(128, 128)
    recording = create("torch").run(large, noisy[None], layers=())
    restored = 255 * decode(large, recording.output[0])
    # 20.6 dB in; 28.2 dB out for the least trained model that was ever shipped.
    assert quality(clean, restored).psnr > quality(clean, noisy).psnr + 6


def crop(picture):
    return noisy_picture(picture, 0, sigma=25, seed=0)[None, :, 130:162, 200:232]


def test_torch_equals_reference(network, picture):
    left = create("torch").run(network, crop(picture))
    comparison = compare(left, create("reference").run(network, crop(picture)))
    assert comparison.identical
    assert comparison.compared == sum(
        payload.size for payload in left.payloads.values()
    ) + np.size(left.output)


@pytest.mark.lava
def test_torch_equals_lava(network, picture):
    left = create("torch").run(network, crop(picture))
    assert compare(left, create("lava").run(network, crop(picture))).identical
