# SPDX-License-Identifier: BSD-3-Clause
"""Coverage in `simulate` and `verify`, and `verify --stimulus`."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sim.coverage.choose
from export.netx import write_network
from loihi_unet.cli.main import main
from sim.coverage.flips import count_flips
from sim.selftest import small_network


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["loihi-unet", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        output = capsys.readouterr()
        return caught.value.code or 0, output.out, output.err

    return call


@pytest.fixture
def net(tmp_path):
    write_network(small_network(), tmp_path / "a.net")
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    (tmp_path / "pictures").mkdir()
    Image.fromarray(pixels).save(tmp_path / "pictures" / "a.png")
    return "a.net"


def test_every_command_says_the_same(run, net):
    _, out, _ = run("simulate", net, "pictures", "--out", "a.h5", "--json")
    counted = json.loads(out)["coverage"]
    assert 0 < counted["weights"]["met"] <= counted["weights"]["total"] == 518
    run("simulate", net, "pictures", "--out", "b.h5", "--backend", "reference")
    code, out, _ = run("verify", "a.h5", "b.h5", "--network", net, "--json")
    assert (code, json.loads(out)["coverage"]) == (0, counted)
    backends = ("--backend", "torch", "--backend", "reference")
    code, out, _ = run("verify", net, "pictures", *backends, "--workers", 1, "--json")
    assert (code, json.loads(out)["coverage"]) == (0, counted)
    code, out, _ = run("verify", "a.h5", "b.h5", "--network", net)
    assert "had a say: weights " in out
    _, out, _ = run("simulate", net, "pictures", "--layer", "mid", "--out", "c.h5")
    assert "coverage not counted: only some layers were recorded" in out


def test_stimulus(run, net):
    arguments = ("verify", net, "--stimulus", "--backend", "torch")
    arguments = (*arguments, "--backend", "reference", "--count", 12)
    code, out, _ = run(*arguments, "--json")
    record = json.loads(out)
    assert (code, record["identical"], len(record["pictures"])) == (0, True, 12)
    assert record["coverage"]["images"] == 12
    code, out, _ = run(*arguments, "--crop", "2x2")
    assert code == 0
    assert "EXACT" in out
    assert "never fired" in out
    assert "weights meet nothing at this size, whatever the picture" in out
    assert "of the weights whose source channel fired, without those: " in out


def test_stimulus_accounts_for_every_flipped_bit(run, net, monkeypatch):
    """Of a narrow network; tests/sim/coverage has the whole of it."""
    monkeypatch.setattr(sim.coverage.choose, "LEAST_PIXELS", 0)
    monkeypatch.setattr(sim.coverage.choose, "SEARCHES", 1)
    narrow = small_network(channels=1)
    write_network(narrow, Path(net))
    arguments = ("verify", net, "--stimulus", "--backend", "torch")
    _, out, _ = run(*arguments, "--backend", "reference", "--json")
    flips = json.loads(out)["flips"]
    assert flips["total"] == count_flips(narrow)
    assert flips["noticed"] + flips["proved"] + len(flips["left"]) == flips["total"]
    assert flips["noticed"] > 500
    _, out, _ = run(*arguments, "--backend", "reference", "--crop", "2x2")
    assert "flipped bits: " in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--stimulus",), "--stimulus needs --backend twice"),
        (("pictures", "--stimulus"), "--stimulus needs --backend twice"),
        (("x.h5", "--count", "3"), "--count is for --stimulus"),
        (
            ("pictures", "--stimulus", "--backend", "torch", "--backend", "reference"),
            "--stimulus makes the pictures",
        ),
        (
            ("--stimulus", "--backend", "torch", "--backend", "torch"),
            "backend 'torch' twice",
        ),
    ],
)
def test_bad_input_is_one_line(run, net, arguments, message):
    code, _, err = run("verify", net, *arguments)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
