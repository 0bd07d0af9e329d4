# SPDX-License-Identifier: BSD-3-Clause
"""DRIVE as folders of one's own gives segment-drive's integers the same scores."""

import numpy as np
import pytest
from PIL import Image

from benchmarks import drive_folders


@pytest.fixture
def drive(tmp_path):
    """DRIVE's folders, of two small pictures each."""
    random = np.random.default_rng(0)
    for part, first in (("training", 21), ("test", 1)):
        for number in (first, first + 1):
            stem = f"{number:02d}"
            picture = random.integers(0, 256, (40, 36, 3)).astype(np.uint8)
            vessel = np.where(random.random((40, 36)) < 0.2, 255, 0).astype(np.uint8)
            view = np.zeros((40, 36), np.uint8)
            view[4:-4, 4:-4] = 255
            for name, pixels in (
                (f"images/{stem}_{part}.tif", picture),
                (f"1st_manual/{stem}_manual1.gif", vessel),
                (f"mask/{stem}_{part}_mask.gif", view),
            ):
                path = tmp_path / part / name
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    return tmp_path


def test_the_scores_are_equal(drive, monkeypatch):
    rows = drive_folders.both(drive)
    assert rows["drive"]["task"] == "drive"
    assert rows["folders"]["task"] == "segment"
    assert rows["drive"]["data_sha256"] == rows["folders"]["data_sha256"]
    assert rows["folders"]["chip"]["f1"] > 0
    chip = dict(rows["folders"]["chip"])
    assert rows["drive"]["chip"] == chip
    # Other pixels would not go unnoticed.
    config = drive_folders.CONFIG.replace('contrast = "clahe"\n', "")
    monkeypatch.setattr(drive_folders, "CONFIG", config)
    assert drive_folders.both(drive)["folders"]["chip"] != chip
