# SPDX-License-Identifier: BSD-3-Clause
"""The trainings for a GPU, on the CPU with a tiny network: stopped, and gone on."""

import json
import shutil
import sys
import time
from dataclasses import replace

import pytest
import torch

from benchmarks import gpu_training
from benchmarks.gpu_training import JOBS, Options, Piece, pieces, run, work
from export.errors import UserError
from loihi_unet.config import load_config

TINY = (
    *("model.levels=1", "patch_size=16", "batch_size=2", "iterations=4"),
    *("validation_interval=2", "validation_images=2", "precision=float32"),
)


@pytest.fixture
def options(tmp_path, folder):
    root = tmp_path / "data"
    shutil.copytree(folder, root / "BSDS500-train")
    (root / "Set12").mkdir()
    shutil.copy(folder / "picture7.png", root / "Set12")
    return Options(
        data_root=root,
        out=tmp_path / "out",
        device="cpu",
        settings=TINY,
        widths=(2,),
        finetune=2,
    )


@pytest.fixture
def job():
    gray = replace(JOBS[0], test=("Set12",), sigmas=(25,), variants=((1, 4),))
    return replace(gray, patch=16)


@pytest.mark.slow
def test_all_of_it_and_nothing_twice(options, job, capfd):
    # No time at all: nothing begins.
    assert not work([job], replace(options, deadline=time.monotonic()))
    assert not options.out.exists()
    assert work([job], options)
    said = capfd.readouterr().out
    rows = json.loads((options.out / "results.json").read_text())
    assert [(row["data"], row["sigma"], row["T"], row["N"]) for row in rows] == [
        ("Set12", 25.0, 1, 4)
    ]
    assert rows[0]["width"] == 2
    order = ["train", "convert", "finetune", "export", "evaluate"]
    lines = [line for line in said.splitlines() if line.startswith("loihi-unet ")]
    assert [line.split()[1] for line in lines] == order
    assert work([job], options)
    assert "loihi-unet" not in capfd.readouterr().out


def test_a_run_that_was_stopped_is_resumed(options, job):
    first, *_ = pieces(job, 2, options)
    assert "--resume" not in first.command
    last = options.out / "gray-2" / "unet" / "checkpoints" / "last.safetensors"
    last.parent.mkdir(parents=True)
    last.touch()
    first, *_ = pieces(job, 2, options)
    assert first.command[-1] == "--resume"


def test_a_command_that_takes_too_long_is_stopped(options, tmp_path, monkeypatch):
    program = tmp_path / "sleeper.sh"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    soon = replace(options, deadline=time.monotonic() + 0.2)
    piece = Piece(tmp_path / "done", ["train"])
    started = time.monotonic()
    assert not run(piece, soon)
    assert time.monotonic() - started < 30
    assert not piece.mark.exists()


def test_a_command_that_fails_stops_everything(options, job):
    shutil.rmtree(options.data_root)
    with pytest.raises(UserError, match=r"loihi-unet train .*: exit code 2"):
        work([job], options)
    assert not (options.out / "gray-2" / "done").exists()


def test_without_cuda_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu_training.py", "--data-root", str(tmp_path)])
    assert gpu_training.main() == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "no CUDA device found" in said.err


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_settings_are_allowed(job):
    settings = [*gpu_training.TRAINING, *job.settings]
    changes = dict(setting.split("=") for setting in settings)
    numbers = {key: float(value) for key, value in changes.items()}
    whole = {k: int(v) if v == int(v) else v for k, v in numbers.items()}
    for width in job.widths:
        config = load_config(job.config, {**whole, "model.base_channels": width})
        assert config.model.base_channels == width
        assert job.patch % config.model.multiple == 0
