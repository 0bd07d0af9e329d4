# SPDX-License-Identifier: BSD-3-Clause
"""Iterations are scored on the middle of large pictures, the result on the whole."""

import numpy as np
import pytest

from loihi_unet.conversion.convert import convert
from loihi_unet.data.datasets import AS_STATED
from loihi_unet.data.picture import Picture
from loihi_unet.files.spiking_file import load_spiking_unet
from loihi_unet.files.tensors import read_tensors
from loihi_unet.finetuning import crops
from loihi_unet.finetuning.config import FinetuneConfig, FinetuneFiles
from loihi_unet.finetuning.finetune import finetune
from loihi_unet.finetuning.objective import find_task

SETTINGS = FinetuneConfig(
    iterations=2,
    batch_size=2,
    patch_size=16,
    learning_rate=1e-2,
    validation_interval=1,
)


@pytest.fixture(scope="module")
def converted(tmp_path_factory, trained, folder):
    path = tmp_path_factory.mktemp("snn") / "snn.safetensors"
    convert(trained, path, folder, num_steps=2, base_threshold=0.25)
    return path


def test_a_picture_and_its_target_are_cut_at_the_same_place(monkeypatch):
    monkeypatch.setattr(crops, "SIDE", 4)
    pixels = np.arange(2 * 9 * 3, dtype=np.uint8).reshape(2, 9, 3)
    target = pixels.repeat(2, axis=1).repeat(2, axis=2)
    cut = crops.middle(Picture(name="a", pixels=pixels, target=target))
    np.testing.assert_array_equal(cut.pixels, pixels[:, 2:6])
    np.testing.assert_array_equal(cut.target, cut.pixels.repeat(2, 1).repeat(2, 2))


def test_small_pictures_are_scored_whole(converted, folder):
    snn = load_spiking_unet(converted)
    task, _ = find_task(snn, SETTINGS, folder, None, AS_STATED, where="test")
    assert crops.on_crops(task) is task


def test_scores_of_the_result_are_of_whole_pictures(
    converted, folder, tmp_path, monkeypatch
):
    whole = finetune(converted, tmp_path / "whole", folder, SETTINGS)
    monkeypatch.setattr(crops, "SIDE", 8)
    out = tmp_path / "crops"
    result = finetune(converted, out, folder, SETTINGS)
    _, record = read_tensors(FinetuneFiles(out).last, "finetuning")
    scores = {int(key): score for key, score in record["scores"].items()}
    assert result.before == whole.before != scores[0]
    assert result.iteration == max(scores, key=scores.get)
    kept = load_spiking_unet(out).provenance["finetune"]
    assert (kept["score_before"], kept["score"]) == (result.before, result.after)
    before = out.read_bytes()
    finetune(converted, out, folder, SETTINGS, resume=True)
    assert out.read_bytes() == before
