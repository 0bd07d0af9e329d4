# SPDX-License-Identifier: BSD-3-Clause
"""What the demo shows and says; small crops, the real Lava runtime where it is."""

import json

import numpy as np
import pytest
from PIL import Image

from loihi_unet.demo import backends, crops, detail
from loihi_unet.demo import run as demo
from loihi_unet.demo.subject import Photograph, Retina
from loihi_unet.report.overlay import EXTRA, MISSED, rgb
from sim.backend import BackendError, create


def test_scores_of_the_photograph():
    subject = Photograph()
    clean = subject.clean.pixels.astype(np.float32)
    outputs = {"ann": clean, "snn": clean + 5, "chip": clean + 10}
    scores = subject.scores(outputs)
    assert scores["noisy_psnr"] == pytest.approx(20.2, abs=0.5)
    assert scores["snn_psnr"] == pytest.approx(scores["chip_psnr"] + 6.02, abs=0.1)
    shown = subject.pictures(outputs)
    assert list(shown) == ["noisy", "ann", "chip", "clean", "difference"]
    # 10 gray levels more everywhere: of a scale of 16.
    assert shown["difference"].scale == 16
    assert len(np.unique(shown["difference"].pixels.reshape(3, -1), axis=1).T) == 1
    window = np.s_[:, 8:40, 8:40]
    assert subject.psnr(clean[window] + 10, window) == pytest.approx(28.13, abs=0.01)


def test_scores_and_colours_of_the_retina():
    subject = Retina()
    assert subject.pixels.shape == (1, 552, 552)
    assert len(np.unique(subject.pixels)) > 200
    ann = np.full((1, 552, 552), -1, np.float32)
    ann[0, :3, 0] = 1
    chip = np.roll(ann, 1, axis=1)  # two of three right, one missed, one extra
    scores = subject.scores({"ann": ann, "snn": ann, "chip": chip})
    assert scores == {"snn_f1": 1.0, "chip_f1": pytest.approx(2 / 3)}
    difference = subject.pictures({"ann": ann, "chip": chip})["difference"].pixels
    assert difference[:, 0, 0].tolist() == list(rgb(MISSED))
    assert difference[:, 3, 0].tolist() == list(rgb(EXTRA))
    assert subject.psnr(ann, np.s_[:]) is None


def without_stock(name):
    if name == "lava-stock":  # a minute
        raise BackendError("lava-stock: not in this test")
    return create(name)


@pytest.mark.lava
@pytest.mark.parametrize(
    ("task", "stock"),
    [
        ("denoise", False),
        pytest.param("denoise", True, marks=pytest.mark.slow),
        pytest.param("segment", True, marks=pytest.mark.slow),
    ],
)
def test_the_demo(task, stock, tmp_path, monkeypatch):
    """Quickly without Lava's own model, which runs in the demo of a small network."""
    if not stock:
        monkeypatch.setattr(backends, "create", without_stock)
    monkeypatch.setattr(detail, "CROP", 32 if stock else 16)
    monkeypatch.setattr(crops, "REFERENCE_CROP", 16)
    done = []
    result = demo.run_demo(
        tmp_path, lambda title: lambda *now: done.append((title, *now)), task
    )
    report = json.loads((tmp_path / "report.json").read_text())
    assert report == json.loads(json.dumps(result.report))
    assert report["identical"] is True
    compared = [(c["left"], c["right"], c["images"]) for c in report["comparisons"]]
    assert compared == [
        ("torch", "lava", 3),
        ("torch", "reference", 1),
        *([("torch", "lava-stock", 1)] if stock else []),
    ]
    assert all(c["compared"] > 10**4 for c in report["comparisons"])
    for picture in report["pictures"]:
        with Image.open(tmp_path / picture["file"]) as image:
            assert min(image.size) >= 512
    assert {title for title, *_ in done} >= {"float ANN and SNN, whole picture"}
    html = (tmp_path / "report.html").read_text()
    assert "EXACT" in html
    quality = report["quality"]
    if task == "denoise":
        assert quality["chip_psnr"] > quality["noisy_psnr"] + 8
    else:
        assert quality["chip_f1"] > 0.95
