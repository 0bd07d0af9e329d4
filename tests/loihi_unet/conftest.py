# SPDX-License-Identifier: BSD-3-Clause
"""Small pictures, small networks."""

import numpy as np
import pytest
import torch
from drive import make_drive
from PIL import Image
from reproduction import seconds_scale

from loihi_unet.config import TrainConfig, UNetConfig
from loihi_unet.conversion.calibrate import calibrate
from loihi_unet.conversion.normalise import spiking_unet
from loihi_unet.data.pictures import load_pictures
from loihi_unet.networks.net import Net
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
def model():
    """An untrained network with biases that matter."""
    torch.manual_seed(3)
    network = Net(UNetConfig(base_channels=3, levels=2))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.uniform_(-0.1, 0.2)
    return network


@pytest.fixture(scope="session")
def calibration(model, tiny, folder):
    """The network's scales."""
    return calibrate(model, tiny, load_pictures(folder, 1))


@pytest.fixture(scope="session")
def snn(model, calibration):
    """The network as a Spiking-UNet."""
    return spiking_unet(model, calibration)


@pytest.fixture(scope="session")
def data_root(tmp_path_factory, folder):
    """The folder of a denoising and of a segmentation set."""
    root = tmp_path_factory.mktemp("data")
    (root / "pictures").symlink_to(folder)
    make_drive(root / "DRIVE")
    return root


@pytest.fixture(scope="session")
def scale(tmp_path_factory, data_root, trained, tiny):
    """A scale of `loihi_unet.reproduce` that takes seconds."""
    return seconds_scale(tmp_path_factory, data_root, trained, tiny)
