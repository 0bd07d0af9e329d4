# SPDX-License-Identifier: BSD-3-Clause
"""How close the integers of somebody's network come to its float outputs."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from export.images import decode
from export.netx import read_network
from loihi_unet.cli.main import main
from loihi_unet.runs.evaluate_own import Closeness
from sim.backend import create

NET = """
import torch
from torch import nn

def load(last=None):
    torch.manual_seed(0)
    parts = [nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 3, padding=1)]
    return nn.Sequential(*parts, *([] if last is None else [last]))

def other():
    net = load()
    net[2].weight.data.neg_()
    return net

def classes():
    return load(nn.Softmax(dim=1))
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    (tmp_path / "net.py").write_text(NET)
    random = np.random.default_rng(0)
    for index, size in enumerate([(16, 24), (20, 18)]):
        coarse = random.integers(0, 256, (4, 6)).astype(np.uint8)
        picture = Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC)
        (tmp_path / "data").mkdir(exist_ok=True)
        picture.save(tmp_path / "data" / f"{index}.png")
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["loihi-unet", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        output = capsys.readouterr()
        return ended.value.code or 0, output.out, output.err

    return call


def made(run, function, *options):
    file = f"{function}.st"
    command = ("convert", f"net.py:{function}", "--input", "1x16x16", "--data", "data")
    sizes = ("--steps", 4, "--thresholds", 6, "--out", file)
    assert run(*command, *sizes, *options)[0] == 0
    assert run("export", file, "--out", f"{function}.net")[0] == 0
    return f"{function}.net"


def test_it_is_the_distance_from_the_float_network(run, tmp_path):
    network = made(run, "load")
    again = ("--data", "data", "--results", "rows.json", "--json")
    module = ("--checkpoint", "net.py:load", "--spiking", "load.st")
    code, out, _ = run("evaluate", network, *module, *again)
    assert code == 0
    row = json.loads(out)
    assert json.loads((tmp_path / "rows.json").read_text()) == [row]
    assert (row["pictures"], row["T"], row["N"]) == (2, 4, 6)
    wanted, found = [], []
    namespace = {}
    exec(NET, namespace)  # the test's own text
    for index in range(2):
        levels = np.array(Image.open(tmp_path / "data" / f"{index}.png"), np.int32)
        sized = read_network(tmp_path / network).resized(*levels.shape)
        output = create("reference").run(sized, levels[None, None]).output
        found.append(decode(sized, output).ravel())
        x = torch.from_numpy(levels[None, None].astype(np.float32) / 255)
        with torch.no_grad():
            wanted.append(namespace["load"]()(x).numpy().ravel())
    wanted, found = map(np.concatenate, (wanted, found))
    error = np.sqrt(np.square(wanted - found).mean())
    decibels = 20 * np.log10((wanted.max() - wanted.min()) / error)
    assert row["chip"]["decibels"] == pytest.approx(decibels, rel=1e-5)
    correlation = np.corrcoef(wanted, found)[0, 1]
    assert row["chip"]["correlation"] == pytest.approx(correlation, rel=1e-6)
    assert row["chip"]["correlation"] > 0.98
    assert row["snn"]["correlation"] > 0.98
    # Another network is not what these integers are close to.
    command = ("evaluate", network, "--checkpoint", "net.py:other", *again)
    assert json.loads(run(*command)[1])["chip"]["correlation"] < 0.9


def test_what_is_left_to_the_reader_is_done_by_the_reader(run):
    network = made(run, "classes", "--allow", "softmax=reader")
    command = ("evaluate", network, "--checkpoint", "net.py:classes", "--data", "data")
    code, out, err = run(*command, "--json")
    assert code == 0, err
    assert json.loads(out)["chip"]["decibels"] > 25
    logits = ("evaluate", network, "--checkpoint", "net.py:load", "--data", "data")
    assert json.loads(run(*logits, "--json")[1])["chip"]["decibels"] < 20


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "nobody knows what the output of this network means"),
        (("--checkpoint", "denoise-gray"), "--checkpoint FILE.py:FUNCTION tells how"),
        (("--task", "denoise"), "of which no task is known; asked for denoise"),
        (("--report", "r"), "--report: not for load.net"),
        (("--checkpoint", "net.py:none"), "net.py: no function 'none'"),
        (("--checkpoint", "net.py:load", "--data", "none"), "none: no such"),
    ],
)
def test_what_cannot_be_told_is_one_line(run, tmp_path, options, message):
    network = made(run, "load")
    code, _, err = run("evaluate", network, "--data", "data", *options)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "r").exists()


def test_closeness_of_constants():
    same = Closeness()
    same.add(torch.ones(4), torch.ones(4))
    assert same.measures()["correlation"] == 1
    other = Closeness()
    other.add(torch.zeros(4), torch.ones(4))
    assert other.measures() == {"decibels": 0.0, "correlation": 0.0}
