# SPDX-License-Identifier: BSD-3-Clause
"""A torch module through files, mappings, backends and fine-tuning."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from foreign import FAITHFUL, Calls, conv, net, seeded
from torch import nn

import loihi_unet
from export.lowering import lower
from export.netx import read_network, write_network
from export.theta import settle
from loihi_unet.conversion.module import convert, crops, parse_shape
from loihi_unet.data.pictures import Picture
from loihi_unet.errors import ConversionError, DataError
from loihi_unet.files.spiking_file import load_spiking_unet, save_spiking_unet
from loihi_unet.finetuning.flow import IntegerUNet
from loihi_unet.finetuning.imitation import ImitationTask
from loihi_unet.finetuning.prune import prune
from loihi_unet.frontend.module.read import Preparation, Prepared, read_module
from loihi_unet.runs.quality import HEADROOM, quality, with_headroom
from loihi_unet.spiking.run_float import run
from sim.backend import OverflowLayerError, create
from sim.verify.comparison import compare

PAIR = "transposed with overlaps before a concatenation"
QUICK = {"num_steps": 3, "num_thresholds": 4, "per": "layer"}


def pictures(channels=2, side=16):
    random = torch.Generator().manual_seed(1)
    return (torch.rand(2, channels, side, side, generator=random) * 255).round() / 255


def test_pairs_and_planes_are_exact_on_every_mapping(tmp_path):
    x = pictures()
    outputs = []
    for name in (PAIR, "mean subtracted from the input"):
        snn = convert(seeded(FAITHFUL[name]), x, **QUICK).snn
        save_spiking_unet(tmp_path / "a.st", snn)
        again = load_spiking_unet(tmp_path / "a.st")
        assert again.frame == snn.frame
        complete = snn.frame.completed(x, snn.in_channels)
        images = (complete * 255).round().numpy().astype(np.int32)
        for mapping in ("graded", "parallel-if", "binary-if"):
            network = lower(snn, 16, 16, mapping=mapping)
            assert lower(again, 16, 16, mapping=mapping).sha256 == network.sha256
            write_network(network, tmp_path / "a.net")
            assert read_network(tmp_path / "a.net").sha256 == network.sha256
            left, right = (
                create(backend).run(network, images)
                for backend in ("reference", "torch")
            )
            assert compare(left, right, network).verdict == "EXACT"
            outputs.append(left.output.any())
    assert all(outputs)


def test_another_size_of_picture():
    module = seeded(FAITHFUL[PAIR])
    snn = convert(module, pictures(), **{**QUICK, "num_thresholds": 8}).snn
    larger = pictures(side=24)
    with torch.no_grad():
        wanted = module(larger)
    error = (run(snn, larger).output - wanted).abs().max()
    assert error < 0.1 * (wanted.max() - wanted.min())
    fixed = convert(seeded(FAITHFUL["classifier"]), pictures(), **QUICK).snn
    with pytest.raises(ValueError, match=r"allowed is \(B, 2, 16, 16\)"):
        run(fixed, larger)
    with pytest.raises(ValueError, match="this network takes 16x16 only"):
        lower(fixed, 24, 24)


@pytest.mark.parametrize(
    "preparation",
    [
        Preparation(scale=255.0, mean=(120.0,), std=(60.0,)),
        Preparation(mean=(0.4, 0.5), std=(0.2, 0.3)),
    ],
)
def test_what_a_network_expects_of_a_pixel_is_right_at_the_border(preparation):
    module, x = seeded(lambda: net(conv(2, 4), nn.ReLU(), conv(4, 2))), pictures()
    graph = read_module(module, x, preparation=preparation).usable()
    mean = torch.tensor(preparation.mean)[:, None, None]
    std = torch.tensor(preparation.std)[:, None, None]
    with torch.no_grad():
        wanted = module((x * preparation.scale - mean) / std)
    assert graph.frame.constant
    assert torch.allclose(graph(x), wanted, atol=1e-4)
    # A bias instead of the plane would be wrong at the border, and only there.
    plane = torch.cat([x, torch.zeros(2, 1, 16, 16)], dim=1)
    assert not torch.allclose(graph(plane), wanted, atol=1e-2)


def test_a_second_input_is_a_constant():
    def function(m, x, level):
        return m.body(torch.cat([x, level.expand(-1, 1, *x.shape[2:])], dim=1))

    module = seeded(
        lambda: Calls(function, body=net(conv(3, 4), nn.ReLU(), conv(4, 2)))
    )
    x = pictures()
    reading = read_module(module, x, preparation=Preparation(constant=0.3))
    with torch.no_grad():
        wanted = module(x, torch.full((2, 1, 1, 1), 0.3))
        other = module(x, torch.full((2, 1, 1, 1), 0.5))
    assert torch.allclose(reading.usable()(x), wanted, atol=1e-5)
    assert not torch.allclose(reading.usable()(x), other, atol=1e-3)


def test_where_the_quality_went():
    module = seeded(lambda: net(conv(2, 4), nn.ReLU(), nn.MaxPool2d(2), conv(4, 2)))
    x = pictures()
    made = convert(module, x, **QUICK, allow=["max_pool2d=average"])
    prepared = Prepared(module, Preparation()).eval()
    snn, found = with_headroom(prepared, made.reading.usable(), made.snn, x)
    replaced, spiking, integers = found.stages
    assert replaced.error > 0.01
    assert spiking.correlation <= 1
    assert integers.error < 2 * replaced.error
    assert [layer.name for layer in found.layers] == ["0"]
    assert all(layer.headroom >= HEADROOM for layer in found.layers)
    coarse = convert(
        module,
        x,
        num_steps=3,
        num_thresholds=1,
        per="layer",
        allow=["max_pool2d=average"],
    )
    worse = quality(prepared, coarse.reading.usable(), coarse.snn, x)
    assert worse.layers[0].error > found.layers[0].error
    assert snn.frame.safety >= 1


def test_levels_leave_room_where_full_ones_overflow():
    module, x = seeded(FAITHFUL["average pools"]), pictures()
    made = convert(
        module, x, num_steps=64, num_thresholds=8, per="layer", percentile=100
    )
    prepared = Prepared(module, Preparation()).eval()
    full = replace(made.snn, frame=replace(made.snn.frame, safety=1))
    with pytest.raises(OverflowLayerError):
        quality(prepared, made.reading.usable(), full, x)
    snn, found = with_headroom(prepared, made.reading.usable(), made.snn, x)
    assert snn.frame.safety > 1
    assert min(layer.headroom for layer in found.layers) > 0


def test_layers_without_a_bias_are_no_warning():
    module = seeded(lambda: net(conv(2, 4), nn.ReLU(), nn.MaxPool2d(2), conv(4, 2)))
    settings = {"num_steps": 2, "num_thresholds": 4, "allow": ["max_pool2d=exact"]}
    with np.errstate(over="raise"):
        loihi_unet.convert(module, pictures(), **settings)


def hidden(snn, x):
    """Largest potential of the first layer on pictures."""
    integers = IntegerUNet(settle(snn))
    integers(x)
    return integers.peaks["0"]


def worst_pictures(snn):
    """Brightest where a channel's weights are positive, else darkest; and inverted."""
    network = lower(snn, 16, 16)
    weight = network.layers[0].connections[0].synapse.weight
    pixels = np.full((2, *weight.shape[:2], 16, 16), 0, np.float32)
    dark, bright = network.input.minimum, network.input.maximum
    pixels[0, :, :, 7:10, 7:10] = np.where(weight > 0, bright, dark)
    pixels[1, :, :, 7:10, 7:10] = np.where(weight > 0, dark, bright)
    return torch.from_numpy(pixels.reshape(-1, *pixels.shape[2:]) / 255)


def test_bits_left_on_any_picture_are_reached_by_the_worst():
    module = seeded(lambda: net(conv(2, 4), nn.ReLU(), conv(4, 2)))
    x = pictures()
    made = convert(module, x, num_steps=1, num_thresholds=4, per="layer")
    prepared = Prepared(module, Preparation()).eval()
    snn, found = with_headroom(prepared, made.reading.usable(), made.snn, x)
    (layer,) = found.layers
    assert 0 < layer.certain < layer.headroom
    assert found.may_overflow == ()
    largest = hidden(snn, worst_pictures(snn))
    assert layer.certain == np.log2((2**23 - 1) / largest)


def test_without_a_proof_the_worst_picture_does_overflow():
    module = seeded(lambda: net(conv(2, 4), nn.ReLU(), conv(4, 2)))
    dark = (pictures() * 8).round() / 255
    made = convert(module, dark, num_steps=512, num_thresholds=2, per="layer")
    prepared = Prepared(module, Preparation()).eval()
    snn, found = with_headroom(prepared, made.reading.usable(), made.snn, dark)
    (layer,) = found.layers
    assert layer.headroom >= HEADROOM
    assert layer.certain < 0
    assert found.may_overflow == ("0",)
    with pytest.raises(OverflowLayerError, match="layer '0'"):
        hidden(snn, worst_pictures(snn))


def test_fine_tuning_with_ones_own_batches_and_loss():
    x = pictures()
    module = seeded(FAITHFUL[PAIR])
    snn = loihi_unet.convert(module, x, num_steps=2, num_thresholds=3, per="layer")
    with torch.no_grad():
        wanted = module(x)

    def loss(output, target):
        return (output - target).square().mean()

    def error(network):
        return float(loss(IntegerUNet(settle(network))(x), wanted))

    tuned = loihi_unet.finetune(snn, [(x, wanted)] * 15, loss, learning_rate=1e-3)
    assert error(tuned) < 0.9 * error(snn)
    with pytest.raises(ConversionError, match="batch 1: the loss is nan"):
        loihi_unet.finetune(snn, [(x, wanted)], lambda a, b: loss(a, b) * float("nan"))


def test_pruning_a_grouped_convolution():
    x = pictures()
    module = seeded(FAITHFUL["groups, and a kernel of even sides"])
    snn = convert(module, x, **QUICK).snn
    assert snn.layers[1].connections[0].place.groups == 4
    shares = {layer.name: torch.ones(layer.channels) for layer in snn.layers[:-1]}
    same = prune(snn, shares, 0.0)
    assert torch.allclose(run(same, x).output, run(snn, x).output, atol=1e-5)


def test_imitation_holds_pictures_out():
    grays = [
        Picture(name=str(n), pixels=np.full((1, 16, 16), 20 * n, np.uint8))
        for n in range(10)
    ]
    task = ImitationTask(lambda x: 2 * x, grays, (16, 16), batch_size=4, seed=0)
    assert [p.name for p in task.held_out] == ["0", "8"]
    x, wanted = task.batch(1)
    assert torch.equal(wanted, 2 * x)
    assert not set(x.unique().tolist()) & {0.0, 160 / 255}
    with pytest.raises(DataError, match="two needed, one of them is held out"):
        ImitationTask(lambda x: x, grays[:1], (16, 16), batch_size=1, seed=0)


def test_crops_for_calibration():
    grays = [Picture(name="a", pixels=np.zeros((1, 20, 30), np.uint8))]
    assert crops(grays, (1, 8, 16)).shape == (8, 1, 8, 16)
    with pytest.raises(DataError, match="no picture of at least 32x32 pixels"):
        crops(grays, (1, 32, 8))
    assert parse_shape("3x64X32") == (3, 64, 32)
