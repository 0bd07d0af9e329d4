# SPDX-License-Identifier: BSD-3-Clause
"""Data sets in folders of any shape, and all that may be wrong with them."""

import numpy as np
import pytest
from folders import (
    COLOURS,
    PALETTE,
    blobs,
    make_classes,
    make_colours,
    make_pairs,
    make_palette,
    make_stacks,
    save,
)

from loihi_unet.builtin_sets import BUILT_IN
from loihi_unet.config import ClassifyConfig, RestoreConfig, SegmentConfig
from loihi_unet.data.check import check_data
from loihi_unet.data.datasets import Reading, load_data, load_training
from loihi_unet.data.pictures import VOID, fingerprint
from loihi_unet.errors import DataError
from loihi_unet.folder_config import ClassFolders, LabelFolders, PairFolders

THREE = ["background", "cell", "nucleus"]
BY_FOLDERS = {"images": "{part}/images", "labels": "{part}/labels", "classes": THREE}


def segment(**folders):
    return SegmentConfig(dataset="folders", folders=LabelFolders(**folders))


def restore(scale=1, **folders):
    return RestoreConfig(scale=scale, folders=PairFolders(**folders))


def problems(data, task):
    """What data check says of each part."""
    found = check_data(data, task=task)
    return [line for part in ("train", "test") for line in found[part]["problems"]]


def test_palette_labels_with_an_ignored_value(tmp_path):
    make_palette(tmp_path)
    task = segment(**BY_FOLDERS, ignore=[255])
    train, test = (load_data(task, tmp_path, 1, split) for split in ("train", "test"))
    assert [len(train), len(test)] == [7, 3]
    assert train[0].name == "train/images/cell0.png"
    levels, classes = blobs(0, 40, 48)
    np.testing.assert_array_equal(train[0].pixels[0], levels)
    np.testing.assert_array_equal(train[0].label[2:], classes[2:])
    assert (train[0].label[:2] == VOID).all()
    with pytest.raises(DataError, match=r"cell0.png: class 255 .*palette.*; allowed 0"):
        load_data(segment(**BY_FOLDERS), tmp_path, 1)


def test_colour_labels_beside_a_part_below(tmp_path):
    make_colours(tmp_path)
    classes = [{"name": n, "colours": [c]} for n, c in zip(THREE, COLOURS, strict=True)]
    task = segment(
        images="images/{part}",
        labels="annotations/{part}",
        label_name="{stem}_mask",
        channels=3,
        classes=classes,
    )
    test = load_data(task, tmp_path, 3, "test")
    assert test[0].name == "test/7.jpg.png"
    np.testing.assert_array_equal(test[0].label, blobs(7)[1])
    assert problems(tmp_path, task) == []
    # The colours of a palette picture count where classes have colours alone.
    path = tmp_path / "annotations" / "test" / "7.jpg_mask.png"
    save(path, blobs(7)[1], PALETTE)
    again = load_data(task, tmp_path, 3, "test")
    np.testing.assert_array_equal(again[0].label, test[0].label)
    save(path, np.full((48, 40, 3), (9, 8, 7), np.uint8))
    (line,) = problems(tmp_path, task)
    assert "7.jpg_mask.png: a colour picture: 9,8,7 at row 0" in line


def test_stacks_of_twelve_bits(tmp_path):
    make_stacks(tmp_path)
    task = segment(classes=["gap", "cell"], split={"by": "last", "test": 3})
    reading = Reading(white_level=4095)
    train = load_data(task, tmp_path, 1, "train", reading)
    test = load_data(task, tmp_path, 1, "test", reading)
    assert (train[6].name, test[0].name) == (
        "image-stack.tif#7",
        "image-stack.tif#8",
    )
    levels, classes = blobs(7)
    expected = np.rint(255 * 16.0 * levels / 4095)
    np.testing.assert_array_equal(test[0].pixels[0], expected)
    np.testing.assert_array_equal(test[0].label, classes > 0)
    assert test.levels[0].white == 4095


def test_pairs_of_two_sizes(tmp_path):
    make_pairs(tmp_path, scale=2)
    split = {"by": "seed", "test": 0.3, "validation": 2}
    task = restore(2, split=split)
    parts = {
        s: load_data(task, tmp_path, 1, s) for s in ("train", "validation", "test")
    }
    assert [len(part) for part in parts.values()] == [5, 2, 3]
    names = [name for part in parts.values() for name in part.names]
    assert len(set(names)) == 10
    picture = parts["test"][0]
    assert (picture.pixels.shape, picture.target.shape) == ((1, 24, 16), (1, 48, 32))
    other = load_data(restore(2, split=split | {"seed": 1}), tmp_path, 1, "test")
    assert other.names != parts["test"].names
    lines = problems(tmp_path, restore(split=split))
    assert len(lines) == 8
    assert "32x48 pixels" in lines[0]


def test_lists_of_names(tmp_path):
    make_pairs(tmp_path)
    (tmp_path / "train.txt").write_text("# mine\n0\n1.png\ninput/2.png\n\n3\n")
    split = {"by": "lists", "train": "train.txt", "test": ["7", "8.png"]}
    task = restore(images="input", split=split)
    with pytest.raises(DataError, match=r"split.train: no picture input/2.png"):
        load_data(task, tmp_path, 1)
    (tmp_path / "train.txt").write_text("# mine\n0\n1.png\n3\n")
    assert load_data(task, tmp_path, 1).names == ["0.png", "1.png", "3.png"]
    assert load_data(task, tmp_path, 1, "test").names == ["7.png", "8.png"]
    (tmp_path / "train.txt").write_text("0\n8\n")
    assert "in more than one part" in problems(tmp_path, task)[0]
    (tmp_path / "train.txt").unlink()
    assert "train.txt: no list of names" in problems(tmp_path, task)[0]


def test_folders_of_classes(tmp_path):
    make_classes(tmp_path)
    task = ClassifyConfig(
        folders=ClassFolders(
            classes=["dark", "light"],
            sizes={"how": "resize", "height": 32, "width": 24},
        )
    )
    train = load_data(task, tmp_path, 1)
    assert [picture.number for picture in train] == [0] * 5 + [1] * 5
    assert {picture.pixels.shape for picture in train} == {(1, 32, 24)}
    found = check_data(tmp_path, task=task)
    assert found["train"]["classes"] == {"dark": 0.5, "light": 0.5}
    (tmp_path / "test" / "light").rename(tmp_path / "test" / "bright")
    assert problems(tmp_path, task) == [
        f"{tmp_path / 'test' / 'bright'}: in no folder of a class; allowed are dark, "
        "light",
        f"{tmp_path / 'test' / 'light'}: no picture of this class",
    ]


def test_labels_in_the_folder_of_the_pictures(tmp_path):
    for index in range(4):
        levels, classes = blobs(index)
        save(tmp_path / f"{index}.png", levels)
        save(tmp_path / f"{index}_gt.png", classes)
    task = segment(
        images=".",
        labels=".",
        label_name="{stem}_gt",
        classes=THREE,
        split={"by": "last", "test": 1},
    )
    assert load_data(task, tmp_path, 1).names == ["0.png", "1.png", "2.png"]
    save(tmp_path / "9.png", blobs(0)[0])
    assert (
        "9.png: neither a picture with a label NAME_gt nor one"
        in (problems(tmp_path, task)[0])
    )


def test_tiles_hold_every_pixel_once(tmp_path):
    make_palette(tmp_path)
    whole = segment(**BY_FOLDERS, ignore=[255])
    sizes = {"how": "tile", "height": 20, "width": 30}
    tiled = segment(**BY_FOLDERS, ignore=[255], sizes=sizes)
    picture = load_data(whole, tmp_path, 1)[0]  # 40x48
    pieces = [p for p in load_data(tiled, tmp_path, 1) if "cell0.png" in p.name]
    assert [p.name.split("@")[1] for p in pieces] == ["0,0", "0,24", "20,0", "20,24"]
    for name in ("pixels", "label"):
        a, b, c, d = (getattr(piece, name) for piece in pieces)
        joined = np.concatenate(
            [np.concatenate([a, b], axis=-1), np.concatenate([c, d], axis=-1)], axis=-2
        )
        np.testing.assert_array_equal(joined, getattr(picture, name))


def test_crops_of_pairs_show_the_same(tmp_path):
    make_pairs(tmp_path, scale=2)
    sizes = {"how": "crop", "height": 10, "width": 8}
    split = {"by": "last", "test": 2}
    whole = load_data(restore(2, split=split), tmp_path, 1)[0]
    cut = load_data(restore(2, split=split, sizes=sizes), tmp_path, 1)[0]
    np.testing.assert_array_equal(cut.pixels, whole.pixels[:, 7:17, 4:12])
    np.testing.assert_array_equal(cut.target, whole.target[:, 14:34, 8:24])
    large = {"how": "crop", "height": 100, "width": 8}
    lines = problems(tmp_path, restore(2, split=split, sizes=large))
    assert len(lines) == 10
    assert "smaller than the crop of 100x8" in lines[0]


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    make_palette(tmp_path)
    task = segment(**BY_FOLDERS, ignore=[255])
    labels = tmp_path / "train" / "labels"
    (labels / "cell0.png").unlink()
    (labels / "cell1.png").write_bytes(b"no picture")
    save(labels / "cell2.png", np.zeros((3, 5), np.uint8))
    save(labels / "cell3.png", np.full((43, 45), 7, np.uint8))
    save(labels / "other.png", np.zeros((3, 5), np.uint8))
    (tmp_path / "test" / "images" / "cell8.png").write_text("<html>")
    lines = problems(tmp_path, task)
    for text in (
        "cell0.png: no such file; cell0.png needs it",
        "cell1.png: ",
        "cell2.png: 5x3 pixels, cell2.png has 46x42",
        "cell3.png: class 7; allowed 0..2 and 255 for void",
        "other.png: a label without a picture",
        "cell8.png: ",
    ):
        assert sum(text in line for line in lines) >= 1, text
    with pytest.raises(DataError, match=r"see data check"):
        load_data(task, tmp_path, 1)


def test_a_validation_part_of_its_own(tmp_path, tiny):
    make_palette(tmp_path)
    (tmp_path / "test").rename(tmp_path / "val")
    split = {"by": "folders", "validation": "val", "test": "val"}
    task = segment(**BY_FOLDERS, ignore=[255], split=split)
    config = tiny.model_copy(update={"task": task})
    known, train, validation = load_training(config, tmp_path)
    assert (len(known), len(train), len(validation)) == (7, 7, 3)
    task = segment(**BY_FOLDERS, ignore=[255], split={"by": "folders", "test": "val"})
    config = tiny.model_copy(update={"task": task})
    known, train, validation = load_training(config, tmp_path)
    assert (len(known), len(train), len(validation)) == (7, 5, 2)


def test_a_built_in_set_is_such_a_configuration(data_root):
    """The same pixels, labels, masks and names, whoever describes the folders."""
    own = SegmentConfig(dataset="folders", folders=BUILT_IN["drive"][0])
    for split in ("train", "test"):
        one = load_data(SegmentConfig(), data_root / "DRIVE", 1, split)
        other = load_data(own, data_root / "DRIVE", 1, split)
        assert fingerprint(one) == fingerprint(other)
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a.mask, b.mask)
    changed = BUILT_IN["drive"][0].model_copy(update={"contrast": "none"})
    plain = SegmentConfig(dataset="folders", folders=changed)
    assert fingerprint(load_data(plain, data_root / "DRIVE", 1, "test")) != (
        fingerprint(other)
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": "images"}, "split.by = 'folders' needs {part}"),
        ({"images": "{name}/images"}, "{name}; allowed is {part}"),
        ({"split": {"by": "last", "test": 1}}, "split.by = 'last' takes no {part}"),
        ({"label_name": "{x}"}, "{x}; allowed are {stem}"),
        ({"classes": ["a", "a"]}, "names of classes: 'a' is there more than once"),
        ({"classes": ["a", {"name": "b", "values": [3]}]}, "class 'a' has neither"),
        ({"classes": ["a", "b", "c"], "ignore": [2]}, "values of classes: 2 is there"),
        ({"class_weights": [1.0]}, "1 class_weights for 3 classes"),
        ({"sizes": {"how": "crop"}}, "crop, resize and tile need both"),
        ({"contrast": "clahe", "channels": 3}, "needs channels = 1"),
    ],
)
def test_settings_that_contradict_themselves(changes, message):
    with pytest.raises(ValueError, match=message.replace("{", r"\{")):
        LabelFolders(**(BY_FOLDERS | changes))
