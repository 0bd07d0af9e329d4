# SPDX-License-Identifier: BSD-3-Clause
"""convert --neuron sigma-delta, and every command on what it writes."""

import json
import re
import sys

import numpy as np
import pytest
from PIL import Image

from export.netx import read_network
from loihi_unet.cli.main import main


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A stranger's module, pictures, and a video of three frames."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "mine.py").write_text(
        "import torch\n\n\ndef network():\n    torch.manual_seed(0)\n"
        "    return torch.nn.Sequential(\n"
        "        torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.ReLU(),\n"
        "        torch.nn.Conv2d(4, 1, 3, padding=1))\n"
    )
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (40, 48), dtype=np.uint8)
    (folder / "video").mkdir()
    for n in range(3):
        Image.fromarray(np.roll(pixels, n, 1)).save(folder / "video" / f"{n}.png")
    return folder


@pytest.fixture
def run(monkeypatch, capsys):
    """Call a command: (exit code, stdout, stderr)."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["loihi-unet", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            main()
        output = capsys.readouterr()
        return caught.value.code or 0, output.out, output.err

    return call


@pytest.fixture
def converted(run, files, tmp_path):
    source = f"{files / 'mine.py'}:network"
    path = tmp_path / "a.net"
    how = ["--neuron", "sigma-delta", "--input", "1x32x32", "--data", files / "video"]
    code, shown, said = run("convert", source, *how, "--out", path)
    assert code == 0, said
    assert "a picture takes" in shown
    return path


def test_pictures_run_and_compare(run, converted, files, tmp_path):
    code, shown, _ = run("inspect", converted)
    assert code == 0
    assert "stock netx" in shown
    machines = ["--backend", "torch", "--backend", "reference", "--crop", "24x16"]
    code, shown, said = run("verify", converted, files / "video", *machines)
    assert code == 0, said
    assert "EXACT" in shown
    where = ["--out", tmp_path / "a.h5", "--pictures", tmp_path / "p", "--json"]
    code, shown, said = run("simulate", converted, files / "video", *where)
    assert code == 0, said
    assert json.loads(shown)["images"] == 3
    assert len(list((tmp_path / "p").iterdir())) == 3
    code, shown, said = run("fit", converted, "--chip", "loihi2", "--json")
    assert code in (0, 1), said


def test_a_video_keeps_its_state(run, converted, files, tmp_path):
    out = ["--stream", "--out", tmp_path / "a.h5", "--json"]
    code, shown, said = run("simulate", converted, files / "video", *out)
    assert code == 0, said
    found = json.loads(shown)
    network = read_network(converted)
    assert found["num_steps"] == 3 + network.num_steps - 1
    assert len(found["events"]) == len(found["operations"]) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--steps", "4"], "--steps: not for sigma-delta neurons"),
        (["--size", "30x32"], "--size 30x32: sides must be positive multiples of 16"),
        (["--input", "1x8x8"], "--input, --allow, .* are for FILE.py:FUNCTION"),
    ],
)
def test_bad_options_are_one_line(run, words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, error = run("convert", "denoise-gray", "--neuron", "sigma-delta", *words)
    assert code == 2
    assert re.search(said, " ".join(error.split()))
    assert not list(tmp_path.rglob("*.net"))


def test_export_makes_what_convert_makes_at_once(run, converted, files, tmp_path):
    stored = tmp_path / "a.safetensors"
    how = ["--neuron", "sigma-delta", "--input", "1x32x32", "--data", files / "video"]
    code, shown, said = run(
        "convert", f"{files / 'mine.py'}:network", *how, "--out", stored
    )
    assert code == 0, said
    assert f"next: loihi-unet export {stored} --out NETWORK.net" in shown
    code, _, said = run("export", stored, "--out", tmp_path / "b.net")
    assert code == 0, said
    assert (tmp_path / "b.net").read_bytes() == converted.read_bytes()
    large = ["--size", "48x40", "--out", tmp_path / "c.net"]
    code, _, said = run("export", stored, *large)
    assert code == 0, said
    assert (
        read_network(tmp_path / "c.net").sha256
        == read_network(converted).resized(48, 40).sha256
    )
    for words, problem in (
        (["--mapping", "parallel-if"], "--mapping parallel-if: of multi-threshold"),
        (["--size", "0x8"], "--size 0x8: sides must be positive multiples of 1"),
    ):
        code, _, said = run("export", stored, *words, "--out", tmp_path / "d.net")
        assert code == 2
        assert problem in " ".join(said.split())
        assert not (tmp_path / "d.net").exists()


def test_stream_is_for_sigma_delta(run, files, tmp_path):
    words = [files / "video", "--stream", "--out", tmp_path / "a.h5"]
    code, _, said = run("simulate", "denoise-gray", *words)
    assert code == 2
    assert "--stream keeps the state of sigma-delta neurons" in " ".join(said.split())
    code, _, said = run("evaluate", "denoise-gray", "--budget", "0.1")
    assert code == 2
    assert "with --stream" in said
