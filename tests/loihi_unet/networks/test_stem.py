# SPDX-License-Identifier: BSD-3-Clause
"""Space to depth: the first layer reads blocks of pixels, the last one writes them."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from export.fit.structure import describe
from export.fit.traffic import _first_macs
from export.images import decode
from export.lowering import lower
from loihi_unet.config import (
    DnCNNConfig,
    TrainConfig,
    UNetConfig,
    config_toml,
    load_config,
    parse_config,
)
from loihi_unet.conversion.calibrate import calibrate
from loihi_unet.conversion.normalise import spiking_unet
from loihi_unet.data.pictures import load_pictures
from loihi_unet.errors import ConfigError
from loihi_unet.files.spiking_file import load_spiking_unet, save_spiking_unet
from loihi_unet.networks.net import Net
from loihi_unet.networks.operations import macs_per_pixel
from loihi_unet.spiking.graph import graph_of
from sim.backend import create
from sim.verify.comparison import compare


def small(stem):
    torch.manual_seed(stem)
    network = Net(UNetConfig(base_channels=3, levels=1, stem=stem))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05)
    return network


class InTorch(nn.Module):
    """What the trials train: any module of these shapes fits."""

    def __init__(self, stem):
        super().__init__()
        self.stem = nn.Conv2d(1, 3, 3 * stem, stride=stem, padding=stem)
        self.enc = nn.Conv2d(3, 3, 3, padding=1)
        self.mid = nn.ModuleList(
            [nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)]
        )
        self.up = nn.ConvTranspose2d(6, 3, 3, stride=2, padding=1, output_padding=1)
        self.dec = nn.ModuleList(
            [nn.Conv2d(6, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)]
        )
        self.head = nn.ConvTranspose2d(3, 1, stem, stride=stem)

    def forward(self, x):
        skip = self.enc(self.stem(x).relu()).relu()
        low = functional.avg_pool2d(skip, 2)
        low = self.mid[1](self.mid[0](low).relu()).relu()
        joined = torch.cat([skip, self.up(low).relu()], dim=1)
        return x + self.head(self.dec[1](self.dec[0](joined).relu()).relu())


@pytest.mark.parametrize("stem", [2, 4])
def test_weights_of_a_plain_torch_module_fit(stem):
    ours, theirs = small(stem), InTorch(stem)
    theirs.load_state_dict(
        dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True))
    )
    x = torch.rand(2, 1, 8 * stem, 4 * stem)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))
        torch.testing.assert_close(graph_of(ours)(x), theirs(x))


@pytest.mark.parametrize("stem", [2, 4])
def test_both_ends_are_shuffles_of_pixels(stem):
    """A 3x3 convolution of blocks; a 1x1 convolution for each pixel of a block."""
    network = small(stem)
    first = network.get_submodule("enc0.conv1")
    # Kernel (C, 1, 3 stem, 3 stem) to (C, stem * stem, 3, 3).
    blocks = functional.pixel_unshuffle(first.weight, stem)
    x = torch.rand(1, 1, 4 * stem, 4 * stem)
    expected = functional.conv2d(
        functional.pixel_unshuffle(x, stem), blocks, first.bias, padding=1
    )
    torch.testing.assert_close(first(x), expected)
    last = network.get_submodule("out")
    pixels = last.weight.flatten(1).T[:, :, None, None]
    low = torch.rand(1, 3, 4, 4)
    shuffled = functional.pixel_shuffle(functional.conv2d(low, pixels), stem)
    torch.testing.assert_close(last(low), shuffled + last.bias[:, None, None])


@pytest.mark.parametrize("stem", [1, 2, 4])
def test_initial_activations_are_as_large_with_any_stem(stem):
    torch.manual_seed(0)
    network = Net(UNetConfig(base_channels=16, levels=2, stem=stem))
    with torch.no_grad():
        sent = dict(network.layers(torch.randn(2, 1, 64, 64)))
    # Half the variance of the drive is left behind a ReLU, as a second moment of 1.
    assert 0.6 < sent["enc0.conv1"].square().mean().sqrt() < 1.7


@pytest.mark.parametrize("stem", [1, 2, 4])
def test_file_and_integers(stem, tiny, folder, tmp_path):
    model = small(stem)
    config = tiny.model_copy(update={"model": model.config})
    pictures = load_pictures(folder, 1)
    scales = calibrate(model, config, pictures, percentile=100)
    provenance = {"train": config.model_dump(mode="json")}
    snn = spiking_unet(
        model,
        scales,
        num_steps=16,
        num_thresholds=6,
        base_threshold=1 / 32,
        provenance=provenance,
    )
    assert snn.multiple == model.config.multiple == 2 * stem
    save_spiking_unet(tmp_path / "a.safetensors", snn)
    network = lower(load_spiking_unet(tmp_path / "a.safetensors"), 16, 24)
    assert network.output.shape == (1, 16, 24)
    assert network.layers[0].shape == (3, 16 // stem, 24 // stem)
    images = np.stack([p.pixels[:, :16, :24] for p in pictures]).astype(np.int32)
    torch_run, reference = (
        create(name).run(network, images) for name in ("torch", "reference")
    )
    assert compare(torch_run, reference).identical
    with torch.no_grad():
        floats = model(torch.from_numpy(images) / 255).numpy()
    difference = floats - np.stack([decode(network, x) for x in torch_run.output])
    # 8-bit weights and 16 steps: a twentieth of what the network adds to the picture.
    added = (floats - images / 255).std()
    assert np.sqrt((difference**2).mean()) < added / 20


def macs(**settings):
    return macs_per_pixel(UNetConfig(base_channels=4, levels=2, **settings))


def test_operations_of_a_pixel():
    # By hand: two levels of 4 and 8 channels, 16 below them.
    level0 = 9 * 4 + 9 * 4 * 4
    level1 = (9 * 4 * 8 + 9 * 8 * 8) / 4
    mid = (9 * 8 * 16 + 9 * 16 * 16) / 16
    up1, dec1 = 9 * 16 * 8 / 16, (9 * 16 * 8 + 9 * 8 * 8) / 4
    up0, dec0, out = 9 * 8 * 4 / 4, 9 * 8 * 4 + 9 * 4 * 4, 4
    whole = level0 + level1 + mid + up1 + dec1 + up0 + dec0 + out
    assert macs() == whole
    # A stem of 2 leaves a quarter of all but both ends.
    ends = 9 * 4 + 4
    assert macs(stem=2) == ends + (whole - ends) / 4
    assert macs(stem=4) == ends + (whole - ends) / 16
    assert macs_per_pixel(UNetConfig()) == 48544
    # As published: DnCNN-B has 20 layers of 64 channels.
    assert macs_per_pixel(DnCNNConfig(depth=20)) == 2 * 9 * 64 + 18 * 9 * 64 * 64


def test_fit_counts_what_the_last_layer_and_the_first_do(tiny, folder):
    for stem, synapses in ((1, 9), (2, 36), (4, 144)):
        model = small(stem)
        config = tiny.model_copy(update={"model": model.config})
        scales = calibrate(model, config, load_pictures(folder, 1))
        provenance = {"train": config.model_dump(mode="json")}
        structure = describe(
            lower(spiking_unet(model, scales, provenance=provenance), 16, 16)
        )
        first, *_, last = structure.layers
        assert first.neurons == 3 * (16 // stem) ** 2
        assert _first_macs(structure, "input") == first.neurons * (synapses + 1)
        head, residual = last.links
        assert head.synapses == 3 * 16 * 16
        assert residual.synapses == 16 * 16


def test_settings_written_before_have_the_same_bytes(tmp_path):
    plain = TrainConfig()
    assert "stem" not in config_toml(plain)
    assert "stem" not in plain.model_dump_json()
    stem = load_config("denoise-gray", {"model.stem": 2})
    assert stem.model.multiple == 32
    (tmp_path / "stem.toml").write_text(config_toml(stem))
    assert load_config(tmp_path / "stem.toml") == stem
    with pytest.raises(ConfigError, match=r"model\.stem: Input should be 1, 2 or 4"):
        parse_config({"model": {"stem": 3}}, where="here")
    with pytest.raises(ConfigError, match="patch_size 48 is not a multiple of 32"):
        load_config("denoise-gray", {"model.stem": 2, "patch_size": 48})
