# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from loihi_unet.data.picture_files import pages
from loihi_unet.data.pictures import (
    SKIMAGE_PICTURES,
    Picture,
    fingerprint,
    hold_out,
    load_pictures,
    write_picture,
)
from loihi_unet.data.read_picture import read_pixels
from loihi_unet.errors import DataError


def _picture(name, pixels):
    return Picture(name=name, pixels=np.asarray(pixels, dtype=np.uint8))


def test_a_folder_is_read_recursively_in_natural_order(tmp_path):
    (tmp_path / "b").mkdir()
    for index, name in enumerate(["a10.png", "a2.png", "b/a1.jpg", "A3.PNG"]):
        Image.new("L", (4, 3), index).save(tmp_path / name)
    (tmp_path / "README.md").write_text("no picture")
    pictures = load_pictures(tmp_path, 1)
    assert [item.name for item in pictures] == [
        "a2.png",
        "A3.PNG",
        "a10.png",
        "b/a1.jpg",
    ]
    assert pictures[0].pixels.shape == (1, 3, 4)


def test_one_picture_is_a_folder_of_one(folder):
    pictures = load_pictures(folder / "picture7.png", 1)
    assert [item.name for item in pictures] == ["picture7.png"]


def test_colours_are_read_in_order_and_gray_is_pillows(tmp_path):
    path = tmp_path / "red.png"
    Image.new("RGB", (2, 2), (200, 100, 50)).save(path)
    assert read_pixels(path, 3)[:, 0, 0].tolist() == [200, 100, 50]
    # ITU-R 601-2: 0.299 R + 0.587 G + 0.114 B = 124.2
    assert read_pixels(path, 1).tolist() == [[[124, 124], [124, 124]]]


def test_exif_orientation_is_followed(tmp_path):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (8, 4)).save(path, exif=exif)
    assert read_pixels(path, 1).shape == (1, 8, 4)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_default_pictures_ship_with_scikit_image(channels):
    pictures = load_pictures(None, channels)
    assert [item.name for item in pictures] == list(SKIMAGE_PICTURES)
    assert all(len(item.pixels) == channels for item in pictures)
    assert min(min(item.pixels.shape[1:]) for item in pictures) >= 256


def test_what_is_no_picture_is_named(tmp_path):
    with pytest.raises(DataError, match="nope: no such file or folder"):
        load_pictures(tmp_path / "nope", 1)
    with pytest.raises(DataError, match="no picture in this folder"):
        load_pictures(tmp_path, 1)
    with pytest.raises(DataError, match="1 or 3 channels, asked for 2"):
        load_pictures(tmp_path, 2)
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    with pytest.raises(DataError, match=r"bad\.png: not a readable picture; allowed"):
        load_pictures(tmp_path, 1)


def test_a_truncated_picture_is_named(tmp_path):
    path = tmp_path / "half.png"
    noise = np.random.default_rng(0).integers(256, size=(64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"half\.png: not a readable picture"):
        read_pixels(path, 1)


@pytest.mark.parametrize("form", ["EPS", "TGA", "PCX", "JPEG2000"])
def test_formats_that_are_not_needed_are_not_opened(tmp_path, form):
    path = tmp_path / "picture.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path, format=form)
    with pytest.raises(DataError, match="not a readable picture; allowed are BMP, GIF"):
        read_pixels(path, 1)
    with pytest.raises(DataError, match="not a readable picture; allowed are BMP, GIF"):
        pages(path)
    path.rename(tmp_path / f"picture.{form.lower()}")
    with pytest.raises(DataError, match="no picture in this folder"):
        load_pictures(tmp_path, 1)


def test_the_fingerprint_sees_every_pixel_and_the_order(folder):
    pictures = load_pictures(folder, 1)
    changed = [*pictures[:-1], _picture(pictures[-1].name, pictures[-1].pixels ^ 1)]
    prints = {fingerprint(pictures), fingerprint(pictures[::-1]), fingerprint(changed)}
    assert len(prints) == 3
    assert fingerprint(load_pictures(folder, 1)) in prints


@given(total=st.integers(2, 40), data=st.data())
def test_held_out_pictures_are_not_trained_on(total, data):
    count = data.draw(st.integers(1, total - 1))
    pictures = [_picture(str(index), [[[0]]]) for index in range(total)]
    train, validation = hold_out(pictures, count)
    assert len(validation) == count
    assert sorted(train + validation, key=pictures.index) == pictures


def test_holding_out_all_pictures_is_refused(folder):
    with pytest.raises(DataError, match="5 pictures: cannot hold out 5"):
        hold_out(load_pictures(folder, 1), 5)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_written_picture_is_clipped_and_rounded(tmp_path, channels):
    row = [-3.0, 0.4, 0.6, 254.6, 300.0]
    path = tmp_path / "new" / "out.png"
    write_picture(path, np.array([[row]] * channels))
    assert read_pixels(path, channels).tolist() == [[[0, 0, 1, 255, 255]]] * channels


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_size_is_told_by_the_header(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.jpg"
    Image.fromarray(np.zeros((3, 5), np.uint8)).save(path, exif=exif)
    ((page, size),) = pages(path)
    assert (page.count, size) == (1, read_pixels(path, 1).shape[1:])
    path.write_text("no picture")
    with pytest.raises(DataError, match=r"a\.jpg: not a readable picture"):
        pages(path)
