# SPDX-License-Identifier: BSD-3-Clause
import json

import pytest
import torch

from benchmarks.publish_model import publish
from loihi_unet.errors import CheckpointError
from loihi_unet.files.checkpoint import (
    load_checkpoint,
    read_checkpoint,
)


def test_a_published_model_and_its_recipe(tmp_path, trained, tuned, folder):
    recipe = publish(trained, tuned, tmp_path, "tiny", folder, commands=["a", "b"])
    assert json.loads((tmp_path / "tiny.json").read_text()) == recipe
    assert (recipe["name"], recipe["commands"]) == ("tiny", ["a", "b"])
    assert recipe["spiking"]["num_steps"] == 3
    checkpoint = read_checkpoint(tmp_path / "tiny.safetensors")
    assert not checkpoint.moments
    original, _ = load_checkpoint(trained)
    for name, value in checkpoint.model.state_dict().items():
        assert torch.equal(value, original.state_dict()[name].half().float())


def test_other_pictures_than_those_trained_on(tmp_path, trained, tuned):
    with pytest.raises(CheckpointError, match="other pictures than the default"):
        publish(trained, tuned, tmp_path, "tiny", None, commands=[])
    assert not list(tmp_path.iterdir())
