# SPDX-License-Identifier: BSD-3-Clause
"""A network with space to depth through every command."""

import json
import shlex
import sys

import pytest

from loihi_unet.__main__ import main

SETTINGS = (
    "--set model.stem=2 --set model.base_channels=4 --set model.levels=1 "
    "--set patch_size=16 --set batch_size=4 --set iterations=4 "
    "--set validation_interval=2 --set validation_images=2 --set precision=float32"
)


@pytest.fixture(scope="module")
def place(tmp_path_factory, folder):
    path = tmp_path_factory.mktemp("stem")
    (path / "pictures").symlink_to(folder)
    (path / "one").mkdir()
    (path / "one" / "picture.png").symlink_to(folder / "picture7.png")
    return path


@pytest.fixture
def run(place, monkeypatch, capsys):
    monkeypatch.chdir(place)

    def call(command):
        monkeypatch.setattr(sys, "argv", shlex.split(f"loihi-unet {command}"))
        with pytest.raises(SystemExit) as ended:
            main()
        output = capsys.readouterr()
        assert not ended.value.code, f"{command}\n{output.out}{output.err}"
        return output.out

    return call


@pytest.mark.lava
def test_every_command(run, place):
    run(f"train --data pictures --out run {SETTINGS}")
    assert "stem = 2" in (place / "run" / "config.toml").read_text()
    run("convert run --data pictures --steps 3 --thresholds 4 --out snn.safetensors")
    run(
        "finetune snn.safetensors --data pictures --out tuned.safetensors "
        "--iterations 2 --batch-size 2 --patch-size 16"
    )
    run("export tuned.safetensors --size 16x20 --out stem.net")
    assert "4x8x10" in run("inspect stem.net")  # half of each side
    for backend in ("torch", "reference", "lava"):
        run(
            f"simulate stem.net one --sigma 25 --backend {backend} --crop 16x20 "
            f"--out {backend}.h5"
        )
    for other in ("reference", "lava"):
        assert "EXACT" in run(
            f"verify torch.h5 {other}.h5 --network stem.net --report {other}"
        )
        assert (place / other / "report.html").stat().st_size > 10_000
    found = json.loads(run("fit stem.net --chip loihi2 --recording torch.h5 --json"))
    assert found["cores"] >= 1
    scores = json.loads(
        run(
            "evaluate stem.net --data one --sigma 25 --checkpoint run --json --tile 512"
        )
    )
    assert scores


@pytest.mark.lava
def test_sigma_delta_neurons(run, place):
    if not (place / "run").exists():
        run(f"train --data pictures --out run {SETTINGS}")
    run("convert run --neuron sigma-delta --data pictures --size 16x16 --out sd.net")
    assert "EXACT" in run(
        "verify sd.net one --backend torch --backend reference --crop 16x16"
    )
