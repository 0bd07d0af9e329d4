# SPDX-License-Identifier: BSD-3-Clause
"""docs/your-own-network.md does what it says."""

import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage import data, io

from loihi_unet.cli.main import main

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "your-own-network.md").read_text(encoding="utf-8")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    network, _ = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    (tmp_path / "net.py").write_text(network)
    io.imsave(tmp_path / "picture.png", data.camera()[200:248, 200:248])
    monkeypatch.chdir(tmp_path)

    def call(command):
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        with pytest.raises(SystemExit) as ended:
            main()
        output = capsys.readouterr()
        return ended.value.code or 0, output.out, output.err

    return call


@pytest.mark.lava
def test_the_page(run, tmp_path):
    blocks = re.findall(r"```sh\n(.*?)```", TEXT, re.S)
    commands = "".join(blocks).splitlines()
    assert len(commands) == 9
    for command in commands:
        code, out, err = run(command)
        assert code == 0, f"{command}\n{out}{err}"
        if " inspect " in command:
            assert "refused" in out
            assert "max_pool2d=exact" in out
            assert "net.py:23" in out
        if " convert " in command:
            assert "faithful" in out
            assert "the file is run" in err
            found = dict(re.findall(r"│ (float SNN|integers)\s+│ *([\d.]+) %", out))
            assert float(found["integers"]) < 2
        if " evaluate " in command:
            _, decibels, correlation = re.findall(r"chip\)|[\d.]+", out)[-3:]
            assert float(decibels) > 30
            assert float(correlation) > 0.98
        if " verify " in command:
            assert "EXACT" in out
            page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
            assert "What became of net.py:load" in page
            assert "Where the quality went" in page
    written = np.load(tmp_path / "out" / "picture.npy")
    assert written.shape == (1, 32, 32)


def test_in_python(run, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    _, text = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    namespace: dict = {}
    exec(compile(text, "page", "exec"), namespace)  # the page's own example
    sys.modules.pop("net")
    snn, tuned = namespace["snn"], namespace["tuned"]
    assert not np.array_equal(snn.layers[0].bias, tuned.layers[0].bias)


def test_max_pool_is_refused(run, tmp_path):
    code, _, err = run("loihi-unet convert net.py:load --input 1x32x32 --out a.st")
    assert code == 2
    assert "layer 'pool': max_pool2d (net.py:23): no spiking layer does it" in err
    assert not (tmp_path / "a.st").exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("convert net.py:load", "--input CxHxW: needed for FILE.py:FUNCTION"),
        ("convert net.py:load --input 1x32", "--input 1x32: CxHxW needed"),
        ("convert nothing.py:load --input 1x8x8", "nothing.py: no such file"),
        ("convert net.py:nothing --input 1x8x8", "net.py: no function 'nothing'"),
        ("convert net.py:block --input 1x8x8", "net.py:block: TypeError: block()"),
        ("inspect net.py:load --input 3x8x8", "cannot be run on input of shape (2, 3"),
        ("inspect net.py:load --input 1x8x8 --std 0", "--scale and --std other than 0"),
        ("inspect net.py:load --input 1x8x8 --mean a", "a: numbers between commas"),
        ("inspect net.py:load --input 1x8x8 --mean 1,2", "--mean: 2 numbers for 1"),
        ("inspect net.py:load --input 1x8x8 --allow x", "--allow x: allowed are max_"),
        ("demo --task restore", "no network for it comes with the package"),
        (
            "demo --task classify --checkpoint denoise-gray --spiking denoise-gray",
            "--task classify: denoise-gray is a network for denoise",
        ),
        ("convert --allow max_pool2d=exact", "--allow, --scale, --mean, --std and --"),
    ],
)
def test_mistakes_are_one_line(run, command, message):
    code, _, err = run(f"loihi-unet {command}")
    assert code == 2
    assert message in err
    assert "Traceback" not in err


def test_a_pickle_gets_the_five_lines(run, tmp_path):
    import torch

    torch.save({"a": torch.zeros(1)}, tmp_path / "weights.pth")
    code, _, err = run("loihi-unet convert weights.pth")
    assert code == 2
    for line in ("import torch", "def load():", "weights.pth", "weights_only=True"):
        assert line in err


def test_weights_of_ones_own_get_the_five_lines_which_work(run, tmp_path):
    import torch
    from safetensors.torch import save_file

    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3, padding=1), torch.nn.ReLU())
    save_file(net.state_dict(), tmp_path / "weights.safetensors")
    code, _, err = run("loihi-unet convert weights.safetensors")
    assert (code, err.count("\n")) == (2, 1)
    (tmp_path / "your_code.py").write_text(
        "from torch import nn\n\n\ndef YourNet():\n"
        "    return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU())\n"
    )
    lines = [line for line in re.findall("`([^`]+)`", err) if "loihi" not in line]
    assert len(lines) == 5
    lines[3] = lines[3].replace("PATH", "'weights.safetensors'")
    (tmp_path / "net.py").write_text("\n".join(lines))
    (command,) = re.findall("`(loihi-unet convert net.py[^`]+)`", err)
    command = command.replace("convert", "inspect").replace("CxHxW", "1x8x8")
    code, out, err = run(command)
    assert code == 0, err
    assert "conv" in out
