# SPDX-License-Identifier: BSD-3-Clause
"""Every kind of file to every command: what it is, and which command wants it."""

import os
import shutil
import sys
from pathlib import Path

import kinds
import numpy as np
import pytest
import stocks
from PIL import Image

from export.files.kind import KINDS, expect
from export.files.recognise import HEAD, recognise
from export.netx import write_network
from loihi_unet.cli.main import main
from loihi_unet.data.picture_files import FORMATS
from loihi_unet.files.spiking_file import published_networks


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return kinds.make(tmp_path_factory.mktemp("kinds"))


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Call the command line in this process, in an empty folder: code, stderr."""

    def call(*arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["loihi-unet", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code or 0, capsys.readouterr().err

    return call


def kind_of(name):
    """Kind of a path in `paths`: its name without the variant."""
    return name if name in KINDS else name.partition("-")[0]


def test_all_kinds_are_here_and_recognised(paths):
    found = {name: recognise(path) for name, path in paths.items()}
    assert found == {name: kind_of(name) for name in paths}
    assert set(found.values()) == KINDS.keys() - {"special"}


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_that_is_read_is_a_picture(tmp_path, form):
    Image.fromarray(kinds.PIXELS).save(tmp_path / "a", format=form)
    assert recognise(tmp_path / "a") == "picture"


NETWORK, RECORDING, PICTURE = {"network"}, {"recording"}, {"picture"}
TRAINED = {"checkpoint", "run"}
FOLDERS = {"folder", "report-folder"}
PAIR = ("--backend", "torch", "--backend", "reference")
FILE = object()  # stands where the file goes

#: What is given a file, and the kinds that it takes (and goes on with).
COMMANDS = {
    "inspect": (["inspect", FILE], NETWORK),
    "fit": (["fit", FILE], NETWORK),
    "fit --recording": (["fit", "NET", "--recording", FILE], RECORDING),
    "simulate": (["simulate", FILE, "PNG"], NETWORK),
    "simulate picture": (["simulate", "NET", FILE], PICTURE),
    "simulate array": (["simulate", "STOCK", FILE], {"npy"}),
    "verify left": (["verify", FILE, "REC"], RECORDING),
    "verify right": (["verify", "REC", FILE], RECORDING),
    "verify network": (["verify", FILE, "PNG", *PAIR], NETWORK),
    "verify pictures": (["verify", "NET", FILE, *PAIR], PICTURE),
    "verify --network": (
        ["verify", "REC", "REC", "--report", "r", "--network", FILE],
        NETWORK,
    ),
    "evaluate": (["evaluate", FILE, "--data", "PNG"], NETWORK),
    "evaluate --data": (["evaluate", "denoise-gray", "--data", FILE], PICTURE),
    "evaluate --checkpoint": (
        ["evaluate", "denoise-gray", "--data", "PNG", "--checkpoint", FILE],
        TRAINED,
    ),
    "evaluate --spiking": (
        ["evaluate", "denoise-gray", "--data", "PNG", "--spiking", FILE],
        {"converted"},
    ),
    "evaluate --results": (
        ["evaluate", "denoise-gray", "--data", "PNG", "--results", FILE],
        {"json"},
    ),
    "report": (["report", FILE], {"report", "report-folder", "json"}),
    "convert": (["convert", FILE], TRAINED | {"nir"}),
    "export": (["export", FILE], {"converted", "sigma-delta"}),
    "export NIR": (["export", FILE, "--out", "x.nir"], NETWORK),
    "finetune": (["finetune", FILE], {"converted"}),
    "finetune --data": (["finetune", "denoise-gray", "--data", FILE], PICTURE),
    "train --config": (["train", "--config", FILE], {"toml", "empty"}),
    "train --init": (["train", "--init", FILE, "--data", "FIVE"], TRAINED),
    "train --data": (["train", "--data", FILE], PICTURE),
    "data check": (["data", "check", FILE], PICTURE),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_of_the_wrong_kind(run, paths, tmp_path, command):
    arguments, takes = COMMANDS[command]
    write_network(stocks.spiking(), tmp_path / "stock.net")
    five = tmp_path / "five"
    five.mkdir()
    for index in range(5):  # as many as training with the default settings needs
        Image.fromarray(np.zeros((64, 64), np.uint8)).save(five / f"{index}.png")
    known = {
        "FIVE": five,
        "NET": paths["network"],
        "REC": paths["recording"],
        "PNG": paths["picture"],
        "STOCK": tmp_path / "stock.net",
    }
    before = sorted(tmp_path.rglob("*"))
    tested = 0
    for kind in KINDS.keys() - {"special"}:
        path = paths[kind]
        if kind in takes or (takes == PICTURE and kind in FOLDERS):
            continue
        given = [path if x is FILE else known.get(x, x) for x in arguments]
        code, err = run(*given)
        lines = [line for line in err.splitlines() if "shipped network" not in line]
        assert (code, len(lines)) == (2, 1), (kind, err)
        assert lines[0].startswith("error: "), kind
        assert f"{path}: {KINDS[kind].what} found, " in lines[0], kind
        advice = KINDS[kind].advice.format(path)
        assert advice in lines[0], kind
        tested += 1
    assert tested >= len(KINDS) - 6
    if command == "evaluate --results":  # makes the file
        return
    missing = [tmp_path / "none" if x is FILE else known.get(x, x) for x in arguments]
    code, err = run(*missing)
    assert (code, "none: n" in err) == (2, True), err  # no such file, neither ... nor
    assert sorted(tmp_path.rglob("*")) == before


def test_the_name_proves_nothing(run, paths, tmp_path):
    for name, suffix in (("html", "net"), ("network", "png"), ("picture", "net")):
        shutil.copy(paths[name], tmp_path / f"{name}.{suffix}")
    assert "a page of HTML found" in run("inspect", tmp_path / "html.net")[1]
    assert run("inspect", tmp_path / "network.png")[0] == 0
    assert run("simulate", tmp_path / "network.png", tmp_path / "picture.net")[0] == 0


def test_a_pipe_is_not_waited_for(run, tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes with names")
    os.mkfifo(tmp_path / "pipe")
    code, err = run("inspect", tmp_path / "pipe")
    assert code == 2
    assert "a device, pipe or socket found, a network file (.net) needed" in err


def test_what_may_not_be_read(monkeypatch, paths):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("export.files.kind.recognise", refuse)
    with pytest.raises(ValueError, match=r"cannot be read \(Permission denied\)"):
        expect(paths["network"], "network")


def test_a_name_that_is_too_long(run):
    code, err = run("inspect", "x" * 300)
    assert (code, err.count("\n")) == (2, 1)
    assert "name too long" in err


@pytest.mark.parametrize("kind", ["network", "onnx", "pytorch", "checkpoint", "html"])
def test_damage_is_never_a_traceback(tmp_path, paths, kind):
    content = np.frombuffer(paths[kind].read_bytes(), np.uint8)
    random = np.random.default_rng(0)
    path = tmp_path / "a"
    for _ in range(50):
        damaged = content[: random.integers(1, len(content) + 1)].copy()
        damaged[random.integers(min(len(damaged), HEAD), size=3)] = random.integers(256)
        path.write_bytes(damaged.tobytes())
        assert recognise(path) in {None, *KINDS}


def test_the_page_about_files_names_what_there_is():
    page = (Path(__file__).parents[1] / "docs" / "files.md").read_text("utf-8")
    for word in ("NIR", "ONNX", "TorchScript", "HTML", "git-annex", "`.npz`", "gzip"):
        assert word in page
    for name in published_networks():
        assert f"`{name}`" in page
