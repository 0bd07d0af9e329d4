# SPDX-License-Identifier: BSD-3-Clause
import pytest
from torch import nn

from loihi_unet.config import FCNConfig, UNetConfig
from loihi_unet.networks.net import Net
from loihi_unet.networks.topology import topology


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_layers_are_the_networks_modules(levels):
    config = UNetConfig(base_channels=1, levels=levels)
    kinds = nn.Conv2d | nn.ConvTranspose2d | nn.AvgPool2d
    modules = [
        name for name, item in Net(config).named_modules() if isinstance(item, kinds)
    ]
    names = [node.name for node in topology(config)]
    assert sorted(names) == sorted(modules)
    assert len(names) == 6 * levels + 3


def test_two_levels_written_out():
    nodes = topology(UNetConfig(levels=2))
    assert [(node.name, node.sources) for node in nodes] == [
        ("enc0.conv1", ("input",)),
        ("enc0.conv2", ("enc0.conv1",)),
        ("pool0", ("enc0.conv2",)),
        ("enc1.conv1", ("pool0",)),
        ("enc1.conv2", ("enc1.conv1",)),
        ("pool1", ("enc1.conv2",)),
        ("mid.conv1", ("pool1",)),
        ("mid.conv2", ("mid.conv1",)),
        ("up1", ("mid.conv2",)),
        ("dec1.conv1", ("enc1.conv2", "up1")),
        ("dec1.conv2", ("dec1.conv1",)),
        ("up0", ("dec1.conv2",)),
        ("dec0.conv1", ("enc0.conv2", "up0")),
        ("dec0.conv2", ("dec0.conv1",)),
        ("out", ("dec0.conv2",)),
    ]


def test_skips_of_the_fcn():
    nodes = topology(FCNConfig(base_channels=4))
    assert [node.name for node in nodes] == [
        *("enc0.conv1", "enc0.conv2", "pool0", "enc1.conv1", "enc1.conv2", "pool1"),
        *("enc2.conv1", "enc2.conv2", "enc2.conv3", "pool2", "mid.conv1", "mid.conv2"),
        *("fuse2", "fuse1", "out"),
    ]
    assert [(node.sources, node.channels) for node in nodes[-3:]] == [
        (("mid.conv2", "enc2.conv3"), 2),
        (("fuse2", "enc1.conv2"), 2),
        (("fuse1", "enc0.conv2"), 1),
    ]
    kinds = [(branch.kind, branch.kernel) for branch in nodes[-1].branches]
    assert kinds == [("conv_transpose", 3), ("conv", 1)]


def test_sources_come_before_their_targets_and_stages_fit_the_skips():
    stage = {"input": 0}
    for node in topology(UNetConfig()):
        stage[node.name] = 1 + max(stage[source] for source in node.sources)
    assert stage["out"] == 27
    delays = [
        stage[f"dec{level}.conv1"] - stage[f"enc{level}.conv2"] - 1
        for level in (3, 2, 1, 0)
    ]
    assert delays == [4, 10, 16, 22]
