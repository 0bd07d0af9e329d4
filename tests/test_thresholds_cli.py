# SPDX-License-Identifier: BSD-3-Clause
"""Options of convert and finetune that choose thresholds, through the command line."""

import json
import sys

import numpy as np
import pytest

from loihi_unet.cli.main import main
from loihi_unet.files.spiking_file import load_spiking_unet


@pytest.fixture
def call(folder, monkeypatch, capsys):
    """Run a command on the small pictures: (exit code, JSON or what went wrong)."""

    def run(command, *arguments):
        given = [command, *map(str, arguments), "--data", str(folder), "--json"]
        monkeypatch.setattr(sys, "argv", ["loihi-unet", *given])
        with pytest.raises(SystemExit) as caught:
            main()
        said = capsys.readouterr()
        if caught.value.code:
            return caught.value.code, said.err
        return 0, json.loads(said.out)

    return run


@pytest.fixture
def converted(call, trained, tmp_path):
    """A converted network of one step and four thresholds."""
    out = tmp_path / "c.safetensors"
    code, found = call(
        "convert", trained, "--steps", 1, "--thresholds", 4, "--out", out
    )
    assert code == 0, found
    return out


def bases(path):
    """Number of thresholds that each spiking layer's scale holds."""
    snn = load_spiking_unet(path)
    return {x.name: np.atleast_1d(x.scale).size for x in snn.layers if x.spiking}


def test_thresholds_per_channel_or_layer(call, trained, converted, tmp_path):
    out = tmp_path / "l.safetensors"
    code, found = call("convert", trained, "--thresholds-per", "layer", "--out", out)
    assert code == 0, found
    assert set(bases(out).values()) == {1}
    assert max(bases(converted).values()) > 1
    code, found = call("convert", trained, "--thresholds-per", "row", "--out", out)
    assert code == 2
    assert "row" in found


def test_a_budget_of_bits(call, trained, tmp_path):
    out = tmp_path / "b.safetensors"
    arguments = ("--steps", 1, "--thresholds", 8, "--bits", 6, "--out", out)
    code, found = call("convert", trained, *arguments)
    assert code == 0, found
    assert min(found["thresholds"].values()) < 6 < max(found["thresholds"].values())


@pytest.mark.parametrize("method", ["steps", "flow"])
def test_methods(call, converted, trained, tmp_path, method):
    out = tmp_path / "t.safetensors"
    short = ("--iterations", 2, "--validation-interval", 1, "--patch-size", 16)
    code, found = call(
        "finetune", converted, "--method", method, "--teacher", trained, *short,
        "--out", out,
    )  # fmt: skip
    assert code == 0, found
    # The best of both iterations and of none.
    assert found["after"] >= found["before"]
    assert out.is_file()


def test_quiet_and_pruned(call, converted, tmp_path):
    out = tmp_path / "q.safetensors"
    short = ("--iterations", 2, "--validation-interval", 1, "--patch-size", 16)
    code, found = call(
        "finetune", converted, "--prune", 0.05, "--quiet", 0.01, *short, "--out", out
    )
    assert code == 0, found
    before, after = found["cost_before"], found["cost_after"]
    assert after["channels"] <= before["channels"]
    assert after["operations"] > 0


def test_mistakes(call, converted, tmp_path):
    out = tmp_path / "x.safetensors"
    for arguments, said in (
        (("--method", "flow", "--quiet", 0.1), "trained away through the steps only"),
        (("--prune", 2), "prune"),
        (("--teacher", tmp_path / "none"), "none"),
        (("--method", "guess"), "guess"),
    ):
        code, found = call("finetune", converted, *arguments, "--out", out)
        assert code == 2, found
        assert said in found
        assert not out.exists()
