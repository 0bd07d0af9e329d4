# SPDX-License-Identifier: BSD-3-Clause
"""Official layouts, made here of small pictures; and what is said of broken ones."""

import numpy as np
import pytest
from PIL import Image

from loihi_unet.config import DenoiseConfig, SegmentConfig
from loihi_unet.data.check import check_data
from loihi_unet.data.datasets import enhance, load_data
from loihi_unet.data.pictures import VOID
from loihi_unet.errors import DataError

DRIVE = SegmentConfig(dataset="drive")
EM = SegmentConfig(dataset="isbi2012")
CAMSEQ = SegmentConfig(dataset="camseq01")


def _save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def _random(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def drive(tmp_path):
    for part, name, numbers in (
        ("training", "training", (21, 22)),
        ("test", "test", (1,)),
    ):
        for number in numbers:
            folder = tmp_path / part
            rgb = _random(number, 24, 16, 3)
            _save(folder / "images" / f"{number:02}_{name}.tif", rgb)
            label = np.zeros((24, 16))
            label[:, 3] = 255
            _save(folder / "1st_manual" / f"{number:02}_manual1.gif", label)
            mask = np.zeros((24, 16))
            mask[2:20] = 255
            _save(folder / "mask" / f"{number:02}_{name}_mask.gif", mask)
    return tmp_path


@pytest.fixture
def em(tmp_path):
    for index in range(12):
        _save(tmp_path / "image" / f"{index}.png", np.full((8, 8), index))
        label = np.full((8, 8), 255)
        label[0] = 0
        _save(tmp_path / "label" / f"{index}.png", label)
    return tmp_path


@pytest.fixture
def camseq(tmp_path):
    for index in range(101):
        name = f"0016E5_{7959 + 2 * index:05}.png"
        _save(tmp_path / "image" / name, _random(index, 6, 8, 3))
        label = np.zeros((6, 8))
        label[:, 4:] = 11
        label[0, 0] = 10
        _save(tmp_path / "label" / name, label)
    return tmp_path


def test_drive(drive):
    train, test = (load_data(DRIVE, drive, 1, split) for split in ("train", "test"))
    assert [p.name for p in train] == [
        "training/images/21_training.tif",
        "training/images/22_training.tif",
    ]
    (picture,) = test
    assert picture.pixels.shape == (1, 24, 16)
    assert picture.label.sum() == 24
    assert (picture.label[:, 3] == 1).all()
    assert picture.mask.sum() == 18 * 16
    found = check_data(drive)
    assert found["layout"] == "drive"
    assert found["train"] == {
        "pictures": 2,
        "sizes": {"24x16": 2},
        "classes": {"0": 0.9375, "1": 0.0625},
        "white_levels": [],
        "warnings": [],
        "problems": [],
    }


def test_enhancing_raises_contrast_and_darkens():
    ramp = np.tile(np.linspace(100, 120, 64).astype(np.uint8), (1, 64, 1))
    result = enhance(ramp)
    assert result.shape == ramp.shape
    assert np.ptp(result) > 2 * np.ptp(ramp)


def test_em_test_part_is_the_last_block_in_stack_order(em):
    train = load_data(EM, em, 1, "train")
    test = load_data(EM, em, 1, "test")
    assert [p.name for p in train] == [f"{i}.png" for i in range(7)]
    assert [p.name for p in test] == [f"{i}.png" for i in range(7, 12)]
    assert (test[0].pixels == 7).all()
    # Class 1 is non-membrane.
    assert (test[0].label[0] == 0).all()
    assert (test[0].label[1:] == 1).all()


def test_camseq(camseq):
    train = load_data(CAMSEQ, camseq, 3, "train")
    test = load_data(CAMSEQ, camseq, 3, "test")
    assert (len(train), len(test)) == (80, 21)
    assert train[-1].name < test[0].name
    picture = test[0]
    assert picture.pixels.shape == (3, 256, 256)
    assert set(np.unique(picture.label)) == {0, 10, VOID}
    assert (picture.label[:, 128:] == VOID).all()
    assert check_data(camseq)["test"]["classes"]["void"] == 0.5


def test_any_folder_is_pictures(em):
    pictures = load_data(DenoiseConfig(), em / "image", 1, "test")
    assert len(pictures) == 12
    assert pictures[0].label is None
    assert check_data(em / "image") == {
        "layout": "pictures",
        "folder": str(em / "image"),
        "all": {
            "pictures": 12,
            "sizes": {"8x8": 12},
            "white_levels": [],
            "warnings": [],
            "problems": [],
        },
    }


def test_what_is_wrong_with_drive(drive):
    with pytest.raises(DataError, match="needs the folder of drive"):
        load_data(DRIVE, None, 1)
    with pytest.raises(DataError, match="images: no such folder"):
        load_data(DRIVE, drive / "test", 1)
    mask = drive / "test" / "mask" / "01_test_mask.gif"
    _save(mask, np.zeros((5, 7)))
    assert check_data(drive)["test"]["problems"] == [
        f"{mask}: 7x5 pixels, 01_test.tif has 16x24",
        f"{mask}: no pixel is inside the field of view",
    ]
    mask.unlink()
    with pytest.raises(DataError, match=r"mask\.\*: no such file; 01_test.tif needs"):
        load_data(DRIVE, drive, 1, "test")
    _save(drive / "training" / "1st_manual" / "21_manual1.gif", _random(0, 24, 16))
    with pytest.raises(DataError, match=r"21_manual1.gif: value \d+; allowed are 0"):
        load_data(DRIVE, drive, 1, "train")


def test_what_is_wrong_with_em(em):
    for index in range(5, 12):
        (em / "image" / f"{index}.png").unlink()
    with pytest.raises(DataError, match="5 pictures, the test part alone has 5"):
        load_data(EM, em, 1)


def test_what_is_wrong_with_camseq(camseq):
    _save(camseq / "label" / "0016E5_07959.png", np.full((6, 8), 12))
    with pytest.raises(DataError, match=r"07959.png: class 12; allowed 0..10 and 11"):
        load_data(CAMSEQ, camseq, 3)
    (camseq / "image" / "0016E5_07959.png").unlink()
    with pytest.raises(DataError, match="100 pictures, 101 needed"):
        load_data(CAMSEQ, camseq, 3)
