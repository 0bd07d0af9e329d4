# SPDX-License-Identifier: BSD-3-Clause
"""What the three packages show, and the whole way with public names only."""

import inspect
import pydoc
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import export
import loihi_unet
import sim
from export import netx

FACES = [loihi_unet, export, sim]


@pytest.mark.parametrize("package", FACES, ids=lambda p: p.__name__)
def test_every_public_name_is_there_and_says_what_it_is(package):
    for name in package.__all__:
        value = getattr(package, name)
        # No function is hidden by a module of its name.
        assert not inspect.ismodule(value), name
        assert name in dir(package)
        if callable(value):
            assert value.__doc__, name
    text = pydoc.render_doc(package, renderer=pydoc.plaintext)
    assert package.__doc__.splitlines()[0] in text


def test_no_public_name_is_forgotten():
    assert {"train", "convert", "finetune", "export", "simulate", "verify"} < set(
        loihi_unet.__all__
    )
    names = {"Network", "lower", "read_network", "write_network", "diff"}
    assert names < set(export.__all__)
    names = {"create", "Recording", "read_recording", "write_recording", "compare"}
    assert names < set(sim.__all__)


@pytest.mark.parametrize("package", FACES, ids=lambda p: p.__name__)
def test_an_unknown_name(package):
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


def test_faces_import_nothing_heavy():
    code = "import sys, loihi_unet, export, sim; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not set(done.stdout.split()) & {"torch", "numpy", "h5py", "lava"}


@pytest.mark.parametrize("call", [["-m", "loihi_unet"], ["-m", "loihi_unet.cli.main"]])
def test_version(call):
    done = subprocess.run(
        [sys.executable, *call, "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"loihi-unet {loihi_unet.__version__}\n"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    y, x = np.mgrid[:24, :24]
    for index in range(3):
        waves = 127 + 100 * np.sin(x / (2 + index)) * np.cos(y / 3)
        Image.fromarray(waves.astype(np.uint8)).save(folder / f"{index}.png")
    return folder


def test_the_whole_way(tmp_path, pictures):
    settings = tmp_path / "tiny.toml"
    settings.write_text(
        "patch_size = 16\nbatch_size = 2\niterations = 3\nvalidation_images = 1\n"
        "[model]\nbase_channels = 2\nlevels = 1\n"
    )
    # Paths are strings here: whatever takes a Path takes a str.
    run, snn, tuned = (str(tmp_path / name) for name in ("run", "a.st", "b.st"))
    loihi_unet.train(str(settings), str(pictures), run, device="cpu")
    loihi_unet.convert(run, snn, str(pictures), num_steps=2)
    few = loihi_unet.FinetuneConfig(iterations=2, batch_size=2, patch_size=16)
    loihi_unet.finetune(snn, tuned, str(pictures), few)
    path = str(tmp_path / "a.net")
    network = loihi_unet.export(tuned, (24, 24), out=path)
    assert isinstance(network, export.Network)
    assert export.diff(network, loihi_unet.load(path)) == []
    assert len(repr(network).splitlines()) < 40
    one = str(pictures / "0.png")
    left = loihi_unet.simulate(path, one, backend="torch", sigma=25)
    right = loihi_unet.simulate(network, left.images, backend="reference")
    assert loihi_unet.verify(left, right, path).verdict == "EXACT"
    recording = str(tmp_path / "a.h5")
    loihi_unet.save(right, recording)
    assert loihi_unet.verify(recording, left).verdict == "EXACT"
    export.write_network(network, str(tmp_path / "b.net"))
    assert export.read_network(str(tmp_path / "b.net")).sha256 == network.sha256
    sim.write_recording(right, str(tmp_path / "b.h5"))
    copied = sim.read_recording(str(tmp_path / "b.h5"))
    assert loihi_unet.verify(copied, left).verdict == "EXACT"
    # The check can fail.
    changed = {**right.payloads}
    name = next(iter(changed))
    changed[name] = changed[name] + 1
    wrong = {
        field: getattr(right, field)
        for field in inspect.signature(sim.Recording).parameters
    }
    wrong = sim.Recording(**{**wrong, "payloads": changed})
    assert loihi_unet.verify(left, wrong, network).verdict == "FAIL"
    row = loihi_unet.evaluate(path, one, sigma=25)
    assert row["chip"]["psnr"] > 0


def test_save_and_load_say_what_they_cannot(tmp_path, pictures):
    with pytest.raises(ValueError, match=r"a picture found, a network file"):
        loihi_unet.load(pictures / "0.png")
    with pytest.raises(ValueError, match="int found; allowed: a converted network"):
        loihi_unet.save(3, tmp_path / "x")


def test_a_path_may_be_a_string_wherever_a_path_may_be_given():
    functions = {**vars(netx)}
    for package in FACES:
        functions.update({name: getattr(package, name) for name in package.__all__})
    for name, value in functions.items():
        if name.startswith("_") or not inspect.isfunction(value):
            continue
        for parameter in inspect.signature(value).parameters.values():
            kinds = str(parameter.annotation)
            assert "Path" not in kinds or "str" in kinds, (name, parameter)
