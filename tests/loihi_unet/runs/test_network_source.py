# SPDX-License-Identifier: BSD-3-Clause
"""The name of a shipped network stands wherever a network file can."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.errors import NetworkError
from export.netx import read_network, write_network
from loihi_unet.cli.main import main
from loihi_unet.runs.network_source import anywhere, load_network
from sim.recording_file import read_recording
from sim.selftest import small_network

NAME = "denoise-gray"
SAID = f"{NAME}: shipped network, exported at 128x128; pictures run at their own size\n"


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Call the command line in an empty folder: (exit code, JSON, stderr)."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.full((16, 16), 90, np.uint8)).save("a.png")
    Image.fromarray(np.full((16, 16), 99, np.uint8)).save("b.png")

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["loihi-unet", *arguments, "--json"])
        with pytest.raises(SystemExit) as caught:
            main()
        said = capsys.readouterr()
        return caught.value.code or 0, said.out and json.loads(said.out), said.err

    return call


def test_it_is_the_network_that_export_writes(run):
    code, exported, _ = run("export", NAME, "--out", "x.net")
    assert code == 0
    code, shown, said = run("inspect", NAME)
    assert (code, said) == (0, SAID)
    assert shown["sha256"] == exported["sha256"] == load_network(Path(NAME)).sha256
    assert shown["input"]["shape"] == [1, 128, 128]
    code, fitted, said = run("fit", NAME)
    assert (code, said) == (0, SAID)
    assert fitted == run("fit", "x.net")[1]


def test_pictures_run_at_their_own_size(run):
    run("export", NAME, "--out", "x.net")
    for network, out in ((NAME, "name.h5"), ("x.net", "file.h5")):
        assert run("simulate", network, "a.png", "--out", out)[0] == 0
    code, compared, _ = run(
        *("verify", "name.h5", "file.h5", "--network", NAME, "--report", "report")
    )
    assert (code, compared["identical"]) == (0, True)
    assert read_recording(Path("name.h5")).images.shape == (1, 1, 16, 16)
    code, counted, said = run("fit", NAME, "--recording", "name.h5")
    assert (code, said) == (0, SAID)
    assert counted == run("fit", "x.net", "--recording", "file.h5")[1]


def test_in_worker_processes_and_beside_its_float_relatives(run):
    pair = ("--backend", "torch", "--backend", "reference")
    code, compared, said = run("verify", NAME, ".", *pair, "--workers", "2")
    assert (code, compared["identical"], said) == (0, True, SAID)
    code, row, said = run(
        *("evaluate", NAME, "--data", "a.png", "--spiking", NAME, "--checkpoint", NAME)
    )
    assert (code, said) == (0, SAID)
    assert row["network_sha256"] == load_network(Path(NAME)).sha256
    assert row["snn"]
    assert row["ann"]


def test_a_file_of_that_name_comes_first(run):
    write_network(small_network(), Path(NAME))
    assert load_network(Path(NAME)).sha256 == small_network().sha256
    code, shown, said = run("inspect", NAME)
    assert (code, shown["sha256"], said) == (0, small_network().sha256, "")
    assert anywhere(Path(NAME)) == Path(NAME).resolve()


def test_what_is_neither(run):
    with pytest.raises(NetworkError, match=r"no such file, nor a .* \(denoise-c"):
        load_network(Path("denoise"))
    code, _, said = run("inspect", f"./{NAME}/x")
    assert (code, said.count("\n")) == (2, 1)
    with pytest.raises(NetworkError, match="no such file"):
        read_network(Path(NAME))
