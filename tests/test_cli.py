# SPDX-License-Identifier: BSD-3-Clause
"""Every command reads and writes files; every mistake is one line and exit 2."""

import json
import sys

import h5py
import numpy as np
import pytest
from PIL import Image

from export.netx import write_network
from loihi_unet.cli.main import main
from sim.selftest import small_network


@pytest.fixture
def run(monkeypatch, capsys):
    """Call the command line in this process: (exit code, stdout, stderr)."""

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
    return tmp_path / "a.net"


@pytest.fixture
def image(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (13, 11), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    return tmp_path / "image.png"


@pytest.mark.parametrize(
    "command",
    [
        ("train",),
        ("convert",),
        ("export",),
        ("simulate",),
        ("verify",),
        ("inspect",),
        ("fit",),
        ("demo",),
        ("doctor",),
        ("setup-lava",),
        ("finetune",),
        ("evaluate",),
        ("reproduce",),
        ("data",),
        ("data", "check"),
        (),
    ],
)
def test_help(run, command):
    code, out, _ = run(*command, "--help")
    assert code == 0
    assert "Usage" in out


def test_pipeline_of_files(run, tmp_path, image):
    """train -> convert -> export -> inspect -> simulate twice -> verify."""
    data = tmp_path / "pictures"
    data.mkdir()
    for index in range(6):
        pixels = np.random.default_rng(index).integers(0, 256, (48, 40), np.uint8)
        Image.fromarray(pixels).save(data / f"{index}.png")
    code, out, _ = run(
        *("train", "--data", data, "--out", tmp_path / "run", "--json"),
        *("--set", "iterations=2", "--set", "batch_size=2"),
        *("--set", "model.base_channels=2", "--set", "model.levels=2"),
        *("--set", "validation_interval=2", "--set", "patch_size=32"),
    )
    assert code == 0
    assert json.loads(out)["iterations"] == 2
    snn, net = tmp_path / "snn.safetensors", tmp_path / "n.net"
    code, out, _ = run(
        *("convert", tmp_path / "run", "--data", data, "--out", snn, "--json")
    )
    assert code == 0
    assert json.loads(out)["scales"]["out"] == 1.0
    tuned = tmp_path / "tuned.safetensors"
    code, out, _ = run(
        *("finetune", snn, "--data", data, "--out", tuned, "--json"),
        *("--iterations", 1, "--batch-size", 1, "--patch-size", 16),
    )
    assert code == 0
    assert json.loads(out)["after"] >= json.loads(out)["before"]
    code, out, _ = run("export", tuned, "--out", tmp_path / "tuned.net")
    assert code == 0
    rows = tmp_path / "results.json"
    code, out, _ = run(
        *("evaluate", tmp_path / "tuned.net", "--data", data, "--results", rows),
        *("--checkpoint", tmp_path / "run", "--spiking", tuned, "--json"),
    )
    assert code == 0
    said = json.loads(out)
    assert said.pop("note")  # it ran at another size than the file's
    assert said.pop("noisy")["psnr"] > 0
    assert json.loads(rows.read_text()) == [said]
    assert json.loads(out)["finetuned"] is True
    code, out, _ = run("evaluate", tmp_path / "tuned.net", "--data", data)
    assert code == 0
    assert "6 pictures, sigma 25, T = 10" in out
    code, out, _ = run("data", "check", data, "--json")
    assert (code, json.loads(out)["all"]["pictures"]) == (0, 6)
    assert "6 of 48x40" in run("data", "check", data)[1]
    code, out, _ = run("export", snn, "--out", net, "--size", "16x20", "--json")
    assert code == 0
    sha256 = json.loads(out)["sha256"]
    code, out, _ = run("inspect", net, "--json")
    assert (code, json.loads(out)["sha256"]) == (0, sha256)
    assert run("inspect", net, "--picture", tmp_path / "graph.png")[0] == 0
    other = ("--out", tmp_path / "m.net", "--size", "16x20", "--mapping")
    assert run("export", snn, *other, "parallel-if")[0] == 0
    _, out, _ = run("inspect", tmp_path / "m.net", "--json")
    mappings = [row["mapping"] for row in json.loads(out)["layers"]]
    assert set(mappings[:-1]) == {"parallel-if"}
    code, _, err = run("export", snn, *other, "best")
    assert (code, err.count("\n")) == (2, 1)
    assert "'best' is not one of 'graded', 'parallel-if', 'binary-if'" in err
    assert Image.open(tmp_path / "graph.png").size[0] > 500
    for backend in ("torch", "reference"):
        code, out, _ = run(
            *("simulate", net, image, "--sigma", 25, "--backend", backend, "--json"),
            *("--out", tmp_path / f"{backend}.h5", "--pictures", tmp_path / "p"),
        )
        assert code == 0
        assert json.loads(out)["images"] == 1
    # 13x11 was padded to a multiple of 4 and cut back.
    assert Image.open(tmp_path / "p" / "image.png").size == (11, 13)
    code, out, _ = run("verify", tmp_path / "torch.h5", tmp_path / "reference.h5")
    assert code == 0
    assert "EXACT" in out
    assert run("simulate", net, image, "--out", tmp_path / "r.h5")[0] == 0


def test_verify_fails_with_exit_code_1(run, net, image, tmp_path):
    for name in ("left", "right"):
        run("simulate", net, image, "--out", tmp_path / f"{name}.h5")
    with h5py.File(tmp_path / "right.h5", "a") as file:
        file["payload/mid"][0, 1, 2, 3, 2] += 1
    code, out, _ = run("verify", tmp_path / "left.h5", tmp_path / "right.h5", "--json")
    report = json.loads(out)
    assert (code, report["identical"], report["mismatches"]) == (1, False, 1)
    code, out, _ = run("verify", tmp_path / "left.h5", tmp_path / "right.h5")
    assert code == 1
    assert "FAIL" in out


def test_fit(run, net, image, tmp_path):
    code, out, _ = run("fit", net, "--json")
    assert (code, json.loads(out)["fits"]) == (0, True)
    run("simulate", net, image, "--out", tmp_path / "r.h5")
    arguments = ("--recording", tmp_path / "r.h5", "--chip", "loihi1")
    code, out, _ = run("fit", net, *arguments, "--json")
    assert json.loads(out)["traffic"] is not None
    assert code == (0 if json.loads(out)["fits"] else 1)
    code, out, _ = run("fit", net, "--system", "oheo-gulch")
    assert code == 0
    assert "cores" in out
    code, _, err = run("fit", net, "--system", "nope")
    assert code == 2
    assert "oheo-gulch" in err


def test_images_of_several_sizes_need_a_crop(run, net, image, tmp_path):
    other = tmp_path / "other.png"
    Image.fromarray(np.zeros((9, 30), np.uint8)).save(other)
    code, _, err = run("simulate", net, image, other, "--out", tmp_path / "r.h5")
    assert code == 2
    assert "one size (use --crop)" in err
    arguments = ("--crop", "8x8", "--out", tmp_path / "r.h5", "--json")
    code, out, _ = run("simulate", net, image, other, *arguments)
    assert (code, json.loads(out)["images"]) == (0, 2)


def bad_inputs(tmp_path, net, image):
    (tmp_path / "text.net").write_text("not a netx file")
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "text.toml").write_text("iterations = 1\nnonsense = 2\n")
    (tmp_path / "cut.net").write_bytes(net.read_bytes()[:1000])
    out = ("--out", tmp_path / "r.h5")
    return {
        "not netx": (["inspect", tmp_path / "text.net"], "not an HDF5 file"),
        "missing": (["inspect", tmp_path / "no.net"], "no such file"),
        "truncated": (["inspect", tmp_path / "cut.net"], "truncated or damaged"),
        "not an image": (
            ["simulate", net, tmp_path / "text.png", *out],
            "text.png",
        ),
        "no image": (["simulate", net, tmp_path / "no.png", *out], "no such file"),
        "backend": (
            ["simulate", net, image, "--backend", "gpu", *out],
            "backend 'gpu': reference, torch, cuda, lava, lava-stock are allowed",
        ),
        "layer": (
            ["simulate", net, image, "--layer", "x", *out],
            "layer 'x': not a spiking layer",
        ),
        "noise beyond the input's range": (
            ["simulate", net, image, "--sigma", 3000, *out],
            "allowed",
        ),
        "network as recording": (
            ["verify", net, net],
            "a network file (.net) found, a recording (.h5) needed",
        ),
        "network as checkpoint": (["convert", net], "(.net) found, a trained"),
        "network as spiking": (["export", net], "(.net) found, a converted"),
        "picture format": (
            ["inspect", net, "--picture", tmp_path / "graph.xyz"],
            "suffix png, svg, pdf needed",
        ),
        "no data": (["data", "check", tmp_path / "no"], "no such file or folder"),
        "step size": (["finetune", net, "--learning-rate", 0], "learning_rate 0.0"),
        "not a network": (["evaluate", image], "a picture found, a network file"),
        "unknown key": (
            ["train", "--config", tmp_path / "text.toml"],
            "nonsense",
        ),
        "unknown setting": (["train", "--set", "x.y=1"], "x"),
        "setting without value": (["train", "--set", "x"], "key=value needed"),
        "no data root": (
            ["reproduce", "table4", "--data-root", tmp_path / "no"],
            "BSDS500-train: no such file or folder",
        ),
    }


@pytest.mark.parametrize(
    "case",
    [
        "not netx",
        "missing",
        "truncated",
        "not an image",
        "no image",
        "backend",
        "layer",
        "noise beyond the input's range",
        "network as recording",
        "network as checkpoint",
        "network as spiking",
        "picture format",
        "no data",
        "step size",
        "not a network",
        "unknown key",
        "unknown setting",
        "setting without value",
        "no data root",
    ],
)
def test_bad_input(run, tmp_path, net, image, case):
    arguments, message = bad_inputs(tmp_path, net, image)[case]
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run(*arguments)
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
    assert out == ""
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "--nope"],
        ["nope"],
        ["export", "x", "--size", "big"],
        ["simulate"],
        ["reproduce", "table9"],
    ],
)
def test_usage_errors(run, arguments):
    code, _, err = run(*arguments)
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_doctor(run):
    code, out, _ = run("doctor", "--json")
    checks = {check["what"]: check["state"] for check in json.loads(out)["checks"]}
    assert code == 0, out
    assert checks["torch"] == "ok"
    if checks["Lava"] == "ok":
        mends = {what: state for what, state in checks.items() if "Lava: " in what}
        assert len(mends) >= 7
        assert set(mends.values()) == {"ok"}
    assert run("doctor")[0] == 0


def test_missing_lava_is_one_line(run, net, image, tmp_path, monkeypatch):
    for name in list(sys.modules):
        if name.split(".")[0] == "lava" or name == "sim.lava.simulator":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lava", None)
    arguments = ("--backend", "lava", "--out", tmp_path / "r.h5")
    code, _, err = run("simulate", net, image, *arguments)
    assert code == 2
    assert "needs 'lava" in err
    assert "not installed here" in err
    assert err.endswith("run: loihi-unet setup-lava\n")


def test_data_check_says_all_that_is_wrong(run, tmp_path):
    for index in range(7):
        for kind, level in (("image", 40 * index), ("label", 255)):
            (tmp_path / kind).mkdir(exist_ok=True)
            picture = Image.fromarray(np.full((8, 8), level, np.uint8))
            picture.save(tmp_path / kind / f"{index}.png")
    code, out, _ = run("data", "check", tmp_path)
    assert (code, "isbi2012" in out) == (0, True)
    (tmp_path / "image" / "0.png").write_text("<html>")
    Image.new("L", (8, 8), 3).save(tmp_path / "label" / "6.png")
    code, out, _ = run("data", "check", tmp_path)
    assert code == 1
    assert "0.png: " in out
    assert "test: problem: " in out
    assert "6.png: value 3; allowed are 0 and 1, or 0 and 255" in out
