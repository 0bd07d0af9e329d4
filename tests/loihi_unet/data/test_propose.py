# SPDX-License-Identifier: BSD-3-Clause
"""What is proposed for a folder reads every file of it."""

import numpy as np
import pytest
from drive import make_drive
from folders import (
    COLOURS,
    blobs,
    make_classes,
    make_colours,
    make_pairs,
    make_palette,
    make_stacks,
    save,
)

from loihi_unet.config import load_config
from loihi_unet.data.check import check_data
from loihi_unet.data.propose import proposal_toml, propose
from loihi_unet.errors import DataError


@pytest.fixture
def read(tmp_path):
    """Propose, write, read back and check a folder."""

    def proposed(data):
        path = tmp_path / "proposed.toml"
        path.write_text(proposal_toml(data, propose(data)))
        config = load_config(path)
        found = check_data(data, task=config.task)
        parts = [part for part in found.values() if isinstance(part, dict)]
        assert not any(part["problems"] for part in parts)
        assert all(part["pictures"] for part in parts)
        return config

    return proposed


def test_palette_labels(tmp_path, read):
    config = read(make_palette(tmp_path / "d"))
    folders = config.task.folders
    assert (folders.images, folders.labels) == ("{part}/images", "{part}/labels")
    assert folders.values == {0: 0, 1: 1, 2: 2, 255: None}
    assert config.model.out_channels == 3
    assert config.patch_size <= 40


def test_colour_labels_with_names_of_their_own(tmp_path, read):
    config = read(make_colours(tmp_path / "d"))
    folders = config.task.folders
    assert folders.images == "images/{part}"
    assert folders.label_name == ("{stem}_mask",)
    assert set(folders.colours) == set(COLOURS)
    assert config.model.in_channels == folders.channels == 3


def test_stacks(tmp_path, read):
    config = read(make_stacks(tmp_path / "d"))
    assert config.task.folders.split.by == "last"
    assert config.task.folders.values == {0: 0, 255: 1}
    assert config.model.out_channels == 1


def test_pairs_and_their_scale(tmp_path, read):
    config = read(make_pairs(tmp_path / "d"))
    assert (config.task.kind, config.task.scale) == ("restore", 1)
    assert config.model.residual
    config = read(make_pairs(tmp_path / "e", scale=2))
    assert (config.task.scale, config.model.out_channels) == (2, 4)


def test_classes(tmp_path, read):
    config = read(make_classes(tmp_path / "d"))
    assert config.task.folders.classes == ("dark", "light")
    assert config.task.folders.images == "{part}"
    assert config.task.folders.sizes.how == "resize"
    # Without parts, a fifth is drawn.
    (tmp_path / "d" / "train").rename(tmp_path / "e")
    config = read(tmp_path / "e")
    assert (config.task.folders.images, config.task.folders.split.by) == (".", "seed")


def test_drive_is_found_with_its_masks(tmp_path, read):
    folders = read(make_drive(tmp_path / "d")).task.folders
    assert folders.labels == "{part}/1st_manual"
    assert folders.label_name == ("{first}_manual1",)
    assert (folders.masks, folders.mask_name) == ("{part}/mask", ("{stem}_mask",))


def test_lists_and_pictures_alone(tmp_path, read):
    data = make_pairs(tmp_path / "d")
    (data / "train.txt").write_text("0\n1\n2\n3\n")
    (data / "val.txt").write_text("4\n")
    (data / "test.txt").write_text("5\n")
    split = read(data).task.folders.split
    assert (split.by, split.validation, split.test) == ("lists", "val.txt", "test.txt")
    assert read(data / "target").task.kind == "denoise"


def test_what_cannot_be_proposed(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        propose(tmp_path / "none")
    with pytest.raises(DataError, match="no picture in this folder"):
        propose(tmp_path)
    save(tmp_path / "input" / "a.png", blobs(0)[0])
    save(tmp_path / "target" / "a.png", np.zeros((9, 9), np.uint8))
    with pytest.raises(DataError, match=r"9x9 pixels, its input has 40x48"):
        propose(tmp_path)
