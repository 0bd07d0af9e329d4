# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loihi_unet.data.crops import add_noise, pad_to_multiple, random_crops
from loihi_unet.data.pictures import Picture
from loihi_unet.errors import DataError


def _picture(name, pixels):
    return Picture(name=name, pixels=np.asarray(pixels, dtype=np.uint8))


def test_noise_is_gaussian_rounded_and_not_clipped():
    clean = np.full((1, 400, 400), 250, dtype=np.uint8)
    noise = add_noise(clean, 25.0, np.random.default_rng(0)) - 250
    assert noise.dtype == np.float32
    assert np.array_equal(noise, np.rint(noise))
    assert noise.max() > 55  # above gray level 305
    # Rounding adds a variance of 1/12; five standard errors of mean and deviation.
    size = noise.size
    assert abs(noise.mean()) < 5 * 25 / size**0.5
    assert abs(noise.std() - (25**2 + 1 / 12) ** 0.5) < 5 * 25 / (2 * size) ** 0.5


def test_noise_has_its_own_sigma_in_every_crop():
    clean = np.zeros((2, 1, 64, 64), dtype=np.uint8)
    sigma = np.array([0.0, 50.0]).reshape(2, 1, 1, 1)
    noisy = add_noise(clean, sigma, np.random.default_rng(0))
    assert not noisy[0].any()
    assert noisy[1].std() > 40


def test_crops_come_from_the_pictures_in_eight_orientations():
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    crops = random_crops([_picture("p", pixels)], 400, 2, np.random.default_rng(0))
    windows = [pixels[:, y : y + 2, x : x + 2] for y in range(2) for x in range(3)]
    expected = {
        np.rot90(flipped, turn, axes=(1, 2)).tobytes()
        for window in windows
        for flipped in (window, window[:, :, ::-1])
        for turn in range(4)
    }
    assert {crop.tobytes() for crop in crops} == expected


def test_a_picture_smaller_than_a_crop_is_named():
    picture = _picture("small.png", np.zeros((1, 5, 9)))
    with pytest.raises(DataError, match=r"small\.png: 9x5 pixels, a crop needs 6x6"):
        random_crops([picture], 1, 6, np.random.default_rng(0))


@settings(max_examples=25)
@given(height=st.integers(1, 40), width=st.integers(1, 40), power=st.integers(0, 4))
def test_padding_is_cropped_back(height, width, power):
    multiple = 2**power
    x = np.random.default_rng(height * width).random((2, height, width))
    padded = pad_to_multiple(x, multiple)
    assert np.array_equal(padded[..., :height, :width], x)
    for before, after in zip(x.shape[1:], padded.shape[1:], strict=True):
        assert after % multiple == 0
        assert 0 <= after - before < multiple
    if padded.shape[1] > height:
        # The edge itself is repeated.
        assert np.array_equal(padded[:, height, :width], x[:, height - 1])


def test_a_picture_of_one_pixel_is_reflected():
    assert pad_to_multiple(np.full((1, 1, 1), 7), (4, 2)).tolist() == [[[7, 7]] * 4]
    row = pad_to_multiple(np.array([[[1, 2]]]), (1, 8))
    assert row.tolist() == [[[1, 2, 2, 1, 1, 2, 2, 1]]]
