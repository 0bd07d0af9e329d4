# SPDX-License-Identifier: BSD-3-Clause
"""What the command line does with a StockNetwork: shows, runs, compares and fits it."""

import dataclasses
import json
import sys

import h5py
import numpy as np
import pytest
import stocks
from PIL import Image

from export.errors import UnsupportedLayerError
from export.netx import StockOptions, read_stock, write_network
from export.stock_network import Reset
from loihi_unet.cli.main import main
from sim.recording_file import read_recording, write_recording
from sim.selftest import small_network


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Call a command on a StockNetwork's file: (exit code, stdout, stderr)."""

    def call(network, command, *arguments):
        words = ["loihi-unet", command, *arguments]
        if network is not None:
            write_network(network, tmp_path / "a.net")
            words.insert(2, tmp_path / "a.net")
        monkeypatch.setattr(sys, "argv", [str(word) for word in words])
        with pytest.raises(SystemExit) as caught:
            main()
        output = capsys.readouterr()
        return caught.value.code or 0, output.out, output.err

    return call


@pytest.mark.parametrize("kind", stocks.KINDS)
def test_inspect_shows_every_layer(run, kind):
    network = stocks.KINDS[kind](0)
    code, shown, _ = run(network, "inspect")
    assert code == 0
    for layer in network.layers:
        assert layer.name in shown
    assert network.sha256 in shown


def saved(tmp_path, network, runs=2):
    """One file with the input of some runs."""
    values = np.concatenate([stocks.inputs(network, seed=seed) for seed in range(runs)])
    np.save(tmp_path / "input.npy", values)
    return tmp_path / "input.npy"


BACKENDS = ["reference", "torch", pytest.param("lava", marks=pytest.mark.lava)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", stocks.KINDS)
def test_simulate_and_verify(run, tmp_path, kind, backend):
    network = stocks.KINDS[kind](0)
    values = saved(tmp_path, network)
    judge, other = tmp_path / "judge.h5", tmp_path / "other.h5"
    out = ("--out", judge, "--backend", "reference")
    code, shown, _ = run(network, "simulate", values, *out)
    assert code == 0
    assert network.layers[0].name in shown
    table = shown.partition("layer")[2].partition("had a say")[0]
    assert ":" not in table  # states are no spikes
    code, _, _ = run(network, "simulate", values, "--out", other, "--backend", backend)
    assert code == 0
    found = read_recording(other)
    assert found.network_sha256 == network.sha256
    assert set(found.payloads) == set(network.traces)
    assert len(found.images) == 2
    code, verdict, _ = run(None, "verify", judge, other)
    assert code == 0
    assert "EXACT" in verdict


def test_verify_sees_a_wrong_state(run, tmp_path):
    network = stocks.spiking()
    values = saved(tmp_path, network)
    a, b = tmp_path / "a.h5", tmp_path / "b.h5"
    run(network, "simulate", values, "--out", a)
    good = read_recording(a)
    payloads = {name: payload.copy() for name, payload in good.payloads.items()}
    payloads["wide:v"][1, 3, 2] += 1
    write_recording(dataclasses.replace(good, payloads=payloads), b)
    code, shown, _ = run(None, "verify", a, b)
    assert code == 1
    assert "wide:v" in shown
    code, _, _ = run(None, "verify", a, b, "--report", tmp_path / "r")
    assert code == 1
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    assert not report["identical"]
    assert (tmp_path / "r" / "report.html").exists()


def test_steps_of_a_constant_input_can_be_chosen(run, tmp_path):
    network = stocks.spiking(injected=True)
    values = saved(tmp_path, network, runs=1)
    out = tmp_path / "r.h5"
    assert run(network, "simulate", values, "--steps", 20, "--out", out)[0] == 0
    assert read_recording(out).num_steps == 20
    assert run(network, "simulate", values, "--out", out)[0] == 0
    assert read_recording(out).num_steps == network.num_steps


def test_frames_say_how_many_steps(run, tmp_path):
    network = stocks.spiking()
    np.save(tmp_path / "a.npy", stocks.inputs(network, seed=0)[0, :7])
    out = tmp_path / "r.h5"
    assert run(network, "simulate", tmp_path / "a.npy", "--out", out)[0] == 0
    assert read_recording(out).num_steps == 7
    code, _, message = run(network, "simulate", tmp_path / "a.npy", "--steps", 5)
    assert code == 2
    assert "runs of 7 frames found, num_steps is 5" in " ".join(message.split())


def bad_input(tmp_path, what):
    path = tmp_path / "a.npy"
    values = stocks.inputs(stocks.spiking(), seed=0)
    match what:
        case "a picture":
            path = tmp_path / "a.png"
            Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
        case "nothing":
            pass
        case "no array":
            path.write_bytes(b"x" * 200)
        case "cut short":
            np.save(path, values)
            path.write_bytes(path.read_bytes()[:-1])
        case "objects":
            np.save(path, np.array([{}]), allow_pickle=True)
        case "floats":
            np.save(path, values * 0.5)
        case "axes":
            np.save(path, values[0, 0, 0])
        case "shape":
            np.save(path, values[..., 1:])
        case "range":
            np.save(path, values * 3)
    return path


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("a picture", "a picture found, a NumPy array (.npy) needed"),
        ("nothing", "a.npy: no such file"),
        ("no array", "not a .npy array"),
        ("cut short", "not a .npy array (mmap length is greater than file size)"),
        ("objects", "not a .npy array"),
        ("floats", "dtype float64 with 5 axes found, integers with 4 axes needed"),
        ("axes", "with 2 axes found, integers with 4 axes needed, or 5"),
        ("shape", "(runs, T, 2, 6, 7) needed"),
        ("range", "values 0..3 found, 0..1 allowed"),
    ],
)
def test_input_that_is_no_input(run, tmp_path, what, expected):
    path = bad_input(tmp_path, what)
    code, _, message = run(stocks.spiking(), "simulate", path)
    assert code == 2
    assert expected in " ".join(message.split())


def test_options_for_pictures_and_for_stock_networks(run, tmp_path):
    network = stocks.spiking()
    values = saved(tmp_path, network)
    code, _, message = run(network, "simulate", values, "--sigma", 25)
    assert code == 2
    assert "--sigma, --crop, --white-level and --pictures are for pictures" in " ".join(
        message.split()
    )
    code, _, message = run(small_network(), "simulate", values, "--steps", 5)
    assert code == 2
    assert "T = 3 is part of this network" in " ".join(message.split())


def test_fit_with_and_without_a_recording(run, tmp_path):
    network = stocks.spiking(injected=True)
    code, shown, _ = run(network, "fit", "--chip", "loihi2")
    assert code == 0
    assert "biases before each run" in " ".join(shown.split())
    out = tmp_path / "r.h5"
    run(network, "simulate", saved(tmp_path, network), "--steps", 20, "--out", out)
    words = ("fit", "--chip", "loihi1", "--recording", out, "--json")
    code, shown, _ = run(network, *words)
    assert code == 0
    report = json.loads(shown)
    assert report["timing"]["steps_per_image"] == 20
    assert report["traffic"]["effective_synops"] > 0
    assert report["energy"]["low"] > 0


@pytest.mark.parametrize("kind", ["graph", "recurrent", "injected", "sigma-delta"])
def test_verify_two_backends_on_an_array_with_a_report(run, tmp_path, kind):
    network = stocks.KINDS[kind](0)
    values = saved(tmp_path, network, runs=1)
    words = ("--backend", "torch", "--backend", "reference", "--report", tmp_path / "r")
    code, verdict, _ = run(network, "verify", values, *words)
    assert code == 0
    assert "EXACT" in verdict
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    assert report["identical"]
    layers = [layer["name"] for layer in report["layers"]]
    assert layers == [layer.name for layer in network.layers]
    assert report["tables"]
    for picture in report["pictures"]:
        assert (tmp_path / "r" / picture["file"]).stat().st_size > 0


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
@pytest.mark.parametrize("kind", ["graph", "recurrent, delayed"])
def test_fit_of_graphs(run, tmp_path, kind, chip):
    network = stocks.KINDS[kind](0)
    out = tmp_path / "r.h5"
    run(network, "simulate", saved(tmp_path, network, runs=1), "--out", out)
    words = ("fit", "--chip", chip, "--recording", out, "--json")
    code, shown, _ = run(network, *words)
    assert code == 0
    report = json.loads(shown)
    assert [layer["name"] for layer in report["layers"]] == [
        layer.name for layer in network.layers
    ]
    assert report["traffic"]["effective_synops"] > 0


@pytest.mark.parametrize("kind", stocks.KINDS)
def test_picture_of_every_kind(run, tmp_path, kind):
    path = tmp_path / "a.svg"
    code, _, _ = run(stocks.KINDS[kind](0), "inspect", "--picture", path)
    assert code == 0
    drawn = path.read_text()
    assert len(drawn) > 1000


def stock_file(path, network):
    """As lava-dl writes it: without a group of ours."""
    write_network(network, path)
    with h5py.File(path, "a") as file:
        del file["loihi_unet"]
        for group in file["layer"].values():
            group.pop("name", None)
            group.pop("scale", None)
    return path


def test_netx_arguments_on_every_command(run, tmp_path):
    path = stock_file(tmp_path / "s.net", stocks.spiking(0))
    options = ("--reset-interval", 5, "--reset-offset", 2, "--num-layers", 2)
    np.save(tmp_path / "a.npy", stocks.inputs(stocks.spiking(0))[0])
    out = tmp_path / "a.h5"
    values, stock = tmp_path / "a.npy", (*options, "--input-shape", "2,6,7")
    assert run(None, "simulate", path, values, *stock, "--out", out)[0] == 0
    found = read_recording(out)
    wanted = StockOptions(num_steps=12, num_layers=2, reset=Reset(interval=5, offset=2))
    assert found.network_sha256 == read_stock(path, wanted).sha256
    code, shown, _ = run(None, "inspect", path, *stock, "--json")
    assert code == 0
    assert [row["layer"] for row in json.loads(shown)["layers"]] == ["layer1"]
    assert run(None, "fit", path, *stock, "--recording", out)[0] == 0
    both = ("--backend", "torch", "--backend", "reference")
    assert run(None, "verify", path, values, *both, *stock)[0] == 0
    words = (out, out, "--network", path, *stock, "--report", tmp_path / "r")
    assert run(None, "verify", *words)[0] == 0


def test_skipped_layers_and_message_bits(run, tmp_path):
    path = stock_file(tmp_path / "s.net", stocks.sigma_delta())
    words = ("--skip-layers", 1, "--spike-exp", 4, "--json")
    code, shown, _ = run(None, "inspect", path, *words)
    assert code == 0
    source = json.loads(shown)["input"]
    assert source["minimum"] == -(2**23)
    spiking = stock_file(tmp_path / "t.net", stocks.spiking(0))
    code, shown, _ = run(None, "inspect", spiking, "--input-message-bits", 8, "--json")
    source = json.loads(shown)["input"]
    assert (source["minimum"], source["maximum"]) == (-128, 255)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--input-shape", "3,4"), "--input-shape 3,4: C,H,W needed, e.g. 3,66,200"),
        (("--input-shape", "2,6,8"), "(2, 6, 7) found, input_shape is (2, 6, 8)"),
        (("--reset-offset", 1), "--reset-offset needs --reset-interval"),
        (("--skip-layers", 9), "skip_layers: 9 found, fewer needed: no layer is left"),
        (("--spike-exp", 8), "--spike-exp"),
        (("--num-layers", 0), "--num-layers"),
    ],
)
def test_wrong_netx_arguments(run, tmp_path, words, expected):
    path = stock_file(tmp_path / "s.net", stocks.spiking(0))
    code, _, message = run(None, "inspect", path, *words)
    assert code == 2
    assert expected in " ".join(message.split())
    assert message.count("error:") == 1


def test_netx_arguments_and_files_of_ours(run, tmp_path):
    code, _, message = run(stocks.spiking(), "inspect", "--num-layers", 1)
    assert code == 2
    assert "which are for files of lava-dl" in " ".join(message.split())


@pytest.mark.lava
def test_graph_names_the_stock_process():
    from sim.lava import stock_graph as lava_graph

    with pytest.raises(UnsupportedLayerError, match=r"netx\.hdf5\.Network is its Proc"):
        lava_graph.build(stocks.spiking())
