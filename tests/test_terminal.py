# SPDX-License-Identifier: BSD-3-Clause
"""What the commands say to people: units, baselines, what comes next; no Python."""

import json
import re
import shlex
import sys

import numpy as np
import pytest
from PIL import Image

from loihi_unet.cli.main import main
from loihi_unet.plural import counted


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    (tmp_path / "my data").mkdir()
    for index in range(6):
        pixels = np.random.default_rng(index).integers(0, 256, (48, 40), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "my data" / f"{index}.png")
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["loihi-unet", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        output = capsys.readouterr()
        assert not ended.value.code, output.out + output.err
        return output.out

    return call


def next_of(text):
    (command,) = re.findall(r"^next: loihi-unet (.*)$", text, re.M)
    return shlex.split(command)


def cell(text, title):
    (value,) = re.findall(rf"│ {re.escape(title)}\s+│\s+([^│]+?)\s+│", text)
    return value


def test_each_says_what_comes_next(run):
    tiny = ("iterations=2", "batch_size=2", "patch_size=32", "validation_interval=2")
    small = ("model.base_channels=2", "model.levels=2")
    settings = [word for s in (*tiny, *small) for word in ("--set", s)]
    said = run("train", "--data", "my data", "--out", "runs/a", *settings)
    score = float(cell(said, "held-out pictures: PSNR, dB"))
    baseline = float(cell(said, "baseline, the noisy input itself"))
    assert 0 < score < 60
    assert 0 < baseline < 60
    assert cell(said, "best checkpoint") == "runs/a/checkpoints/best.safetensors"
    command = next_of(said)
    assert command[:4] == ["convert", "runs/a", "--data", "my data"]
    run(*command)
    small = ("--iterations", 1, "--batch-size", 1, "--patch-size", 16)
    tuned = ("finetune", command[-1], "--data", "my data", "--out", "t.safetensors")
    said = run(*tuned, *small)
    after = float(cell(said, "held-out pictures: PSNR, dB"))
    assert after >= float(cell(said, "baseline, before fine-tuning"))
    command = next_of(said)
    assert command == ["export", "t.safetensors", "--out", "t.net"]
    run(*command)
    evaluate = ("evaluate", "t.net", "--data", "my data", "--workers", 1)
    said = run(*evaluate)
    assert "my data: 6 pictures, sigma 25" in said
    assert "psnr, dB" in said
    shown = float(cell(said, "noisy input").split("│")[0])
    record = json.loads(run(*evaluate, "--json"))
    assert record["noisy"]["psnr"] == pytest.approx(shown, abs=1e-3)
    assert 18 < shown < 22
    for text in (said,):
        assert not re.search(r"None|True|False|PosixPath|\(s\)", text)


def test_counted():
    assert counted(1, "image") == "1 image"
    assert counted(0, "image") == "0 images"
    assert counted(1200, "picture") == "1,200 pictures"
