# SPDX-License-Identifier: BSD-3-Clause
"""One's own photo: any size, gray or colour; crops are chosen and shown."""

import itertools
import json

import numpy as np
import pytest
from PIL import Image

from loihi_unet.demo import backends, crops, detail
from loihi_unet.demo.detail import detailed_corners
from loihi_unet.demo.photo import LONGEST, own_photo
from loihi_unet.demo.run import run_demo
from loihi_unet.errors import DataError
from sim.backend import BackendError, create


def photo(path, shape):
    levels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(levels).save(path)
    return path


@pytest.mark.parametrize("shape", [(7, 5), (33, 50), (16, 16, 3), (1, 1)])
def test_any_size_gray_or_colour(tmp_path, shape):
    subject, note = own_photo(photo(tmp_path / "my.png", shape), "denoise", 25.0)
    assert note == ""
    assert subject.model == ("denoise-colour" if len(shape) == 3 else "denoise-gray")
    assert subject.size == shape[:2]
    assert all(side % 16 == 0 for side in subject.pixels.shape[1:])
    outputs = dict.fromkeys(("ann", "snn", "chip"), subject.pixels)
    shown = subject.pictures(outputs)
    assert {item.pixels.shape[1:] for item in shown.values()} == {shape[:2]}


def test_gray_that_is_stored_as_colour(tmp_path):
    gray = np.random.default_rng(0).integers(0, 256, (20, 20, 1), dtype=np.uint8)
    Image.fromarray(gray.repeat(3, axis=2)).save(tmp_path / "my.png")
    assert own_photo(tmp_path / "my.png", "denoise", 25.0)[0].model == "denoise-gray"


def test_a_large_one_is_made_smaller(tmp_path):
    path = photo(tmp_path / "my.png", (1200, 2048))
    subject, note = own_photo(path, "denoise", 0.0)
    assert subject.size == (600, LONGEST)
    assert "1200x2048 pixels, made smaller to 600x1024" in note


def test_noisy_already(tmp_path):
    path = photo(tmp_path / "my.png", (32, 32))
    subject, _ = own_photo(path, "denoise", 0.0)
    assert (subject.pixels == np.asarray(Image.open(path))).all()
    outputs = dict.fromkeys(("ann", "snn", "chip"), subject.pixels)
    assert subject.scores(outputs) == {}
    assert "clean" not in subject.pictures(outputs)


def test_a_folder_is_no_photo(tmp_path):
    with pytest.raises(DataError, match="a folder found, a picture needed"):
        own_photo(tmp_path, "denoise", 25.0)


def test_the_most_detailed_parts():
    pixels = np.zeros((1, 64, 96), np.float32)
    pixels[0, 32:48, 64:80] = np.random.default_rng(0).integers(0, 99, (16, 16))
    pixels[0, :16, :16] = np.random.default_rng(1).integers(0, 9, (16, 16))
    corners = detailed_corners(pixels, 16, 2)
    assert corners == ((32, 64), (0, 0))
    # None over another, however many are asked for.
    many = detailed_corners(pixels, 32, 99)
    assert 2 <= len(many) <= 6
    for (a, b), (c, d) in itertools.combinations(many, 2):
        assert abs(a - c) >= 32 or abs(b - d) >= 32


@pytest.mark.lava
def test_the_demo_of_a_photo(tmp_path, monkeypatch):
    """Without Lava's slowest model, which the demo of the camera man runs."""

    def few(name):
        if name == "lava-stock":
            raise BackendError("not here")
        return create(name)

    monkeypatch.setattr(backends, "create", few)
    monkeypatch.setattr(detail, "CROP", 16)
    monkeypatch.setattr(crops, "REFERENCE_CROP", 16)
    subject, _ = own_photo(photo(tmp_path / "my.png", (40, 33)), "denoise", 25.0)
    run_demo(tmp_path / "out", lambda title: lambda *now: None, "denoise", subject)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["verdict"] == "EXACT"
    assert report["title"] == "One photograph through every backend"
    assert [c["sizes"] for c in report["comparisons"]] == [[[3, 16, 16]], [[1, 16, 16]]]
    assert all(c["coverage"]["weights"]["met"] for c in report["comparisons"])
    assert "the whole picture (40x33)" in report["torch_only"][0]
    drawn = report["pictures"][-1]
    meanings = [meaning for _, meaning in drawn["legend"]]
    assert meanings == ["lava: 3 crops of 16x16", "reference: 1 crop of 16x16"]
    pixels = np.asarray(Image.open(tmp_path / "out" / drawn["file"]))
    for colour, _ in drawn["legend"]:
        assert (pixels == list(bytes.fromhex(colour[1:]))).all(axis=-1).any()


@pytest.mark.slow
def test_without_lava_another_title(tmp_path, monkeypatch):
    def none(name):
        if name.startswith("lava"):
            raise BackendError("no Lava here")
        return create(name)

    monkeypatch.setattr(backends, "create", none)
    monkeypatch.setattr(detail, "CROP", 16)
    subject, _ = own_photo(photo(tmp_path / "my.png", (16, 16)), "denoise", 0.0)
    run_demo(tmp_path / "out", lambda title: lambda *now: None, "denoise", subject)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<h1>One photograph through torch and reference, without Lava</h1>" in page
    assert "Skipped: no Lava here" in page
    assert "every backend" not in page
