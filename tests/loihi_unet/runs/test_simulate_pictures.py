# SPDX-License-Identifier: BSD-3-Clause
"""simulate: any number of pictures, a bounded number in memory."""

import dataclasses
import gc
import json
import re
import weakref
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from export.errors import UserError
from export.images import decode
from export.netx import write_network
from loihi_unet.data.picture_files import Page
from loihi_unet.data.read_picture import Read
from loihi_unet.errors import DataError
from loihi_unet.runs import simulate_pictures as module
from loihi_unet.runs.frames import Conditions
from loihi_unet.runs.simulate_pictures import RunConfig, run_pictures
from sim.backend import create
from sim.recording_file import read_recording
from sim.selftest import small_network

lava = pytest.param("lava", marks=pytest.mark.lava)


@pytest.fixture
def config(tmp_path):
    write_network(small_network(num_steps=4), tmp_path / "a.net")
    for index in range(9):
        pixels = np.random.default_rng(index).integers(0, 256, (11, 14), np.uint8)
        folder = tmp_path / "frames" / ("a" if index < 5 else "b")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return RunConfig(
        network=tmp_path / "a.net",
        images=(tmp_path / "frames",),
        backend="torch",
        conditions=Conditions(sigma=5, seed=1),
        layers=None,
        recording=tmp_path / "r.h5",
        pictures=tmp_path / "out",
    )


def silent(done, total):
    pass


@pytest.mark.parametrize("backend", ["torch", lava])
def test_recording_is_that_of_one_run(config, backend):
    seen = []
    record = run_pictures(
        dataclasses.replace(config, backend=backend),
        progress=lambda *now: seen.append(now),
    )
    recording = read_recording(config.recording)
    assert (record["images"], recording.images.shape) == (9, (9, 1, 12, 14))
    network = small_network(num_steps=4).resized(12, 14)
    whole = create("reference").run(network, recording.images)
    np.testing.assert_array_equal(recording.output, whole.output)
    assert recording.payloads.keys() == whole.payloads.keys()
    for name, payload in whole.payloads.items():
        np.testing.assert_array_equal(recording.payloads[name], payload)
        assert record["spike_rate"][name] == (payload != 0).mean()
    assert recording.network_sha256 == network.sha256
    assert seen == sorted(seen)
    assert seen[-1] == (9, 9)
    # Cut back to 11 x 14, in the folders the pictures came from.
    shown = np.array(Image.open(config.pictures / "b" / "7.png"))
    pixels = 255 * decode(network, whole.output[7, 0, :11, :14])
    np.testing.assert_array_equal(shown, np.clip(np.rint(pixels), 0, 255))


def test_memory_is_constant_and_results_come_early(config, monkeypatch):
    alive = weakref.WeakSet()
    most, written = [], []

    def reading(path, channels, white_level):
        gc.collect()
        most.append(len(alive))
        written.append(len(list(config.pictures.rglob("*.png"))))
        pixels = np.zeros((channels, 11, 14), np.uint8).view(Array)
        alive.add(pixels)
        yield Read(Page(path), pixels, None)

    class Array(np.ndarray):
        """An array that can be counted."""

        __hash__ = object.__hash__

    monkeypatch.setattr(module, "read_pages", reading)
    run_pictures(config, progress=silent)
    assert max(most) <= 1
    assert written == list(range(9))


def test_output_names_must_differ(config, tmp_path):
    folders = (tmp_path / "frames" / "a", tmp_path / "frames" / "a" / "3.png")
    twice = dataclasses.replace(config, images=folders)
    message = re.escape(f"{tmp_path / 'out' / '3.png'}: both ") + ".*rename one"
    with pytest.raises(DataError, match=message):
        run_pictures(twice, progress=silent)
    assert not config.recording.exists()
    run_pictures(dataclasses.replace(twice, pictures=None), progress=silent)
    assert len(read_recording(config.recording).images) == 6


def test_a_picture_that_breaks_leaves_no_recording(config, tmp_path):
    path = tmp_path / "frames" / "b" / "8.png"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"8\.png: not a readable picture"):
        run_pictures(config, progress=silent)
    assert [p.name for p in tmp_path.iterdir() if p.suffix in (".h5", ".tmp")] == []


def test_documented_example(tmp_path, monkeypatch, capsys):
    """The Python of docs/data-sets.md runs as it stands."""
    text = (Path(__file__).parents[3] / "docs" / "data-sets.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.S)
    write_network(small_network(), tmp_path / "network.net")
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "data-sets.md", "exec"), {})  # our own text
    assert capsys.readouterr().out.count("(1, 32, 32)") == 3


def test_a_deep_stack_and_its_white_level(config, tmp_path):
    values = np.arange(2 * 11 * 14, dtype=np.uint16).reshape(2, 11, 14) * 13
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, values, photometric="minisblack")
    stack = dataclasses.replace(
        config, images=(path,), white_level=4000, conditions=Conditions()
    )
    record = run_pictures(stack, progress=silent)
    assert record["images"] == 2
    (found,) = record["white_levels"]
    assert (found["white_level"], found["highest"]) == (4000, 307 * 13)
    with h5py.File(config.recording) as file:
        assert json.loads(file["whiteLevels"][()]) == [found]
    images = read_recording(config.recording).images
    expected = np.rint(255 * values.astype(float) / 4000)
    np.testing.assert_array_equal(images[:, 0, :11], expected)
    # The page's number is part of the output's name.
    written = sorted(p.name for p in config.pictures.iterdir())
    assert written == ["stack-1.png", "stack-2.png"]
