# SPDX-License-Identifier: BSD-3-Clause
"""README.md does what it says, on tiny settings, and its numbers were measured."""

import json
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from drive import make_drive
from skimage import data, io

import loihi_unet
from loihi_unet.cli.main import main
from loihi_unet.config import named_configs
from loihi_unet.demo import backends, crops, detail
from sim.backend import BackendError, create
from sim.coverage import choose

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
TINY = (
    "iterations=2", "batch_size=2", "patch_size=16", "validation_interval=2",
    "model.base_channels=2", "model.levels=2",
)  # fmt: skip
SMALL = {
    "train": [word for setting in TINY for word in ("--set", setting)],
    "finetune": ["--iterations", "1", "--batch-size", "1", "--patch-size", "16"],
    "evaluate": ["--workers", "1"],
}
SIZES = {"128x128": "32x32", "64x64": "16x16", "32x32": "16x16"}


def code(kind):
    return re.findall(rf"```{kind}\n(.*?)```", TEXT, re.S)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder with what the commands name, small."""
    for folder, count in (("BSDS500-train", 6), ("Set12", 2), ("photos", 2)):
        (tmp_path / folder).mkdir()
        for index in range(count):
            part = data.camera()[60 * index :][:64, 200:264]
            io.imsave(tmp_path / folder / f"{index}.png", part)
    make_drive(tmp_path / "DRIVE")
    io.imsave(tmp_path / "photo.png", data.camera()[100:132, 200:232])
    io.imsave(tmp_path / "my.jpg", data.astronaut()[40:59, 200:223])
    (own,) = [block for block in code("python") if "def network" in block]
    (tmp_path / "my_network.py").write_text(own)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(detail, "CROP", 16)
    monkeypatch.setattr(crops, "REFERENCE_CROP", 16)
    monkeypatch.setattr(choose, "LEAST_PIXELS", 0)
    return tmp_path


def no_stock(name):
    if name == "lava-stock":  # minutes; tests/loihi_unet/demo has it
        raise BackendError("lava-stock: not in this test")
    return create(name)


def call(command, monkeypatch, capsys):
    words = [SIZES.get(word, word) for word in shlex.split(command, comments=True)]
    assert words[0] == "loihi-unet"
    monkeypatch.setattr(sys, "argv", [*words, *SMALL.get(words[1], [])])
    with pytest.raises(SystemExit) as ended:
        main()
    output = capsys.readouterr()
    assert not ended.value.code, f"{command}\n{output.out}{output.err}"
    return output.out


@pytest.mark.lava
def test_every_command(home, monkeypatch, capsys):
    monkeypatch.setattr(backends, "create", no_stock)
    commands = "".join(code("sh")).splitlines()
    assert len(commands) == 19
    for command in commands:
        said = call(command, monkeypatch, capsys)
        if " verify " in command or " demo " in command:
            assert "EXACT" in said
    page = (home / "runs" / "photo" / "report.html").read_text(encoding="utf-8")
    assert "lava-stock: not in this test" in page
    assert (home / "runs" / "network.png").stat().st_size > 10_000


@pytest.mark.lava
def test_ten_lines_of_python(home, monkeypatch, capsys):
    (lines,) = [block for block in code("python") if "loihi_unet.train" in block]
    assert len(lines.splitlines()) <= 10
    tiny = loihi_unet.config.load_config(
        "denoise-gray",
        {key: int(value) for key, value in (pair.split("=") for pair in TINY)},
    )
    train = loihi_unet.train
    monkeypatch.setattr(
        loihi_unet, "train", lambda name, *where: train(tiny, *where), raising=False
    )
    exec(lines, {})
    assert capsys.readouterr().out.splitlines()[-1] == "EXACT"


def test_other_commands_are_there():
    """Of `make`, and those whose own tests run them."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`?make ([a-z]+)", TEXT):
        assert f"\n{target}:" in makefile
    for name in re.findall(r"--config ([a-z-]+)", TEXT):
        assert name in named_configs()


def test_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)]+)\)", TEXT):
        if not link.startswith("http"):
            assert (ROOT / link).is_file(), link


ROWS = (
    ("BSD68", {"data": "BSD68", "sigma": 25.0, "T": 1}, "psnr", 2),
    ("CBSD68", {"data": "CBSD68", "sigma": 25.0}, "psnr", 2),
    ("DRIVE", {"data": "DRIVE", "T": 10}, "f1", 3),
    ("ISBI 2012", {"data": "ISBI2012"}, "f1", 3),
    ("CamSeq01", {"data": "CamSeq01", "finetuned": True}, "miou", 3),
)


@pytest.mark.parametrize(("name", "which", "measure", "digits"), ROWS)
def test_results_are_those_of_the_rows(name, which, measure, digits):
    rows = json.loads((ROOT / "docs" / "results.json").read_text())
    (row,) = [r for r in rows if which.items() <= r.items() and r["finetuned"]]
    (line,) = re.findall(rf"^\| {name},.*$", TEXT, re.M)
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[2] == f"{row['ann'][measure]:.{digits}f}"
    assert cells[3] == f"{row['chip'][measure]:.{digits}f}"


def test_numbers_of_other_pages():
    costs = json.loads((ROOT / "docs" / "costs.json").read_text())
    onnx = costs["onnx"]
    ours, floats, bits = (
        f"{1000 * part['seconds']:.0f} ms"
        for part in (costs["torch"], onnx["float32"], onnx["int8"])
    )
    assert f"in {ours} on one core, where onnxruntime takes {floats}" in TEXT
    assert f"and {bits} for it in 8 bits" in TEXT
    table = (ROOT / "docs" / "fit_table.md").read_text()
    assert "loihi2 | graded | 2,629,632 | 757,924,416 | 155,456 | 1,284 | 11 |" in table


def test_picture_of_the_demo():
    pixels = np.asarray(io.imread(ROOT / "docs" / "demo.png"))
    assert pixels.shape[1] > 3 * pixels.shape[0]
