# SPDX-License-Identifier: BSD-3-Clause
"""Small pictures, small networks."""

import pytest
import torch
from drive import make_drive
from reproduction import seconds_scale

from loihi_unet.config import UNetConfig
from loihi_unet.conversion.calibrate import calibrate
from loihi_unet.conversion.normalise import spiking_unet
from loihi_unet.data.pictures import load_pictures
from loihi_unet.networks.net import Net


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
