# SPDX-License-Identifier: BSD-3-Clause
"""The fine-tuning network names the overflow of every backend, and tries its sums."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

from export.theta import settle
from loihi_unet.conversion.normalise import spiking_unet
from loihi_unet.finetuning.flow import IntegerUNet
from sim.backend import OverflowLayerError, create
from sim.torch import int8


@pytest.fixture(scope="module")
def snn(model, calibration, tiny):
    provenance = {"train": tiny.model_dump(mode="json")}
    return spiking_unet(model, calibration, provenance=provenance)


def named(run):
    """(image, layer, step, what), or None."""
    try:
        run()
    except OverflowLayerError as error:
        return error.image, error.layer, error.step, error.what
    return None


def by_reference(network, x):
    levels = np.rint(x.numpy() * 255).astype(np.int64)
    judged = network.network.resized(*levels.shape[2:])
    return named(lambda: create("reference").run(judged, levels))


def drowned(snn, biases, num_steps):
    """Layers with so large a bias, in their first places, that they overflow."""
    snn = settle(snn)
    layers = list(snn.layers)
    for number, bias in enumerate(biases):
        layer = layers[number]
        quantisation = dataclasses.replace(layer.quantisation, bias_exp=7)
        unit = quantisation.gain / snn.base_threshold
        value = torch.full_like(layer.bias, bias * 2**7 / unit)
        layers[number] = dataclasses.replace(
            layer, bias=value, quantisation=quantisation
        )
    return settle(dataclasses.replace(snn, layers=tuple(layers), num_steps=num_steps))


def test_the_first_overflow_in_time_is_named(snn):
    network = IntegerUNet(drowned(snn, (-2100, -4000), 40))
    x = torch.zeros(2, 1, 8, 8)
    found = named(lambda: network(x))
    assert found == by_reference(network, x)
    assert found[:3] == (0, "enc0.conv2", 16)  # enc0.conv1 follows at step 31


def test_the_image_that_overflows_is_named(snn):
    network = IntegerUNet(settle(snn))
    loud(network, 0)
    x = torch.cat([torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)])
    found = named(lambda: network(x))
    assert found == by_reference(network, x)
    assert found[0] == 1
    assert found[3].startswith("input from 'input' ")


def test_sums_that_cancel_overflow_all_the_same(snn):
    """One connection leaves 24 bits; the bias brings the potential back."""
    network = IntegerUNet(settle(snn))
    loud(network, 0)
    x = torch.ones(1, 1, 8, 8)
    found = named(lambda: network(x))
    assert found == by_reference(network, x)
    assert found[3].startswith("input from")


def loud(network, number):
    """Shift the sums of one layer's first connection as far left as it goes."""
    layers = list(network.network.layers)
    first, *rest = layers[number].connections
    first = dataclasses.replace(first, weight_exp=7)
    layers[number] = dataclasses.replace(layers[number], connections=(first, *rest))
    network.network = dataclasses.replace(network.network, layers=tuple(layers))


@pytest.fixture
def wrong_convolution(monkeypatch):
    """Torch's convolution of float32 is wrong on 8 by 8 pixels."""
    right = functional.conv2d

    def conv2d(x, *arguments, **settings):
        sums = right(x, *arguments, **settings)
        wrong = x.dtype == torch.float32 and x.shape[-2:] == (8, 8)
        return sums + wrong

    int8._float32_is_exact.cache_clear()
    monkeypatch.setattr(functional, "conv2d", conv2d)
    yield
    int8._float32_is_exact.cache_clear()


def test_a_shape_in_which_torch_is_wrong_changes_no_integer(snn, request):
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (2, 1, 8, 8), generator=generator) / 255
    found = []
    for _ in range(2):
        sent = {}
        network = IntegerUNet(settle(snn), sent.__setitem__)
        with torch.no_grad():
            found.append((network(x), sent))
        request.getfixturevalue("wrong_convolution")
    (output, payloads), (again, same) = found
    assert torch.equal(output, again)
    assert all(torch.equal(payloads[name], same[name]) for name in payloads)
    assert functional.conv2d(x, torch.ones(1, 1, 1, 1)).max() > 1  # it is wrong
