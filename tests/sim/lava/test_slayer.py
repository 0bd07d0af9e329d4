# SPDX-License-Identifier: BSD-3-Clause
"""Networks that slayer itself builds, runs and exports, against our backends.

Every block's neuron is watched while slayer runs. slayer fires at v >= threshold + eps
with eps = 0.01 / 4096, Lava at v > threshold: the same until float32 loses eps, from
a threshold of 32 on (vThMant 2048). There a potential exactly at the threshold is the
one difference allowed, and `at_threshold` counts it.
"""

import h5py
import numpy as np
import pytest

pytest.importorskip("lava.lib.dl.slayer", reason="no lava-dl: loihi-unet setup-lava")

import torch
from lava.lib.dl import slayer

from export.netx import StockOptions, read_stock
from export.stock_compartment import CUBA, STATE_SHIFT
from sim.backend import create
from sim.verify.comparison import compare

pytestmark = pytest.mark.lava

STEPS = 24
CUBA_PARAMETERS = {"threshold": 0.4, "current_decay": 0.3, "voltage_decay": 0.1}
SDNN_PARAMETERS = {"threshold": 0.1, "activation": torch.relu}


class Concat:
    """What a U-Net's author writes, since slayer has no block for it."""

    def __init__(self, *entries):
        self.entries = entries

    def export_hdf5(self, handle):
        handle.create_dataset("type", (1,), "S10", [b"concat"])
        handle.create_dataset("layers", data=np.array(self.entries))
        handle.create_dataset("shape", data=np.array(self.shape))


def forward(blocks, x):
    """Every block in turn, a Concat of earlier outputs included."""
    outputs = []
    for block in blocks:
        if isinstance(block, Concat):
            x = torch.cat([outputs[entry] for entry in block.entries], dim=1)
            block.shape = x.shape[1:-1]
        else:
            x = block(x)
        outputs.append(x)
    return x


def sent_by_slayer(blocks, x, *, shifted=True):
    """Payloads of each block with a neuron, (T, C, H, W), by entry."""
    found, hooks = {}, []
    for entry, block in enumerate(blocks):
        neuron = getattr(block, "neuron", None)
        if neuron is None:
            continue
        if isinstance(block, slayer.block.sigma_delta.Input):
            neuron = neuron.delta  # all that an input has of a neuron
        found[entry] = []

        def keep(_module, _inputs, output, entry=entry):
            found[entry].append(output.detach())

        hooks.append(neuron.register_forward_hook(keep))
    with torch.no_grad():
        # A chip's synapse takes a step; slayer's input, without a neuron, none.
        forward(blocks, late(x) if shifted else x)
    for hook in hooks:
        hook.remove()
    # A recurrent block calls its neuron once a step.
    sent = {entry: tchw(torch.cat(parts, dim=-1)) for entry, parts in found.items()}
    return {entry: held(blocks[entry], payload) for entry, payload in sent.items()}


def held(block, payload):
    """netx delays a dense layer's synapses, so the neuron itself is late."""
    if not isinstance(block, slayer.block.cuba.Dense) or block.delay is None:
        return payload
    result = np.zeros_like(payload)
    for channel, steps in enumerate(block.delay.delay.floor().int().tolist()):
        result[steps:, channel] = payload[: STEPS - steps, channel]
    return result


def tchw(values):
    values = values[0].movedim(-1, 0).numpy()
    return values.reshape(*values.shape, *(1,) * (4 - values.ndim))


def export(blocks, path):
    with h5py.File(path, "w") as file:
        for entry, block in enumerate(blocks):
            block.export_hdf5(file.create_group(f"layer/{entry}"))
    return path


def spikes(seed, *shape, rate=0.3):
    generator = torch.Generator().manual_seed(seed)
    x = (torch.rand(1, *shape, STEPS, generator=generator) < rate).float()
    return x


def unet(block, parameters, *, delay=False):
    """Pool, unpool, transposed convolutions, and two skips."""
    kwargs = {"delay": delay, "weight_scale": 2}
    coded = parameters if block is slayer.block.sigma_delta else None
    return [
        block.Input(coded, delay_shift=coded is not None),
        block.Conv(parameters, 2, 4, 3, padding=1, **kwargs),
        block.Pool(parameters, 2, delay=delay),
        block.Conv(parameters, 4, 6, 3, padding=1, **kwargs),
        block.ConvT(parameters, 6, 4, 2, stride=2, **kwargs),
        Concat(1, 4),
        block.Conv(parameters, 8, 3, 3, padding=1, **kwargs),
        block.Pool(parameters, 2, delay=delay),
        block.Unpool(parameters, 2, delay=delay),
        Concat(6, 8),
        block.Conv(parameters, 6, 2, 1, **kwargs),
        block.ConvT(parameters, 2, 2, 3, stride=2, padding=1, **kwargs),
        block.ConvT(parameters, 2, 2, 3, dilation=2, groups=2, **kwargs),
    ]


def odd_pool(block, parameters):
    """Sides that a pool does not divide; strides and groups."""
    return [
        block.Input(delay_shift=False),
        block.Conv(parameters, 2, 4, 3, stride=(1, 2), groups=2, weight_scale=2),
        block.Pool(parameters, 2),
        block.Conv(parameters, 4, 2, (2, 1), dilation=(1, 2), weight_scale=2),
        block.Flatten(),
        block.Dense(parameters, 18, 5, weight_scale=2),
    ]


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


def test_sigma_delta_encoder_and_convolution(tmp_path):
    """slayer's unit is 1 / 64 of what enters, and 1 / 4096 of what is sent."""
    torch.manual_seed(1)
    blocks = unet(slayer.block.sigma_delta, SDNN_PARAMETERS)[:2]
    x = (spikes(1, 2, 8, 12, rate=0.2) * 30).round()
    with torch.no_grad():
        forward(blocks, x / 64)
    path = export(blocks, tmp_path / "a.net")
    stream = read_stock(path, StockOptions(num_steps=STEPS))
    values = tchw(x).astype(int)[None]
    first, second = (
        create(name).run(stream, values) for name in ("reference", "torch")
    )
    assert compare(first, second).identical
    expected = sent_by_slayer(blocks, x / 64, shifted=False)
    assert [f"layer{entry}" for entry in expected] == [x.name for x in stream.layers]
    for entry, payload in expected.items():
        name = f"layer{entry}"
        found = first.payloads[name][0]
        assert found.any(), name
        # slayer's first layer reads its input at the same step, a chip's a step later.
        late_by = min(entry, 1)
        sent = payload[: STEPS - late_by] * 4096
        np.testing.assert_array_equal(found[late_by:], sent, err_msg=name)


def late(x):
    """What a synapse sees a step later."""
    shifted = torch.zeros_like(x)
    shifted[..., 1:] = x[..., :-1]
    return shifted
