# SPDX-License-Identifier: BSD-3-Clause
"""Sigma-delta networks that slayer builds, runs and exports, against our backends.

Every block holds back by a step what it sends (``delay_shift=True``), as a chip's
synapses do, and as slayer's spiking blocks do on their own. Then all layers are equal
at every step. slayer's unit is 1 / 64 of what enters, 1 / 4096 of what is sent, and
1 / 2**18 of a state.
"""

import numpy as np
import pytest

pytest.importorskip("lava.lib.dl.slayer", reason="no lava-dl: loihi-unet setup-lava")

import torch
from lava.lib.dl import slayer
from slayers import (
    STEPS,
    export,
    forward,
    odd_pool,
    sent_by_slayer,
    spikes,
    tchw,
    unet,
)

from export.netx import StockOptions, read_stock
from sim.backend import create
from sim.verify.comparison import compare

pytestmark = pytest.mark.lava

ENTERING, SENT, STATE = 2**6, 2**12, 2**18


def with_output(block, parameters):
    return [*odd_pool(block, parameters), block.Output(parameters, 5, 3)]


KINDS = {
    "U-Net": (unet, (2, 8, 12)),
    "U-Net, delays": (lambda b, p: unet(b, p, delay=True), (2, 8, 12)),
    "odd pool, output": (with_output, (2, 9, 11)),
}
NORM = slayer.neuron.norm.MeanOnlyBatchNorm


def built(kind, *, norm=NORM, threshold=0.1, seed=0):
    make, shape = KINDS[kind]
    torch.manual_seed(seed)
    parameters = {"threshold": threshold, "activation": torch.relu, "norm": norm}
    blocks = make(slayer.block.sigma_delta, parameters)
    x = (spikes(seed, *shape, rate=0.2) * 30).round()
    with torch.no_grad():
        forward(blocks, x / ENTERING)  # shapes, delays and means are made here
    for block in blocks:
        if not isinstance(block, torch.nn.Module):
            continue
        block.eval()
        if (delay := getattr(block, "delay", None)) is not None:
            delay.delay.data.mul_(6)
        if (norm := getattr(getattr(block, "neuron", None), "norm", None)) is not None:
            norm.running_mean.data.uniform_(-0.3, 0.1)
    return blocks, x


def run_of(blocks, x, path, backends):
    stream = read_stock(export(blocks, path), StockOptions(num_steps=STEPS))
    values = tchw(x).astype(int)[None]
    first, *others = [create(name).run(stream, values) for name in backends]
    for other in others:
        assert compare(first, other).identical
    return stream, first


def units(blocks, entry):
    output = isinstance(blocks[entry], slayer.block.sigma_delta.Output)
    return STATE if output else SENT


@pytest.mark.parametrize(
    ("threshold", "norm"), [(0.1, NORM), (1 / 64, None)], ids=["biases", "no biases"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_sends_what_slayers_does(kind, threshold, norm, tmp_path):
    blocks, x = built(kind, norm=norm, threshold=threshold)
    expected = sent_by_slayer(blocks, x / ENTERING)
    stream, found = run_of(blocks, x, tmp_path / "a.net", ("reference", "torch"))
    assert [f"layer{entry}" for entry in expected] == [x.name for x in stream.layers]
    for entry, payload in expected.items():
        name = f"layer{entry}"
        assert payload.any(), name
        sent = payload * units(blocks, entry)
        np.testing.assert_array_equal(found.payloads[name][0], sent, err_msg=name)


@pytest.mark.parametrize("kind", ["U-Net, delays", "odd pool, output"])
def test_in_lava_too(kind, tmp_path):
    blocks, x = built(kind)
    expected = sent_by_slayer(blocks, x / ENTERING)
    _, found = run_of(blocks, x, tmp_path / "a.net", ("lava", "lava-stock"))
    for entry, payload in expected.items():
        sent = payload * units(blocks, entry)
        np.testing.assert_array_equal(found.payloads[f"layer{entry}"][0], sent)


def unshifted(blocks, x):
    """slayer's own default: nothing takes a step."""
    for block in blocks:
        if hasattr(block, "delay_shift"):
            block.delay_shift = False
    sent, hooks = {}, []
    for entry, block in enumerate(blocks):
        if (neuron := getattr(block, "neuron", None)) is not None:
            module = neuron.delta if entry == 0 else neuron

            def keep(_module, _inputs, output, entry=entry):
                sent[entry] = tchw(output.detach()) * SENT

            hooks.append(module.register_forward_hook(keep))
    with torch.no_grad():
        for block in blocks:
            x = block(x)
    for hook in hooks:
        hook.remove()
    return sent


@pytest.mark.parametrize("norm", [None, NORM], ids=["no biases", "biases"])
def test_slayers_default_is_a_step_early_at_each_layer(norm, tmp_path):
    """Without biases only early; with them another sequence, which nobody can shift.

    A chip's bias acts from the first step on, before anything else arrives. In slayer
    both arrive at the first step, and the threshold sees their sum.
    """
    blocks, x = built("odd pool, output", norm=norm)
    blocks = blocks[:-1]
    _, found = run_of(blocks, x, tmp_path / "a.net", ("reference", "torch"))
    differs = 0
    for depth, (entry, sent) in enumerate(unshifted(blocks, x / ENTERING).items()):
        late = found.payloads[f"layer{entry}"][0, depth:]
        differs += int((late != sent[: STEPS - depth]).sum())
    assert (differs > 0) == (norm is not None)


@pytest.mark.parametrize("clamped", [True, False])
def test_of_threshold_0_slayer_makes_its_unit(clamped, tmp_path, monkeypatch):
    """A file holds thresholds in 1 / 64, slayer none below 1 / 4096: here they differ.

    slayer keeps back a change of less than its unit, Lava sends it, rounded down. That
    is all: without slayer's clamp everything is equal.
    """
    if not clamped:
        monkeypatch.setattr(slayer.axon.Delta, "clamp", lambda _: None)
    blocks, x = built("U-Net", threshold=0.0)
    expected = sent_by_slayer(blocks, x / ENTERING)
    stream, found = run_of(blocks, x, tmp_path / "a.net", ("reference", "torch"))
    assert all(layer.compartment.vth_mant == 0 for layer in stream.layers)
    wrong = {
        entry: int((found.payloads[f"layer{entry}"][0] != payload * SENT).sum())
        for entry, payload in expected.items()
    }
    assert any(wrong.values()) == clamped


def test_what_set_bias_sets_is_not_exported(tmp_path):
    """Lava-dl writes the bias of a norm only; slayer's forward adds both."""
    blocks, _ = built("odd pool, output", norm=None)
    blocks[1].neuron.set_bias(torch.full(blocks[1].neuron.shape, 0.5))
    stream = read_stock(export(blocks, tmp_path / "a.net"), StockOptions(num_steps=9))
    assert not stream.layers[1].compartment.bias.mant.any()
