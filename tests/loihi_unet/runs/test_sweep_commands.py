# SPDX-License-Identifier: BSD-3-Clause
"""evaluate and verify over a set: the same result whoever ran it, and who died."""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from clusters import Killer, dask_cluster, needs_dask, some_child

from export.lowering import lower
from export.netx import read_network, write_network
from loihi_unet.cli import evaluate as cli_evaluate
from loihi_unet.cli import verify as cli_verify
from loihi_unet.cli.main import main
from loihi_unet.conversion.convert import convert
from loihi_unet.data.crops import pad_to_multiple
from loihi_unet.data.pictures import load_pictures
from loihi_unet.errors import DataError
from loihi_unet.runs import verify_set
from loihi_unet.runs.evaluate_job import NetworkFiles, load
from loihi_unet.tasks.denoise import noisy_picture
from sim.backend import create
from sim.reference.simulator import ReferenceSimulator
from sim.verify.comparison import compare


@pytest.fixture(scope="module")
def net(tmp_path_factory, trained, folder):
    path = tmp_path_factory.mktemp("files")
    snn = convert(trained, path / "snn.safetensors", folder, num_steps=3)
    write_network(lower(snn, 16, 16), path / "n.net")
    return path / "n.net"


@pytest.fixture
def run(monkeypatch, capsys):
    """Call a command, its progress watched: (exit code, stdout, stderr)."""

    def call(*arguments, progress=None):
        monkeypatch.setattr(sys, "argv", ["loihi-unet", *map(str, arguments)])
        bars = contextlib.nullcontext(lambda title: progress)
        with contextlib.ExitStack() as stack:
            for module in (cli_evaluate, cli_verify):
                patch = stack.enter_context(pytest.MonkeyPatch.context())
                patch.setattr(module, "progress", lambda quiet: bars)
            caught = stack.enter_context(pytest.raises(SystemExit))
            main()
        output = capsys.readouterr()
        return caught.value.code or 0, output.out, output.err

    return call


@pytest.fixture
def commands(net, folder, trained):
    evaluate = ["evaluate", net, "--data", folder, "--checkpoint", trained]
    backends = ["--backend", "torch", "--backend", "reference"]
    return {
        "evaluate": [*evaluate, "--backend", "reference", "--json"],
        "verify": ["verify", net, folder, *backends, "--sigma", 25, "--json"],
    }


def result(text):
    return {**json.loads(text), "command": ""}


@pytest.fixture
def alone(run, commands):
    """What each command says when everything runs in this process.

    All integers to the bit. The U-Net's digits depend on the number of threads: a sum
    of float32 in another order moves its pixels by some 2**-24 of their range, and
    the scores by as little.
    """

    def call(name):
        code, out, _ = run(*commands[name], "--workers", 1)
        assert code == 0
        printed = result(out)
        if "ann" in printed:
            printed["ann"] = pytest.approx(printed["ann"], rel=1e-6)
        return printed

    return call


@pytest.mark.parametrize("command", ["evaluate", "verify"])
def test_a_local_worker_dies(run, commands, alone, command):
    killer = Killer(some_child)
    code, out, _ = run(*commands[command], "--workers", 2, progress=killer)
    assert (code, result(out)) == (0, alone(command))
    assert killer.saw_each_item_once(5)


@needs_dask
def test_a_cluster_worker_dies(run, commands, alone):
    with dask_cluster() as (address, busiest):
        for command in ("evaluate", "verify"):
            killer = Killer(busiest)
            arguments = (*commands[command], "--scheduler", address)
            code, out, _ = run(*arguments, progress=killer)
            assert (code, result(out)) == (0, alone(command))
            assert killer.saw_each_item_once(5)


def test_verdict_is_that_of_all_pictures(alone, net, folder):
    verdict = alone("verify")
    network = read_network(net)
    pictures = load_pictures(folder, 1)
    assert verdict["pictures"] == [picture.name for picture in pictures]
    assert (verdict["identical"], verdict["images"]) == (True, 5)
    compared = 0
    for index, picture in enumerate(pictures):
        noisy = noisy_picture(picture, index, sigma=25, seed=0)
        image = pad_to_multiple(noisy, (4, 4))[None]
        own = network.resized(*image.shape[2:])
        runs = [create(name).run(own, image) for name in ("torch", "reference")]
        compared += compare(*runs).compared
    assert verdict["compared"] == compared > 0


def test_the_first_difference_is_named(run, net, folder, tmp_path, monkeypatch):
    class Wrong(ReferenceSimulator):
        """Off by one in the picture whose padded size is 36 x 40."""

        def run(self, network, images, **arguments):
            recording = super().run(network, images, **arguments)
            if images.shape[2:] == (36, 40):
                payload = recording.payloads["enc1.conv1"].copy()
                payload[0, 1, 2, 3, 4] += 1
                changed = {**recording.payloads, "enc1.conv1": payload}
                return dataclasses.replace(recording, payloads=changed)
            return recording

    sizes = [
        tuple(-(-side // 4) * 4 for side in picture.pixels.shape[1:])
        for picture in load_pictures(folder, 1)
    ]
    assert sizes.count((36, 40)) == 1
    monkeypatch.setattr("sim.reference.simulator.ReferenceSimulator", Wrong)
    verify_set._load.cache_clear()  # simulators of other tests
    backends = ("--backend", "torch", "--backend", "reference", "--workers", 1)
    report = ("--report", tmp_path / "report")
    code, out, _ = run("verify", net, folder, *backends, *report)
    assert code == 1
    place = sizes.index((36, 40))
    name = load_pictures(folder, 1)[place].name
    assert f"{name}, step 1" in out
    assert "(2, 3, 4)" in out
    assert "torch != reference: 1 mismatch" in out
    saved = json.loads((tmp_path / "report" / "report.json").read_text())
    assert saved["failure"]["layer"] == "enc1.conv1"
    code, out, _ = run("verify", net, folder, *backends, "--json")
    layers = {layer["name"]: layer["first"] for layer in json.loads(out)["layers"]}
    assert (code, layers.pop("enc1.conv1")["image"]) == (1, place)
    assert set(layers.values()) == {None}


def test_another_file_on_a_worker(net):
    files = NetworkFiles(
        network=net,
        sha256="0" * 64,
        backend="torch",
        tile=1024,
        checkpoint=None,
        spiking=None,
        sweep="",
    )
    with pytest.raises(DataError, match=r"n.net: sha256 \w{12} on this worker, 0{12}"):
        load(files)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backend", "torch"], "--backend is needed twice"),
        (["--backend", "torch", "--backend", "torch"], "backend 'torch' twice"),
        (["--backend", "torch", "--backend", "gpu"], "backend 'gpu': reference,"),
        (["--sigma", "5"], "name two backends with --backend"),
        ([], "a second recording is needed"),
    ],
)
def test_bad_input(run, net, arguments, message):
    code, out, err = run("verify", net, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_a_picture_that_cannot_run_is_named(run, net, folder):
    backends = ("--backend", "torch", "--backend", "reference", "--workers", 1)
    code, _, err = run("verify", net, folder, *backends, "--sigma", 3000)
    assert (code, err.count("\n")) == (2, 1)
    assert "sweep item 'picture7.png': input: values" in err


def test_interrupt_ends_workers(net, folder):
    """Ctrl-C reaches all processes of the group; none is left behind."""
    backends = ("--backend", "reference", "--backend", "torch", "--workers", "2")
    command = [sys.executable, "-m", "loihi_unet.cli.main", "verify", net, folder]
    process = subprocess.Popen(
        [*command, *backends], start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    while len(_group(process.pid)) < 3:
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err in ("", "interrupted\n")  # typer's newer versions say nothing
    deadline = time.monotonic() + 10
    while _group(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _group(leader):
    """Processes of a group that run, by /proc."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # pid (name) state parent group ...
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if fields[2] == str(leader) and fields[0] != "Z":
                found.append(int(folder.name))
    return found
