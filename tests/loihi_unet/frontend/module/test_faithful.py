# SPDX-License-Identifier: BSD-3-Clause
"""Operations that are called faithful: the float SNN tends to the float network."""

from dataclasses import replace

import pytest
import torch
from foreign import FAITHFUL, seeded
from torch import nn

from export.theta import settle
from loihi_unet.conversion.module import convert
from loihi_unet.finetuning.flow import IntegerUNet
from loihi_unet.frontend.module.read import read_module
from loihi_unet.spiking.run_float import run


def pictures(channels=2, side=16):
    """Smooth pictures, bright at the border, of integer gray levels."""
    random = torch.Generator().manual_seed(1)
    coarse = torch.rand(2, channels, side // 4, side // 4, generator=random)
    fine = torch.nn.functional.interpolate(coarse, scale_factor=4, mode="bicubic")
    return (fine.clamp(0, 1) * 255).round() / 255


def correlation(a, b):
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


@pytest.mark.parametrize("name", FAITHFUL)
def test_the_spiking_network_gives_what_the_module_gives(name):
    module, x = seeded(FAITHFUL[name]), pictures()
    with torch.no_grad():
        wanted = module(x)
    converted = convert(
        module, x, num_steps=16, num_thresholds=8, per="layer", percentile=100
    )
    assert converted.reading.faithful
    graph = converted.reading.usable()(x)
    wanted = wanted.reshape(graph.shape)
    assert torch.allclose(graph, wanted, atol=1e-5 * float(wanted.abs().max()))
    found = run(converted.snn, x).output
    assert correlation(found, wanted) > 0.99
    edges = (..., [0, -1], slice(None))
    assert correlation(found[edges], wanted[edges]) > 0.99
    integers = IntegerUNet(settle(converted.snn))(x).detach()
    assert correlation(integers, wanted) > 0.97


@pytest.mark.parametrize("name", ["transposed before a concatenation", "classifier"])
def test_a_threshold_for_each_channel(name):
    module, x = seeded(FAITHFUL[name]), pictures()
    converted = convert(module, x, num_steps=4, num_thresholds=6)
    with torch.no_grad():
        wanted = module(x).reshape(run(converted.snn, x).output.shape)
    assert isinstance(converted.snn.layers[0].scale, tuple)
    assert correlation(run(converted.snn, x).output, wanted) > 0.99


def damaged(graph, change):
    return replace(graph, layers=tuple(change(layer) for layer in graph.layers))


def test_these_tests_can_fail():
    x = pictures()
    signed = seeded(FAITHFUL["two convolutions without a ReLU"])
    with torch.no_grad():
        signed[0].bias -= 0.5
    hidden = nn.Sequential(signed[0], nn.ReLU(), *signed[1:])
    with torch.no_grad():
        assert correlation(hidden(x), signed(x)) < 0.99
    graph = read_module(seeded(FAITHFUL["mean subtracted from the input"]), x).usable()

    def no_plane(layer):
        if layer.name == "out":
            return layer
        [c] = layer.connections
        weight = c.weight.clone()
        weight[:, -1] = 0
        return replace(layer, connections=(replace(c, weight=weight),))

    edges = (..., [0, -1], slice(None))
    changed = damaged(graph, no_plane)(x)
    assert correlation(changed[edges], graph(x)[edges]) < 0.99
    graph = read_module(seeded(FAITHFUL["residual blocks"]), x).usable()

    def no_skip(layer):
        return replace(layer, connections=layer.connections[:1])

    assert correlation(damaged(graph, no_skip)(x), graph(x)) < 0.99
