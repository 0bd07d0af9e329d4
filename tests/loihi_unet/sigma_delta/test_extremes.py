# SPDX-License-Identifier: BSD-3-Clause
"""Pictures unlike those of the calibration stay within 24 bits."""

import numpy as np
import pytest
import torch
from skimage import data

from export.images import completed, decode
from loihi_unet.files.checkpoint import find_checkpoint, read_checkpoint
from loihi_unet.sigma_delta import convert as conversion
from loihi_unet.sigma_delta import quantise as module
from loihi_unet.sigma_delta.extremes import patterns
from sim.backend import OverflowLayerError, create
from sim.pictures import output_of


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Fewer calibration pictures, which is quicker."""
    monkeypatch.setattr(conversion, "CROPS", 4)


def run(network, picture):
    """Output of the shipped denoiser's integers, in units of white."""
    entering = completed(network, picture.astype(np.float32))[None]
    found = create("torch").run(network, entering, layers=("out",))
    return decode(network, output_of(network, found)[0])


def without_noise():
    """A photo's middle, and black and white pixels in turn."""
    rows, columns = np.mgrid[:64, :64]
    photo = data.camera()[150:214, 200:264]
    return [photo[None], 255 * ((rows + columns) % 2)[None]]


def test_a_denoiser_takes_pictures_without_noise(tmp_path):
    """Its coarse layers are then far beyond what noisy pictures show."""
    network = conversion.convert("denoise-gray", tmp_path / "a.net", size=(64, 64))
    ann = read_checkpoint(find_checkpoint("denoise-gray")).model.eval()
    photo, checkers = without_noise()
    run(network, checkers)
    with torch.no_grad():
        expected = ann(torch.from_numpy(photo[None] / np.float32(255)))[0].numpy()
    assert np.abs(run(network, photo) - expected).max() < 1.5 / 255


@pytest.mark.slow
def test_without_room_for_them_it_overflows(tmp_path, monkeypatch):
    """The check above can fail: scales of noisy pictures alone are too large."""
    monkeypatch.setattr(module, "SPARE", 0.0)
    network = conversion.convert("denoise-gray", tmp_path / "a.net", size=(64, 64))
    for picture in without_noise():
        with pytest.raises(OverflowLayerError, match=r"layer '.*', step \d+: "):
            run(network, picture)


def test_patterns_are_pictures():
    found = patterns((3, 8, 12))
    assert found.shape[1:] == (3, 8, 12)
    assert found.shape[0] > 15
    assert found.min() == 0
    assert found.max() == 1
    # Not one twice: each is there for a purpose.
    assert len({one.numpy().tobytes() for one in patterns((1, 64, 64))}) == len(found)
