# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures: small pictures, and a run that was trained on them."""

import numpy as np
import pytest
from PIL import Image

from loihi_unet.config import TrainConfig, UNetConfig
from loihi_unet.conversion.convert import convert
from loihi_unet.finetuning.config import FinetuneConfig
from loihi_unet.finetuning.finetune import finetune
from loihi_unet.training.train import train


def _waves(height, width, seed):
    # Smooth, so that there is something to denoise.
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    fy, fx, phase = random.uniform(0.05, 0.3, size=3)
    return np.rint(127.5 + 100 * np.sin(fy * y + fx * x + 20 * phase)).astype(np.uint8)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Five gray PNG pictures, all of different shapes."""
    path = tmp_path_factory.mktemp("pictures")
    for index in range(5):
        pixels = _waves(24 + 3 * index, 40 - index, index)
        Image.fromarray(pixels).save(path / f"picture{index + 7}.png")
    return path


@pytest.fixture(scope="session")
def tiny():
    """Settings of a run that takes a second."""
    return TrainConfig(
        model=UNetConfig(base_channels=3, levels=2),
        patch_size=16,
        batch_size=4,
        iterations=6,
        validation_images=2,
        validation_interval=3,
        learning_rate=1e-2,
        seed=5,
    )


@pytest.fixture(scope="session")
def trained(tmp_path_factory, tiny, folder):
    """The folder of a finished run of `tiny` on `folder`."""
    out = tmp_path_factory.mktemp("run") / "tiny"
    train(tiny, folder, out, device="cpu")
    return out


@pytest.fixture(scope="session")
def tuned(tmp_path_factory, trained, folder):
    """The file of a network fine-tuned from `trained`."""
    path = tmp_path_factory.mktemp("tuned")
    convert(trained, path / "snn.safetensors", folder, num_steps=3)
    settings = FinetuneConfig(iterations=2, batch_size=2, patch_size=16)
    finetune(path / "snn.safetensors", path / "tuned.safetensors", folder, settings)
    return path / "tuned.safetensors"
