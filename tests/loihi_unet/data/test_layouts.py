# SPDX-License-Identifier: BSD-3-Clause
"""Layouts as they are found in the world, labels of every kind, and strange names."""

import os

import numpy as np
import pytest
import tifffile
from PIL import Image

from loihi_unet.config import DenoiseConfig, SegmentConfig, TrainConfig, UNetConfig
from loihi_unet.data.check import check_data
from loihi_unet.data.datasets import Reading, load_data, load_training
from loihi_unet.data.labels import CAMVID, read_binary, read_classes, read_colours
from loihi_unet.data.picture_files import Page
from loihi_unet.data.pictures import VOID, fingerprint, load_pictures
from loihi_unet.errors import DataError

DRIVE = SegmentConfig(dataset="drive")
EM = SegmentConfig(dataset="isbi2012")
CAMSEQ = SegmentConfig(dataset="camseq01")
ELEVEN = {**{index: index for index in range(11)}, 11: VOID}
DRAWN = [colour for colour, index in CAMVID.items() if index != VOID][::3]


def save(path, values, mode=None, palette=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(values, np.uint8), mode)
    if palette is not None:
        image.putpalette(palette)
    image.save(path)


def rows(*values):
    """A row of pixels for each value."""
    return np.repeat(np.array(values, np.uint8)[:, None], 6, axis=1)


@pytest.fixture
def drive(tmp_path):
    for part, name in (("training", "21_training"), ("test", "01_test")):
        save(tmp_path / part / "images" / f"{name}.tif", np.full((9, 8, 3), 90))
        save(tmp_path / part / "1st_manual" / f"{name[:2]}_manual1.gif", np.eye(9, 8))
        save(tmp_path / part / "mask" / f"{name}_mask.gif", np.ones((9, 8)))
    return tmp_path


def test_a_mask_of_ones_is_a_mask(drive):
    (picture,) = load_data(DRIVE, drive, 1, "test")
    assert picture.mask.all()
    assert picture.label.sum() == 8
    save(drive / "test" / "mask" / "01_test_mask.gif", np.full((9, 8), 255))
    (picture,) = load_data(DRIVE, drive, 1, "test")
    assert picture.mask.all()


def test_an_empty_field_of_view_is_named(drive):
    save(drive / "test" / "mask" / "01_test_mask.gif", np.zeros((9, 8)))
    with pytest.raises(DataError, match=r"01_test_mask\.gif: no pixel is inside"):
        load_data(DRIVE, drive, 1, "test")
    found = check_data(drive)
    assert found["train"]["problems"] == []
    assert "no pixel is inside" in found["test"]["problems"][0]
    # Training, which reads the other part alone, says so before it begins.
    settings = TrainConfig(
        task=DRIVE,
        model=UNetConfig(residual=False),
        loss="cross_entropy",
        validation_images=1,
    )
    with pytest.raises(DataError, match=r"01_test_mask\.gif: no pixel is inside"):
        load_training(settings, drive)


def test_the_official_test_part_has_no_labels(drive):
    (drive / "test" / "1st_manual" / "01_manual1.gif").unlink()
    (drive / "test" / "1st_manual").rmdir()
    assert len(load_data(DRIVE, drive, 1, "train")) == 1
    message = r"1st_manual: no such folder; it holds the test part's labels"
    with pytest.raises(DataError, match=message):
        load_data(DRIVE, drive, 1, "test")
    found = check_data(drive)
    assert found["train"]["pictures"] == 1
    assert len(found["test"]["problems"]) == 1


def test_all_that_is_wrong_is_said(drive):
    (drive / "training" / "mask" / "21_training_mask.gif").write_bytes(b"GIF89a")
    save(drive / "test" / "1st_manual" / "01_manual1.gif", np.full((4, 8), 3))
    (drive / "test" / "images" / "02_test.tif").write_text("<html>")
    found = check_data(drive)
    problems = [*found["train"]["problems"], *found["test"]["problems"]]
    for name in ("21_training_mask.gif", "01_manual1.gif", "02_test.tif"):
        assert sum(name in line for line in problems) == 1


def test_one_folder_too_deep(drive, tmp_path_factory):
    outer = tmp_path_factory.mktemp("outer")
    (outer / "__MACOSX" / "training" / "images").mkdir(parents=True)
    (outer / "DRIVE").symlink_to(drive)
    assert len(load_data(DRIVE, outer, 1)) == 1
    found = check_data(outer)
    assert (found["layout"], found["folder"]) == ("drive", str(outer / "DRIVE"))


def test_official_stacks(tmp_path):
    volume = np.arange(7 * 30, dtype=np.uint8).reshape(7, 5, 6)
    drawn = np.where(volume % 2, 255, 0).astype(np.uint8)
    for name, stack in (("volume", volume), ("labels", drawn)):
        tifffile.imwrite(
            tmp_path / f"train-{name}.tif", stack, photometric="minisblack"
        )
    train, test = (load_data(EM, tmp_path, 1, split) for split in ("train", "test"))
    assert (len(train), len(test)) == (2, 5)
    assert train[1].name == "train-volume.tif#2"
    np.testing.assert_array_equal(test[0].pixels[0], volume[2])
    np.testing.assert_array_equal(test[0].label, drawn[2] // 255)
    assert check_data(tmp_path)["layout"] == "isbi2012"
    with pytest.raises(DataError, match=r"train-labels\.tif.*layout of isbi2012"):
        load_data(DenoiseConfig(), tmp_path, 1)
    # The same stacks in folders; and one with a page too few.
    for name, folder in (("volume", "image"), ("labels", "label")):
        (tmp_path / "b" / folder).mkdir(parents=True)
        path = tmp_path / f"train-{name}.tif"
        path.rename(tmp_path / "b" / folder / path.name)
    assert len(load_data(EM, tmp_path / "b", 1)) == 2
    path = tmp_path / "b" / "label" / "train-labels.tif"
    tifffile.imwrite(path, drawn[:6], photometric="minisblack")
    with pytest.raises(DataError, match=r"6 pages, train-volume\.tif has 7"):
        load_data(EM, tmp_path / "b", 1)


def test_gray_sections_as_rgb_and_palette_labels(tmp_path):
    for index in range(6):
        gray = rows(10 * index, 200)[..., None].repeat(3, axis=2)
        save(tmp_path / "image" / f"{index}.png", gray)
        palette = [0, 0, 0, 255, 0, 0]
        save(tmp_path / "label" / f"{index}.png", rows(0, 1), "P", palette)
    found = check_data(tmp_path)
    assert (found["layout"], found["train"]["problems"]) == ("isbi2012", [])
    (picture,) = load_data(EM, tmp_path, 1)
    np.testing.assert_array_equal(picture.label, rows(0, 1))


@pytest.fixture
def camseq(tmp_path):
    drawing = np.repeat(np.array([DRAWN], np.uint8), 6, axis=0)
    picture = np.random.default_rng(0).integers(0, 256, drawing.shape)
    for index in range(101):
        save(tmp_path / f"0016E5_{7959 + 2 * index:05}.png", picture)
        save(tmp_path / f"0016E5_{7959 + 2 * index:05}_L.png", drawing)
    return tmp_path


def test_camseq_as_released(camseq):
    test = load_data(CAMSEQ, camseq, 3, "test")
    assert len(test) == 21
    assert set(np.unique(test[0].label)) == {CAMVID[colour] for colour in DRAWN}
    assert check_data(camseq)["layout"] == "camseq01"
    with pytest.raises(DataError, match=r"holds labels or masks \(.*_L\.png\)"):
        load_pictures(camseq, 3)
    # A drawing may be stored with a palette: its colours count all the same.
    for path in camseq.glob("*_L.png"):
        with Image.open(path) as image:
            small = image.quantize(64)
        small.save(path)
    again = load_data(CAMSEQ, camseq, 3, "test")
    np.testing.assert_array_equal(again[0].label, test[0].label)


def test_unknown_colours_are_refused_in_words(camseq, tmp_path):
    path = camseq / "0016E5_07959_L.png"
    save(path, np.full((6, len(DRAWN), 3), (1, 2, 3)))
    with pytest.raises(DataError, match=r"07959_L\.png: a colour picture: 1,2,3 at"):
        load_data(CAMSEQ, camseq, 3)
    table = tmp_path / "colours.csv"
    lines = [f"{r},{g},{b},{CAMVID[r, g, b]}" for r, g, b in DRAWN]
    table.write_text("# red,green,blue,class\n1,2,3,void,nothing\n" + "\n".join(lines))
    first, *_ = load_data(CAMSEQ, camseq, 3, reading=Reading(label_colours=table))
    assert (first.label == VOID).all()


@pytest.mark.parametrize(
    "line", ["1,2,3", "1,2,3,x", "1,2,300,4", "1,2,-3,4", "a,b,c,d", "1,2,3,256"]
)
def test_a_table_that_is_none(tmp_path, line):
    (tmp_path / "a.csv").write_text(f"0,0,0,void\n{line}\n")
    with pytest.raises(DataError, match=r"line 2: .*allowed is red,green,blue,class"):
        read_colours(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("0,0,0,1\n0,0,0,2\n")
    with pytest.raises(DataError, match="line 2: colour 0,0,0 has class 1 already"):
        read_colours(tmp_path / "a.csv")


def labels():
    """Files that hold 0 0 1 1, and how."""
    yield "gray.png", rows(0, 1), None, None
    yield "full.png", rows(0, 255), None, None
    yield "rgb.png", rows(0, 255)[..., None].repeat(3, axis=2), None, None
    yield "full.bmp", rows(0, 255), None, None
    yield "palette.bmp", rows(0, 1), "P", [0, 0, 0, 9, 0, 0]
    yield "reversed.png", rows(0, 1), "P", [255, 255, 255, 0, 0, 0]
    yield "palette.tif", rows(0, 1), "P", [0, 0, 0, 200, 0, 0]
    yield "full.gif", rows(0, 255), None, None
    yield "palette.gif", rows(0, 1), "P", [0, 0, 0, 200, 0, 0]


@pytest.mark.parametrize(("name", "values", "mode", "palette"), labels())
def test_two_classes(tmp_path, name, values, mode, palette):
    save(tmp_path / name, values, mode, palette)
    np.testing.assert_array_equal(read_binary(Page(tmp_path / name)), rows(0, 1))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes_of_few_bits_with_transparency(tmp_path, bits):
    image = Image.fromarray(rows(0, 1), "P")
    image.putpalette([0, 0, 0, 90, 0, 0])
    image.save(tmp_path / "a.png", bits=bits, transparency=0)
    np.testing.assert_array_equal(read_binary(Page(tmp_path / "a.png")), rows(0, 1))


def test_a_gif_of_one_level_is_no_index(tmp_path):
    # Its one gray level has index 0, whatever the level.
    save(tmp_path / "a.gif", np.full((4, 4), 255))
    assert read_binary(Page(tmp_path / "a.gif")).all()


@pytest.mark.parametrize("values", [(0, 7), (0, 1, 255), (0, 76)])
def test_other_values_are_refused(tmp_path, values):
    save(tmp_path / "a.png", rows(*values))
    with pytest.raises(DataError, match=r"value \d+.*; allowed are 0 and 1, or 0 and"):
        read_binary(Page(tmp_path / "a.png"))
    save(tmp_path / "b.png", rows(*values), "P", [0] * 768)
    with pytest.raises(DataError, match="index of a palette picture"):
        read_binary(Page(tmp_path / "b.png"))


def test_a_dark_palette_changes_no_class(tmp_path):
    palette = [level for index in range(12) for level in [11 - index] * 3]
    save(tmp_path / "a.png", rows(0, 3, 11), "P", palette)
    found = read_classes(Page(tmp_path / "a.png"), ELEVEN)
    np.testing.assert_array_equal(found, rows(0, 3, VOID))
    tifffile.imwrite(tmp_path / "b.tif", rows(0, 3, 11).astype(np.uint16))
    found = read_classes(Page(tmp_path / "b.tif"), ELEVEN)
    np.testing.assert_array_equal(found, rows(0, 3, VOID))


def test_labels_in_no_layout(tmp_path):
    save(tmp_path / "images" / "a.png", rows(1, 2))
    save(tmp_path / "masks" / "a.png", rows(0, 255))
    for read in (check_data, lambda path: load_pictures(path, 1)):
        with pytest.raises(DataError, match=r"drive: no folder training.*camseq01: no"):
            read(tmp_path)
    assert len(load_pictures(tmp_path / "images", 1)) == 1


def test_what_systems_leave_is_no_picture(tmp_path):
    save(tmp_path / "a.png", rows(1, 2))
    for name in ("._a.png", "__MACOSX/a.png", "@eaDir/a.png/b.jpg", ".x/a.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X")
    (tmp_path / "Thumbs.db").write_bytes(b"\0")
    assert [picture.name for picture in load_pictures(tmp_path, 1)] == ["a.png"]


def test_names_in_any_encoding(tmp_path):
    try:
        save(tmp_path / os.fsdecode(b"caf\xe9.png"), rows(1, 2))
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    (picture,) = load_pictures(tmp_path, 1)
    assert picture.name == r"caf\xe9.png"
    assert len(fingerprint([picture])) == 64
    assert check_data(tmp_path)["all"]["pictures"] == 1
