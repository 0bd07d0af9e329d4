# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from loihi_unet.conversion.calibrate import Percentile, calibrate, measure_scales
from loihi_unet.data.pictures import fingerprint, load_pictures
from loihi_unet.files.checkpoint import weights_sha256
from loihi_unet.networks.net import Net


@given(
    parts=st.lists(
        st.lists(st.integers(-50, 50), min_size=1, max_size=30), min_size=1, max_size=5
    ),
    percentile=st.sampled_from([0.5, 10.0, 50.0, 99.0, 99.9, 100.0]),
)
def test_streamed_percentile_equals_numpys(parts, percentile):
    values = [value for part in parts for value in part]
    collector = Percentile(percentile, len(values))
    for part in parts:
        collector.add(torch.tensor(part, dtype=torch.float64))
    # Both interpolate between the same two integers.
    assert collector.value() == pytest.approx(np.percentile(values, percentile))


def _activations(model, x):
    """Every layer's ReLU output, by wrapping the convolutions' own forward."""
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(
                lambda _m, _i, output, name=name: found.update(
                    {name: output.relu().numpy().ravel()}
                )
            )
    with torch.no_grad():
        model(x)
    return found


@pytest.mark.parametrize("percentile", [100.0, 99.9, 90.0])
def test_scales_are_percentiles_of_the_activations(model, percentile):
    x = torch.rand(6, 1, 16, 24)
    clone = Net(model.config)
    clone.load_state_dict(model.state_dict())
    expected = _activations(clone, x)
    scales = measure_scales(model, list(x.split(2)), percentile=percentile)
    assert list(scales)[:4] == ["enc0.conv1", "enc0.conv2", "pool0", "enc1.conv1"]
    assert "out" not in scales
    assert scales["pool0"] == scales["enc0.conv2"]
    for name, values in expected.items():
        if name != "out":
            # float32 activations; other batch sizes may sum in another order.
            assert scales[name] == pytest.approx(
                np.percentile(values.astype(np.float64), percentile), rel=1e-5
            )


def test_layer_wise_branches_share_the_percentile_of_the_whole(model):
    x = torch.rand(4, 1, 16, 16)
    clone = Net(model.config)
    clone.load_state_dict(model.state_dict())
    found = _activations(clone, x)
    scales = measure_scales(model, [x], normalisation="layer", percentile=99)
    for level in (0, 1):
        both = np.concatenate([found[f"enc{level}.conv2"], found[f"up{level}"]])
        expected = pytest.approx(np.percentile(both.astype(float), 99), rel=1e-5)
        assert scales[f"enc{level}.conv2"] == expected
        assert scales[f"up{level}"] == expected
        assert scales[f"pool{level}"] == expected


def test_no_hook_is_left_behind(model):
    measure_scales(model, [torch.rand(1, 1, 8, 8)])
    assert not any(module._forward_hooks for module in model.modules())


def test_a_layer_that_never_fires_takes_its_sources_scale(model, caplog):
    dead = Net(model.config)
    dead.load_state_dict(model.state_dict())
    with torch.no_grad():
        dead.mid.conv1.bias.fill_(-100)
        dead.up1.bias.fill_(-100)
    x = torch.rand(1, 1, 8, 8)
    scales = measure_scales(dead, [x])
    assert scales["mid.conv1"] == scales["pool1"]
    assert scales["up1"] == scales["enc1.conv2"]
    assert scales["enc0.conv1"] == measure_scales(model, [x])["enc0.conv1"]
    assert "layer mid.conv1: percentile 99.9 of its activations is 0" in caplog.text


def test_a_calibration_says_what_it_was_measured_with(model, tiny, folder):
    pictures = load_pictures(folder, 1)
    found = calibrate(model, tiny, pictures, normalisation="layer", percentile=99.0)
    assert (found.normalisation, found.percentile) == ("layer", 99.0)
    assert found.weights_sha256 == weights_sha256(model)
    assert found.data_sha256 == fingerprint(pictures)
    again = calibrate(model, tiny, pictures, normalisation="layer", percentile=99.0)
    assert again == found
