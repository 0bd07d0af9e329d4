# SPDX-License-Identifier: BSD-3-Clause
"""evaluate, simulate, verify and demo run one picture as the same integers."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from export.lowering import lower
from export.netx import write_network
from loihi_unet.data.crops import pad_to_multiple
from loihi_unet.data.pictures import load_pictures
from loihi_unet.demo import run as demo
from loihi_unet.errors import DataError
from loihi_unet.runs.frames import Conditions
from loihi_unet.runs.simulate_pictures import RunConfig, run_pictures
from loihi_unet.runs.tiling import WholeNetwork
from loihi_unet.runs.verify_set import Sides, VerifyJob, record_both, verify_set
from loihi_unet.tasks.denoise import noisy_picture, score_picture
from sim.backend import create
from sim.torch.simulator import TorchSimulator

# The network's sides are multiples of 4: every remainder, and pictures of one pixel.
SIZES = [(1, 1), (2, 7), (3, 5), (4, 8), (5, 3), (6, 2), (7, 4), (8, 6)]
CONDITIONS = Conditions(sigma=20, seed=3)


@pytest.fixture
def seen(monkeypatch):
    """Integers that entered and left backend torch, call by call."""
    calls = []
    run = TorchSimulator.run

    def spy(self, network, images, **how):
        recording = run(self, network, images, **how)
        calls.append((np.rint(images).astype(int), recording.output))
        return recording

    monkeypatch.setattr(TorchSimulator, "run", spy)
    return calls


@pytest.fixture
def network(snn, tiny):
    train = {"train": tiny.model_dump(mode="json")}
    return lower(dataclasses.replace(snn, provenance=train), 16, 16)


@pytest.mark.parametrize("size", SIZES)
def test_four_commands_give_the_same_integers(size, network, tmp_path, seen):
    path = tmp_path / "a.net"
    write_network(network, path)
    levels = np.random.default_rng(sum(size)).integers(0, 256, size, np.uint8)
    Image.fromarray(levels).save(tmp_path / "a.png")
    (picture,) = load_pictures(tmp_path / "a.png", 1)
    noisy = noisy_picture(picture, 0, sigma=20, seed=3)

    whole = WholeNetwork(network, create("torch"), tile=1024)
    score_picture(whole, picture, 0, sigma=20, seed=3, multiple=whole.multiple)
    config = RunConfig(
        network=path,
        images=(tmp_path / "a.png",),
        backend="torch",
        conditions=CONDITIONS,
        layers=(),
        recording=tmp_path / "r.h5",
        pictures=None,
    )
    run_pictures(config, progress=lambda done, total: None)
    sides = Sides(network=path, sha256=network.sha256, backends=("torch", "reference"))
    job = VerifyJob(sides=sides, picture=picture, index=0, conditions=CONDITIONS)
    record_both(job)
    demo._whole_picture(network, noisy, {}, lambda title: lambda done, total: None)

    assert len(seen) == 4
    padded = pad_to_multiple(noisy, 4)[None]
    for images, output in seen:
        np.testing.assert_array_equal(images, padded)
        np.testing.assert_array_equal(output, seen[0][1])


def test_a_crop_larger_than_the_picture_is_refused(network, tmp_path):
    path = tmp_path / "a.net"
    write_network(network, path)
    Image.fromarray(np.zeros((9, 20), np.uint8)).save(tmp_path / "a.png")
    conditions = Conditions(crop=(8, 21))
    message = r"a\.png: 9x20 pixels \(height x width\), smaller than the crop of 8x21"
    with pytest.raises(DataError, match=message):
        run_pictures(
            RunConfig(
                network=path,
                images=(tmp_path / "a.png",),
                backend="torch",
                conditions=conditions,
                layers=None,
                recording=tmp_path / "r.h5",
                pictures=None,
            ),
            progress=lambda done, total: None,
        )
    assert not (tmp_path / "r.h5").exists()
    with pytest.raises(DataError, match=message):
        verify_set(path, tmp_path / "a.png", ("torch", "reference"), conditions)
