# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pytest
import torch

from loihi_unet.config import DenoiseConfig
from loihi_unet.data.pictures import load_pictures
from loihi_unet.tasks.denoise import noisy_picture, restore
from loihi_unet.tasks.judge import Judge


def test_the_identity_scores_what_the_noise_is(folder):
    pictures = load_pictures(folder, 1)
    judge = Judge(task=DenoiseConfig(), sigma=10)
    result = judge.score(lambda x: x, pictures, multiple=16)
    # 10 log10(255^2 / (100 + 1/12)) = 28.13 dB; 4600 pixels give 0.09 dB (1 sigma).
    assert result["psnr"] == pytest.approx(28.13, abs=0.4)


def test_a_network_sees_padded_pixels_over_255_and_its_output_is_cropped(folder):
    picture = load_pictures(folder, 1)[1]
    noisy = noisy_picture(picture, 0, sigma=25, seed=0)
    seen = []

    def network(x):
        seen.append(x)
        return x * 0.5

    output = restore(network, noisy, multiple=8)
    assert seen[0].shape == (1, 1, 32, 40)
    assert torch.equal(
        seen[0][0, :, :27, :39], torch.from_numpy(noisy / np.float32(255))
    )
    assert output.shape == noisy.shape
    np.testing.assert_allclose(output, noisy / 2, rtol=1e-6)


def test_noise_depends_on_the_place_and_the_seed_only(folder):
    picture = load_pictures(folder, 1)[0]
    first = noisy_picture(picture, 0, sigma=25, seed=0)
    assert np.array_equal(first, noisy_picture(picture, 0, sigma=25, seed=0))
    assert not np.array_equal(first, noisy_picture(picture, 1, sigma=25, seed=0))
    assert not np.array_equal(first, noisy_picture(picture, 0, sigma=25, seed=1))
