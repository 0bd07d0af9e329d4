# SPDX-License-Identifier: BSD-3-Clause
"""A trained network, converted and scored: over a set, and over a video."""

import gc
import weakref

import numpy as np
import pytest
from PIL import Image

from export.netx import read_network
from loihi_unet.errors import ConversionError, DataError
from loihi_unet.runs.evaluate_set import EvaluateConfig, report
from loihi_unet.runs.evaluate_video import FrameSequence, evaluate_video
from loihi_unet.sigma_delta.convert import convert


@pytest.fixture(scope="module")
def network(trained, folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "a.net"
    convert(trained, path, folder, size=(16, 16))
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Three frames of a ramp that hardly change."""
    folder = tmp_path_factory.mktemp("video")
    random = np.random.default_rng(0)
    for n in range(3):
        pixels = np.arange(480).reshape(20, 24) // 2 + random.integers(0, 3, (20, 24))
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{n}.png")
    return folder


def test_a_set_is_scored_beside_its_ann(network, trained, folder):
    settings = EvaluateConfig(data=folder, checkpoint=str(trained), tile=64)
    row = report(network, settings, command="", workers=1)
    assert row["pictures"] == 5
    assert abs(row["chip"]["psnr"] - row["ann"]["psnr"]) < 0.05
    assert row["T"] == read_network(network).num_steps
    assert row["N"] is row["bits"] is None


def test_every_frame_is_scored_and_counted(network, video):
    row = evaluate_video(network, EvaluateConfig(data=video, sigma=0.0), command="")
    assert [frame["frame"] for frame in row["frames"]] == ["0.png", "1.png", "2.png"]
    assert all(frame["events"] > 0 for frame in row["frames"])
    first = evaluate_video(
        network, EvaluateConfig(data=video, sigma=0.0, backend="reference"), command=""
    )
    assert first["frames"] == row["frames"]


def test_thresholds_keep_to_a_budget(network, video, tmp_path):
    settings = EvaluateConfig(data=video, sigma=0.0)
    plain = evaluate_video(network, settings, command="")
    out = tmp_path / "b.net"
    found = evaluate_video(network, settings, command="", budget=15.0, out=out)
    searched = found["thresholds"]
    assert any(share > 0 for share in searched["shares"].values())
    assert searched["quality"] >= searched["quality_at_zero"] - 15.0
    assert searched["operations"] <= searched["operations_common"]
    assert found["measures"]["psnr"] >= plain["measures"]["psnr"] - 15.0
    assert found["operations_later"] < plain["operations_later"]
    again = evaluate_video(out, settings, command="")
    assert again["frames"] == found["frames"]


def test_few_frames_are_held_at_a_time(network, tmp_path, monkeypatch):
    alive: list[weakref.ref] = []
    most = 0
    load = FrameSequence.frame

    def frame(sequence, n):
        nonlocal most
        found = load(sequence, n).copy()
        alive.append(weakref.ref(found))
        gc.collect(0)
        most = max(most, sum(ref() is not None for ref in alive))
        return found

    monkeypatch.setattr(FrameSequence, "frame", frame)
    for n in range(12):
        pixels = np.full((16, 16), 20 * n, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{n}.png")
    row = evaluate_video(network, EvaluateConfig(data=tmp_path), command="")
    assert len(row["frames"]) == 12
    assert len(alive) >= 12
    assert most <= 4


def test_bad_input(network, folder, trained, tmp_path):
    with pytest.raises(DataError, match="frames of 5 sizes"):
        evaluate_video(network, EvaluateConfig(data=folder), command="")
    with pytest.raises(ConversionError, match=r"--size 17x16: .* multiples of 4"):
        convert(trained, tmp_path / "c.net", folder, size=(17, 16))
    assert not (tmp_path / "c.net").exists()
