# SPDX-License-Identifier: BSD-3-Clause
import math

import numpy as np
import pytest

from loihi_unet.tasks.metrics import Quality, mean_quality, quality


def test_psnr_of_a_constant_error_by_hand():
    clean = np.full((1, 8, 8), 100, dtype=np.uint8)
    # Mean squared error 25: 10 log10(255^2 / 25) dB.
    result = quality(clean, clean.astype(np.float32) + 5)
    assert result.psnr == pytest.approx(10 * math.log10(255**2 / 25), rel=1e-12)


def test_output_is_clipped_but_not_rounded():
    clean = np.full((1, 8, 8), 250, dtype=np.uint8)
    assert quality(clean, np.full((1, 8, 8), 400.0)) == quality(
        clean, np.full((1, 8, 8), 255.0)
    )
    assert quality(clean, np.full((1, 8, 8), 250.25)).psnr < 70


def test_equal_pictures_and_means():
    clean = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    assert quality(clean, clean.astype(float)) == Quality(psnr=math.inf, ssim=1.0)
    values = [Quality(psnr=20.0, ssim=0.5), Quality(psnr=30.0, ssim=0.7)]
    assert mean_quality(values) == Quality(psnr=25.0, ssim=pytest.approx(0.6))


def test_ssim_of_colour_is_the_mean_of_its_channels():
    random = np.random.default_rng(0)
    clean = random.integers(256, size=(3, 16, 16), dtype=np.uint8)
    output = clean + random.normal(0, 20, size=clean.shape)
    single = [quality(clean[[c]], output[[c]]).ssim for c in range(3)]
    assert quality(clean, output).ssim == pytest.approx(np.mean(single), rel=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (7, 6)])
def test_pictures_smaller_than_the_window_have_a_score(size):
    clean = np.arange(size[0] * size[1], dtype=np.uint8).reshape(1, *size)
    near, far = (quality(clean, clean + noise).ssim for noise in (1.0, 100.0))
    assert 0 < far < near < 1
