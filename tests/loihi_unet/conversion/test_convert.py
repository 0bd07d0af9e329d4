# SPDX-License-Identifier: BSD-3-Clause
import pytest
import torch
from torch import nn
from torch.nn import functional

from loihi_unet.config import UNetConfig
from loihi_unet.conversion.calibrate import calibrate
from loihi_unet.conversion.convert import convert
from loihi_unet.conversion.normalise import spiking_unet
from loihi_unet.data.pictures import load_pictures
from loihi_unet.errors import ConversionError
from loihi_unet.files.checkpoint import load_checkpoint
from loihi_unet.files.spiking_file import load_spiking_unet
from loihi_unet.networks.net import Net


def _with_relu(snn, x):
    """Evaluate the converted graph with a ReLU in place of every spiking neuron."""
    values = {"input": x}
    for layer in snn.layers:
        total = 0
        for item in layer.connections:
            value = values[item.source]
            if item.kind == "average_pool":
                value = functional.avg_pool2d(value, 2)
            elif item.kind != "identity":
                weight = item.weight.double()
                if item.kind == "conv":
                    value = functional.conv2d(
                        value, weight, padding=weight.shape[2] // 2
                    )
                else:
                    value = functional.conv_transpose2d(value, weight, None, 2, 1, 1)
            total = total + value
        if layer.bias is not None:
            total = total + layer.bias.double()[:, None, None]
        values[layer.name] = total.relu() if layer.spiking else total
    return values


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("normalisation", ["connection", "layer"])
def test_normalisation_changes_scales_only(tiny, folder, normalisation, residual):
    torch.manual_seed(0)
    model = Net(UNetConfig(base_channels=3, levels=2, residual=residual))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02)
    config = tiny.model_copy(update={"model": model.config})
    pictures = load_pictures(folder, 1)
    scales = calibrate(model, config, pictures, normalisation=normalisation)
    snn = spiking_unet(model, scales)
    x = torch.rand(2, 1, 8, 12, dtype=torch.float64)
    found = _with_relu(snn, x)
    original = Net(model.config).double()
    original.load_state_dict(model.state_dict())
    expected = {}
    for name, module in original.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(
                lambda _m, _i, output, name=name: expected.update({name: output})
            )
    with torch.no_grad():
        output = original(x)
    # w_hat is rounded to float32: a relative 2**-24 per product, a dozen layers.
    torch.testing.assert_close(found["out"], output, rtol=1e-5, atol=1e-6)
    for layer in snn.layers[:-1]:
        if layer.name in expected:
            torch.testing.assert_close(
                found[layer.name] * layer.scale,
                expected[layer.name].relu(),
                rtol=1e-5,
                atol=1e-6,
            )


def test_equation_8_by_hand(model, calibration, snn):
    scales = calibration.scales
    weight = model.dec0.conv1.weight.detach()
    skip, up = snn.layer("dec0.conv1").connections
    assert (skip.source, up.source) == ("enc0.conv2", "up0")
    own = scales["dec0.conv1"]
    torch.testing.assert_close(skip.weight, weight[:, :3] * scales[skip.source] / own)
    torch.testing.assert_close(up.weight, weight[:, 3:] * scales[up.source] / own)
    first = snn.layer("enc0.conv1")
    assert first.connections[0].source == "input"
    torch.testing.assert_close(
        first.connections[0].weight, model.enc0.conv1.weight / scales["enc0.conv1"]
    )
    torch.testing.assert_close(first.bias, model.enc0.conv1.bias / first.scale)
    out = snn.layer("out")
    assert (out.scale, out.spiking) == (1.0, False)
    assert [item.kind for item in out.connections] == ["conv", "identity"]
    torch.testing.assert_close(
        out.connections[0].weight, model.out.weight * scales["dec0.conv2"]
    )
    assert torch.equal(out.bias, model.out.bias)


def test_pools_have_no_weight_no_bias_and_their_sources_scale(snn):
    pool, source = snn.layer("pool0"), snn.layer("enc0.conv2")
    assert (pool.scale, pool.channels) == (source.scale, source.channels)
    assert pool.bias is None
    assert [(item.kind, item.weight) for item in pool.connections] == [
        ("average_pool", None)
    ]


def test_a_converted_network_shares_no_memory_with_the_trained_one(model, snn):
    before, trained = snn.layer("out").bias.clone(), model.out.bias.detach().clone()
    with torch.no_grad():
        model.out.bias.add_(1)
        untouched = torch.equal(snn.layer("out").bias, before)
        model.out.bias.copy_(trained)
    assert untouched


def test_scales_of_other_weights_are_refused(model, calibration):
    other = Net(model.config)
    with pytest.raises(ConversionError, match="measured on a network of other weights"):
        spiking_unet(other, calibration)


def test_convert_writes_what_it_returns(tmp_path, trained, folder):
    out = tmp_path / "snn.safetensors"
    snn = convert(
        trained, out, folder, percentile=99.0, num_steps=4, base_threshold=0.25
    )
    read = load_spiking_unet(out)
    assert (read.num_steps, read.num_thresholds, read.base_threshold) == (4, 4, 0.25)
    assert (read.percentile, read.normalisation) == (99.0, "connection")
    assert read.provenance == snn.provenance
    assert read.provenance["train"]["seed"] == 5
    for one, other in zip(read.layers, snn.layers, strict=True):
        assert (one.name, one.scale) == (other.name, other.scale)


def test_the_shipped_model_converts_with_its_own_scales(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("no picture is needed")

    monkeypatch.setattr("loihi_unet.conversion.convert.load_data", refuse)
    snn = convert("denoise-gray", tmp_path / "snn.safetensors")
    assert len(snn.layers) == 27
    with pytest.raises(AssertionError, match="no picture is needed"):
        convert("denoise-gray", tmp_path / "snn.safetensors", percentile=99.0)


def test_a_checkpoint_without_scales_uses_the_default_pictures(tmp_path, trained):
    one = convert(trained, tmp_path / "a.safetensors")
    model, config = load_checkpoint(trained)
    expected = calibrate(model, config, load_pictures(None, 1))
    assert one.provenance["data_sha256"] == expected.data_sha256
    assert one.layer("mid.conv1").scale == expected.scales["mid.conv1"]
