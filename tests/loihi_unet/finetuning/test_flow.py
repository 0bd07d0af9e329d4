# SPDX-License-Identifier: BSD-3-Clause
"""Both fine-tuning networks name the overflow of every backend, and try their sums."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

from export.compartment import Bias
from export.synapse import AveragePool
from export.theta import settle
from loihi_unet.conversion.normalise import spiking_unet
from loihi_unet.finetuning import exact_sums
from loihi_unet.finetuning.flow import IntegerUNet
from loihi_unet.finetuning.folding import unfold
from loihi_unet.finetuning.steps import StepsUNet
from sim.backend import OverflowLayerError, create
from sim.reference import synapse
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


def through_the_flow(snn):
    return IntegerUNet(settle(snn))


def through_the_steps(snn):
    return StepsUNet(snn, unfold(snn))


@pytest.fixture(params=[through_the_flow, through_the_steps])
def make(request):
    return request.param


def change(network, number, **changes):
    """Change a layer of the integers that are computed with."""
    layers = list(network.network.layers)
    layers[number] = dataclasses.replace(layers[number], **changes)
    network.network = dataclasses.replace(network.network, layers=tuple(layers))


def drown(network, number, bias):
    """So large a bias in a layer that it overflows."""
    compartment = network.network.layers[number].compartment
    large = Bias(mant=np.full_like(compartment.bias.mant, bias), exp=7)
    change(network, number, compartment=dataclasses.replace(compartment, bias=large))


def loud(network, number):
    """Shift the sums of one layer's first connection as far left as it goes."""
    first, *rest = network.network.layers[number].connections
    first = dataclasses.replace(first, weight_exp=7)
    change(network, number, connections=(first, *rest))


def test_the_first_overflow_in_time_is_named(snn, make):
    network = make(dataclasses.replace(snn, num_steps=40))
    drown(network, 0, -2100)
    drown(network, 1, -4000)
    x = torch.zeros(2, 1, 8, 8)
    found = named(lambda: network(x))
    assert found == by_reference(network, x)
    assert found[:3] == (0, "enc0.conv2", 16)  # enc0.conv1 follows at step 31


def test_the_image_that_overflows_is_named(snn, make):
    network = make(snn)
    loud(network, 0)
    x = torch.cat([torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)])
    found = named(lambda: network(x))
    assert found == by_reference(network, x)
    assert found[0] == 1
    assert found[3].startswith("input from 'input' ")


def test_sums_that_cancel_overflow_all_the_same(snn, make):
    """One connection leaves 24 bits; the bias brings the potential back."""
    network = make(snn)
    loud(network, 0)
    x = torch.ones(1, 1, 8, 8)
    found = named(lambda: network(x))
    assert found == by_reference(network, x)
    assert found[3].startswith("input from")


def test_an_accumulator_that_overflows_between_is_named(snn, make):
    """Its steps are one sum where gradients go through the steps."""
    network = make(dataclasses.replace(snn, num_steps=40))
    drown(network, len(network.network.layers) - 1, -2100)
    x = torch.zeros(1, 1, 8, 8)
    found = named(lambda: network(x))
    assert found == by_reference(network, x)
    assert found[1:3] == ("out", 31)


def test_windows_are_summed_not_averaged():
    """A mean over 49, times 49, is not what was summed."""
    generator = torch.Generator().manual_seed(0)
    value = torch.randint(0, 256, (1, 1, 2, 98, 63), generator=generator).float()
    pool = AveragePool(channels=2, kernel_size=(7, 7), weight_mant=254)
    expected = synapse.apply(pool, value[0, 0].long().numpy())
    assert np.array_equal(exact_sums.pooled(pool, value)[0, 0].numpy(), expected)
    mean = functional.avg_pool2d(value[0], 7) * (49 * 254)
    assert not np.array_equal(mean[0].numpy(), expected)


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


def test_a_shape_in_which_torch_is_wrong_changes_no_integer(snn, make, request):
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (2, 1, 8, 8), generator=generator) / 255
    outputs = [make(snn)(x)]
    request.getfixturevalue("wrong_convolution")
    outputs.append(make(snn)(x))
    assert torch.equal(*outputs)
    assert functional.conv2d(x, torch.ones(1, 1, 1, 1)).max() > 1  # it is wrong


def test_payloads_are_right_as_well_where_torch_is_wrong(snn, request):
    x = torch.randint(0, 256, (2, 1, 8, 8)) / 255
    recorded = []
    for _ in range(2):
        recorded.append({})
        with torch.no_grad():
            IntegerUNet(settle(snn), recorded[-1].__setitem__)(x)
        request.getfixturevalue("wrong_convolution")
    right, same = recorded
    assert all(torch.equal(right[name], same[name]) for name in right)
    assert right
