# SPDX-License-Identifier: BSD-3-Clause
"""Networks that slayer itself builds, runs and exports, against our backends.

Every block's neuron is watched while slayer runs. slayer fires at v >= threshold + eps
with eps = 0.01 / 4096, Lava at v > threshold: the same until float32 loses eps, from
a threshold of 32 on (vThMant 2048). There a potential exactly at the threshold is the
one difference allowed, and `at_threshold` counts it.
"""

import numpy as np
import pytest

pytest.importorskip("lava.lib.dl.slayer", reason="no lava-dl: loihi-unet setup-lava")

import torch
from lava.lib.dl import slayer
from slayers import STEPS, export, forward, odd_pool, sent_by_slayer, spikes, tchw, unet

from export.netx import StockOptions, read_stock
from export.stock_compartment import CUBA, STATE_SHIFT
from sim.backend import create
from sim.verify.comparison import compare

pytestmark = pytest.mark.lava

CUBA_PARAMETERS = {"threshold": 0.4, "current_decay": 0.3, "voltage_decay": 0.1}


def recurrent(block, parameters):
    return [
        block.Input(delay_shift=False),
        block.Recurrent(parameters, 12, 9, weight_scale=3),
        block.Recurrent(parameters, 9, 7, weight_scale=3, delay=True),
        block.Dense(parameters, 7, 4, weight_scale=3, delay=True),
    ]


KINDS = {
    "U-Net": (unet, {}, (2, 8, 12)),
    "U-Net, delays": (lambda b, p: unet(b, p, delay=True), {}, (2, 8, 12)),
    "odd pool": (odd_pool, {}, (2, 9, 11)),
    "recurrent": (recurrent, {}, (12,)),
    "decays per neuron": (recurrent, {"shared_param": False}, (12,)),
    "mean-only norm": (
        odd_pool,
        {"norm": slayer.neuron.norm.MeanOnlyBatchNorm},
        (2, 9, 11),
    ),
}


def built(kind, seed=0):
    make, more, shape = KINDS[kind]
    torch.manual_seed(seed)
    blocks = make(slayer.block.cuba, {**CUBA_PARAMETERS, **more})
    x = spikes(seed, *shape)
    with torch.no_grad():
        forward(blocks, x)  # shapes, delays and means are made by the first pass
    for block in blocks:
        if isinstance(block, torch.nn.Module):
            block.eval()
            if (delay := getattr(block, "delay", None)) is not None:
                delay.delay.data.mul_(6)
            norm = getattr(getattr(block, "neuron", None), "norm", None)
            if norm is not None:
                norm.running_mean.data.uniform_(-0.2, 0.2)
    for block in blocks:  # states survive a pass where slayer keeps them
        for name in ("current_state", "voltage_state"):
            if (neuron := getattr(block, "neuron", None)) is not None:
                setattr(neuron, name, torch.zeros(1))
    return blocks, x


def run_of(blocks, x, path, backends):
    stream = read_stock(export(blocks, path), StockOptions(num_steps=STEPS))
    values = tchw(x).astype(int)[None]
    first, *others = [create(name).run(stream, values) for name in backends]
    for other in others:
        assert compare(first, other).identical
    return stream, first


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_sends_what_slayers_does(kind, tmp_path):
    blocks, x = built(kind)
    expected = sent_by_slayer(blocks, x)
    stream, found = run_of(blocks, x, tmp_path / "a.net", ("reference", "torch"))
    assert [f"layer{entry}" for entry in expected] == [x.name for x in stream.layers]
    for entry, payload in expected.items():
        name = f"layer{entry}"
        assert payload.any(), name
        np.testing.assert_array_equal(found.payloads[name][0], payload, err_msg=name)


def at_threshold(stream, found):
    """Potentials that slayer, and only slayer, would let fire."""
    count = 0
    for layer in stream.layers:
        assert isinstance(layer.compartment, CUBA)
        limit = np.asarray(layer.compartment.vth_mant).reshape(-1, 1, 1) << STATE_SHIFT
        count += int((found.payloads[f"{layer.name}:v"] == limit).sum())
    return count


def one_neuron(threshold):
    """32 inputs of weight 1, no decay of v: it is 16 steps of input away from 512."""
    parameters = {**CUBA_PARAMETERS, "threshold": threshold}
    parameters |= {"current_decay": 1.0, "voltage_decay": 0.0}
    block = slayer.block.cuba.Dense(parameters, 32, 1)
    block.synapse.weight.data.fill_(1.0)
    return [slayer.block.cuba.Input(delay_shift=False), block.eval()]


@pytest.mark.parametrize(("threshold", "fires"), [(16.0, False), (64.0, True)])
def test_a_potential_at_the_threshold_is_the_one_difference(threshold, fires, tmp_path):
    """v is exactly the threshold at one step: only there slayer may fire alone."""
    blocks = one_neuron(threshold)
    x = torch.zeros(1, 32, STEPS)
    x[:, : int(threshold) // 2, :2] = 1
    expected = sent_by_slayer(blocks, x)[1][:, 0, 0, 0] > 0
    stream, found = run_of(blocks, x, tmp_path / "a.net", ("reference", "torch"))
    limit = stream.layers[0].compartment.vth_mant << STATE_SHIFT
    at = found.payloads["layer1:v"][0, :, 0, 0, 0] == limit
    differs = found.payloads["layer1"][0, :, 0, 0, 0].astype(bool) != expected
    assert at.any()
    assert differs.any() == fires
    assert not (differs & ~at).any()


@pytest.mark.parametrize("kind", ["U-Net, delays", "recurrent"])
def test_in_lava_too(kind, tmp_path):
    blocks, x = built(kind)
    expected = sent_by_slayer(blocks, x)
    _, found = run_of(blocks, x, tmp_path / "a.net", ("lava", "lava-stock"))
    for entry, payload in expected.items():
        np.testing.assert_array_equal(found.payloads[f"layer{entry}"][0], payload)
