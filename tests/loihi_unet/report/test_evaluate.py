# SPDX-License-Identifier: BSD-3-Clause
"""The report of a scored set, and what is drawn over its pictures."""

import json

import numpy as np
import pytest
from PIL import Image

from export.lowering import lower
from export.netx import write_network
from loihi_unet.conversion.convert import convert
from loihi_unet.data.pictures import VOID, Picture
from loihi_unet.report.evaluate import write_report
from loihi_unet.report.overlay import EXTRA, MISSED, RIGHT, class_map, legend, overlay
from loihi_unet.runs.evaluate_set import EvaluateConfig, evaluate_set


def test_denoising(tmp_path, trained, folder):
    snn = convert(trained, tmp_path / "snn.safetensors", folder, num_steps=3)
    write_network(lower(snn, 16, 16), tmp_path / "n.net")
    settings = EvaluateConfig(data=folder, sigma=20, checkpoint=str(trained))
    found = evaluate_set(tmp_path / "n.net", settings, command="how", workers=1)
    page = write_report(tmp_path / "report", found).read_text()
    record = json.loads((tmp_path / "report" / "report.json").read_text())
    assert record["quality"]["chip_psnr"] == found.row["chip"]["psnr"]
    assert record["quality"]["ann_ssim"] == found.row["ann"]["ssim"]
    (table,) = record["tables"]
    assert len(table["rows"]) == 5
    column = table["columns"].index("integer network: PSNR, dB")
    values = [row[column] for row in table["rows"]]
    assert np.mean(values) == pytest.approx(found.row["chip"]["psnr"], abs=1e-3)
    groups = list(dict.fromkeys(p["group"] for p in record["pictures"]))
    names = [row[0] for row in sorted(table["rows"], key=lambda row: row[column])]
    assert groups == [
        f"{names[0]}, worst PSNR of 5",
        f"{names[2]}, median PSNR of 5",
        f"{names[4]}, best PSNR of 5",
    ]
    titles = [p["title"] for p in record["pictures"]][:5]
    assert titles[0] == "input: noisy"
    assert titles[1:4] == ["float ANN", "integer network", "truth"]
    assert titles[4] == "integer network minus ANN"
    assert "EXACT" not in page


def _colour(pixels, y, x):
    return "#" + bytes(pixels[:, y, x].tolist()).hex()


def test_overlay_of_two_classes():
    label = np.array([[1, 1, 0, 0, VOID]], np.uint8)
    classes = np.array([[1, 0, 1, 0, 0]], np.uint8)
    gray = np.full((1, 1, 5), 100, np.uint8)
    drawn = overlay(Picture(name="", pixels=gray, label=label), classes, 2)
    assert [_colour(drawn, 0, x) for x in range(3)] == [RIGHT, MISSED, EXTRA]
    assert _colour(drawn, 0, 3) == _colour(drawn, 0, 4) == "#646464"
    view = np.array([[True, True, True, False, True]])
    masked = Picture(name="", pixels=gray, label=label, mask=view)
    assert _colour(overlay(masked, classes, 2), 0, 3) == "#282828"
    assert class_map(classes, 2).tolist() == [[[255, 0, 255, 0, 0]]]
    assert set(legend(2)) == {RIGHT, MISSED, EXTRA}


def test_overlay_of_several_classes():
    label = np.array([[10, 1, VOID]], np.uint8)
    classes = np.array([[10, 2, 2]], np.uint8)
    picture = Picture(name="", pixels=np.full((3, 1, 3), 7, np.uint8), label=label)
    drawn = overlay(picture, classes, 11)
    assert [_colour(drawn, 0, x) for x in range(3)] == ["#070707", EXTRA, "#070707"]
    assert [_colour(class_map(label, 11), 0, x) for x in (0, 2)] == [
        "#ffffff",
        "#404040",
    ]
    assert legend(11) == {EXTRA: "wrong class"}


def test_pictures_are_files(tmp_path, trained, folder):
    snn = convert(trained, tmp_path / "snn.safetensors", folder, num_steps=3)
    write_network(lower(snn, 16, 16), tmp_path / "n.net")
    one = sorted(folder.glob("*.png"))[0]
    settings = EvaluateConfig(data=one)
    found = evaluate_set(tmp_path / "n.net", settings, command="how", workers=1)
    write_report(tmp_path / "report", found)
    record = json.loads((tmp_path / "report" / "report.json").read_text())
    assert [p["group"] for p in record["pictures"]] == [one.name] * 4
    for picture in record["pictures"]:
        size = Image.open(tmp_path / "report" / picture["file"]).size
        assert size == Image.open(one).size
