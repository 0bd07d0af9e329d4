# SPDX-License-Identifier: BSD-3-Clause
"""Float Spiking-UNet -> Network: nothing but rounding separates the two."""

import dataclasses

import numpy as np
import pytest
import torch

from export.compartment import MTIF
from export.errors import NetworkError, RangeError
from export.facts import STATE
from export.images import decode
from export.lowering import lower
from export.theta import largest_sum_gain, settle
from export.units import PIXEL_SCALE, unit_weights
from loihi_unet.conversion.convert import convert
from loihi_unet.spiking.run_float import run as run_float
from loihi_unet.spiking.spiking_unet import Connection, Layer
from sim.backend import create


@pytest.fixture(scope="module")
def snn(tmp_path_factory):
    return convert("denoise-gray", tmp_path_factory.mktemp("snn") / "s.safetensors")


@pytest.fixture(scope="module")
def network(snn):
    return lower(snn, 32, 48)


@pytest.fixture(scope="module")
def pixels():
    from loihi_unet.data.pictures import load_pictures
    from loihi_unet.tasks.denoise import noisy_picture

    picture = next(p for p in load_pictures(None, 1) if p.name == "camera.png")
    return noisy_picture(picture, 0, sigma=25, seed=0)[:, 100:132, 200:248]


def test_every_layer_and_delay(network):
    assert [layer.name for layer in network.layers][:3] == [
        "enc0.conv1",
        "enc0.conv2",
        "pool0",
    ]
    assert network.stages["out"] == 27
    delays = {
        (c.source, layer.name): c.delay
        for layer in network.layers
        for c in layer.connections
        if c.delay
    }
    assert delays == {
        ("enc3.conv2", "dec3.conv1"): 4,
        ("enc2.conv2", "dec2.conv1"): 10,
        ("enc1.conv2", "dec1.conv1"): 16,
        ("enc0.conv2", "dec0.conv1"): 22,
        ("input", "out"): 26,
    }
    assert network.task == "denoise"


def test_weights_stand_for_the_float_ones(snn, network):
    """mantissa << e is W * theta to half a level, for every connection."""
    nodes = network.nodes
    for float_layer, layer in zip(snn.layers, network.layers, strict=True):
        compartment = layer.compartment
        spiking = isinstance(compartment, MTIF)
        gain = compartment.vth_mant[0] / snn.base_threshold if spiking else None
        for c, lowered in zip(float_layer.connections, layer.connections, strict=True):
            if c.weight is None:
                continue
            unit = PIXEL_SCALE if c.source == "input" else snn.base_threshold
            k = gain if spiking else 1 / nodes[layer.name].scale
            expected = c.weight.double().numpy() * unit * k
            mantissas = lowered.synapse.weight * 2.0**lowered.weight_exp
            # Half a level of 2 units, shifted; float32 weights add nothing of note.
            assert np.abs(mantissas - expected).max() <= 1.0001 * 2**lowered.weight_exp


def test_pool_is_the_exact_average(network):
    pool = network.nodes["pool0"]
    assert pool.compartment.vth_mant.tolist() == [8]
    assert pool.connections[0].synapse.weight_mant == 2


def test_residual_gain_is_exact(network):
    """A network that learned nothing returns its input: only the skip is left."""
    skip = next(c for c in network.output.connections if c.source == "input")
    unit = skip.synapse.weight[0, 0, 0, 0] << skip.weight_exp
    assert unit * network.output.scale == pytest.approx(PIXEL_SCALE, rel=1e-12)


def test_output_is_close_to_the_float_network(snn, network, pixels):
    recording = create("torch").run(network, pixels[None])
    chip = decode(network, recording.output[0])
    x = torch.from_numpy(pixels.astype(np.float32))[None] / 255
    snn_output = run_float(snn, x).output[0].numpy()
    # Rounding to 8 bits moves single spikes; measured on this crop: 0.0045 rms.
    assert np.sqrt(((chip - snn_output) ** 2).mean()) < 0.009
    assert np.abs(chip - pixels / 255).mean() > 0.02  # it did denoise


def test_sizes_that_do_not_fit(snn):
    with pytest.raises(NetworkError, match="32x40: sides must be positive multiples"):
        lower(snn, 32, 40)


def changed(snn, name, **changes):
    layers = tuple(
        dataclasses.replace(layer, **changes) if layer.name == name else layer
        for layer in snn.layers
    )
    return dataclasses.replace(snn, layers=layers)


def test_what_cannot_be_expressed(snn):
    layer = snn.layer("enc0.conv2")
    (c,) = layer.connections
    zero = dataclasses.replace(c, weight=torch.zeros_like(c.weight))
    with pytest.raises(RangeError, match=r"'enc0.conv2': a connection has only zero"):
        lower(changed(snn, "enc0.conv2", connections=(zero,)), 16, 16)
    huge = dataclasses.replace(c, weight=c.weight * 1e4)
    with pytest.raises(RangeError, match="at most 254 can be expressed"):
        lower(changed(snn, "enc0.conv2", connections=(huge,)), 16, 16)
    bias = torch.full_like(layer.bias, 1e6)
    with pytest.raises(RangeError, match=r"biases so large that vth_mant 0 found"):
        lower(changed(snn, "enc0.conv2", bias=bias), 16, 16)


def test_no_accumulator_overflow_by_construction(snn):
    """The output gain leaves room for any payloads over a very long window."""
    network = lower(dataclasses.replace(snn, num_steps=1000), 16, 16)
    images = np.full((1, 1, 16, 16), 1023)
    step = sum(
        c.bound(network.nodes[c.source].magnitude) for c in network.output.connections
    )
    assert step * 1000 < 2**23
    assert network.input.check(images).max() == 1023


def test_a_network_that_does_not_say_its_task(snn):
    with pytest.raises(NetworkError, match=r"train\.task\.kind missing"):
        lower(dataclasses.replace(snn, provenance={}), 16, 16)


def test_settled_networks_lower_alike(snn, network):
    settled = settle(snn)
    assert lower(settled, 32, 48).sha256 == network.sha256
    halved = changed(settled, "out", bias=settled.layer("out").bias / 2)
    again = lower(halved, 32, 48)
    assert again.output.scale == network.output.scale


@pytest.mark.parametrize("kind", ["conv", "conv_transpose"])
def test_sums_that_could_leave_24_bits_lower_the_threshold(kind):
    """A wide layer of many thresholds: stock Conv would wrap its sums unseen."""
    shape = (256, 512, 3, 3) if kind == "conv" else (512, 256, 3, 3)
    weight = torch.full(shape, 0.01)
    layer = Layer(
        name="wide",
        channels=256,
        connections=(Connection(source="a", kind=kind, weight=weight),),
        bias=None,
        scale=1.0,
        spiking=True,
    )
    weights = unit_weights(layer, 1 / 256)
    assert STATE.maximum < 512 * 9 * 2 * 127 * 255  # at the levels' full range
    gain = largest_sum_gain(layer, weights, [255])
    assert 512 * 9 * 0.01 * gain * 255 == pytest.approx(STATE.maximum / 2)
    assert largest_sum_gain(layer, weights, [1]) == pytest.approx(255 * gain)


def test_residual_beside_spikes_that_move_the_output_far(snn):
    """The skip keeps a level where a spike is worth more than 127 gray levels."""
    out = snn.layers[-1]
    far = [
        c
        if c.weight is None or c.source == "input"
        else dataclasses.replace(c, weight=c.weight / c.weight.abs().max() * 7)
        for c in out.connections
    ]
    changed = dataclasses.replace(
        snn, layers=(*snn.layers[:-1], dataclasses.replace(out, connections=tuple(far)))
    )
    network = lower(settle(changed), 32, 32)
    skip = next(c for c in network.output.connections if c.source == "input")
    unit = skip.synapse.weight[0, 0, 0, 0] << skip.weight_exp
    assert unit * network.output.scale == pytest.approx(PIXEL_SCALE, rel=1e-12)
    other = next(c for c in network.output.connections if c.source != "input")
    assert 64 <= np.abs(other.synapse.weight).max() // 2 <= 127
    assert other.weight_exp > skip.weight_exp
