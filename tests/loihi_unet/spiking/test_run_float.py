# SPDX-License-Identifier: BSD-3-Clause
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from loihi_unet.config import UNetConfig
from loihi_unet.conversion.calibrate import calibrate
from loihi_unet.conversion.normalise import spiking_unet
from loihi_unet.data.pictures import load_pictures
from loihi_unet.errors import DataError
from loihi_unet.networks.net import Net
from loihi_unet.spiking.run_float import run


def _dyadic(snn):
    """Round weights and biases to multiples of 1/64, so that sums are exact."""

    def rounded(tensor):
        return None if tensor is None else (tensor.double() * 64).round() / 64

    layers = tuple(
        replace(
            layer,
            bias=rounded(layer.bias),
            connections=tuple(
                replace(item, weight=rounded(item.weight)) for item in layer.connections
            ),
        )
        for layer in snn.layers
    )
    return replace(snn, layers=layers)


def _step_by_step(snn, x):
    """Algorithm 1: time outside, layers inside, thresholds one after the other."""
    v, payload_sum, accumulator = {}, {}, 0
    for _ in range(snn.num_steps):
        values = {"input": x}
        for layer in snn.layers:
            drive = 0
            for item in layer.connections:
                value = values[item.source]
                if item.kind == "average_pool":
                    value = functional.avg_pool2d(value, 2)
                elif item.kind == "conv":
                    padding = item.weight.shape[2] // 2
                    value = functional.conv2d(value, item.weight, padding=padding)
                elif item.kind == "conv_transpose":
                    value = functional.conv_transpose2d(
                        value, item.weight, None, 2, 1, 1
                    )
                drive = drive + value
            if layer.bias is not None:
                drive = drive + layer.bias[None, :, None, None]
            if not layer.spiking:
                accumulator = accumulator + drive
                continue
            potential = v.get(layer.name, 0) + drive
            sent = torch.zeros_like(drive)
            for i in reversed(range(snn.num_thresholds)):
                threshold = snn.base_threshold * 2**i
                fires = potential >= threshold
                potential = potential - fires * threshold
                sent = sent + fires * threshold
            v[layer.name], values[layer.name] = potential, sent
            payload_sum[layer.name] = (
                payload_sum.get(layer.name, 0) + sent.mean().item()
            )
    scale = snn.num_steps * snn.base_threshold
    return accumulator / snn.num_steps, {k: s / scale for k, s in payload_sum.items()}


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize(("steps", "thresholds"), [(1, 4), (5, 1), (8, 3)])
def test_layer_by_layer_equals_step_by_step(tiny, folder, steps, thresholds, residual):
    torch.manual_seed(1)
    model = Net(UNetConfig(base_channels=3, levels=2, residual=residual))
    config = tiny.model_copy(update={"model": model.config})
    scales = calibrate(model, config, load_pictures(folder, 1))
    snn = _dyadic(
        spiking_unet(model, scales, num_steps=steps, num_thresholds=thresholds)
    )
    x = torch.randint(-4, 24, (2, 1, 8, 12)).double() / 16
    output, mean_payload = run(snn, x)
    expected, payloads = _step_by_step(snn, x)
    # Payloads are exact in float64; the mean over T divides once, here or there.
    torch.testing.assert_close(output, expected, rtol=1e-12, atol=1e-12)
    assert mean_payload == pytest.approx(payloads, rel=1e-12)
    assert any(mean_payload.values())


def test_more_steps_come_closer_to_the_network(model, tiny, folder):
    scales = calibrate(model, tiny, load_pictures(folder, 1), percentile=100.0)
    x = torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        exact = model(x)
    errors = [
        (run(spiking_unet(model, scales, num_steps=steps), x).output - exact)
        .abs()
        .mean()
        .item()
        for steps in (4, 32, 256)
    ]
    # What stays in the membranes is bounded, so the error falls like 1 / T.
    assert errors[1] < errors[0] / 3
    assert errors[2] < errors[1] / 3


def test_pictures_of_a_batch_do_not_touch(snn):
    x = torch.rand(3, 1, 8, 8, dtype=torch.float64)
    together = run(snn, x).output
    alone = torch.cat([run(snn, picture[None]).output for picture in x])
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "shape", [(1, 1, 8, 6), (1, 1, 6, 8), (1, 2, 8, 8), (1, 8, 8)], ids=str
)
def test_shapes_that_do_not_fit(snn, shape):
    with pytest.raises(
        DataError, match=r"input has shape .* allowed is \(B, 1, H, W\)"
    ):
        run(snn, torch.zeros(shape))
