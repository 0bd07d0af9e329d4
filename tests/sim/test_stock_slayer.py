# SPDX-License-Identifier: BSD-3-Clause
"""Networks that slayer itself builds, runs and exports, against our machines.

Every block's neuron is watched while slayer runs. slayer fires at v >= threshold and
Lava above it, so a potential exactly at the threshold is the one difference allowed:
it is counted, and none occurs here.
"""

import h5py
import numpy as np
import pytest

pytest.importorskip("lava.lib.dl.slayer", reason="lava-dl 0.6 needs Python 3.10")

import torch
from lava.lib.dl import slayer

from export.netx import StockOptions, read_stock
from export.stock import CUBA, STATE_SHIFT
from sim.backend import create
from sim.verify import compare

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


def sent_by_slayer(blocks, x):
    """Payloads of each block with a neuron, (T, C, H, W), by entry."""
    found, hooks = {}, []
    for entry, block in enumerate(blocks):
        neuron = getattr(block, "neuron", None)
        if neuron is None:
            continue
        found[entry] = []

        def keep(_module, _inputs, output, entry=entry):
            found[entry].append(output.detach())

        hooks.append(neuron.register_forward_hook(keep))
    with torch.no_grad():
        forward(blocks, x)
    for hook in hooks:
        hook.remove()
    # A recurrent block calls its neuron once a step.
    return {entry: tchw(torch.cat(parts, dim=-1)) for entry, parts in found.items()}


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
    return [
        block.Input(
            **({} if block is slayer.block.cuba else {"neuron_params": parameters})
        ),
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
        block.Input(),
        block.Conv(parameters, 2, 4, 3, stride=(1, 2), groups=2, weight_scale=2),
        block.Pool(parameters, 2),
        block.Conv(parameters, 4, 2, (2, 1), dilation=(1, 2), weight_scale=2),
        block.Flatten(),
        block.Dense(parameters, 24, 5, weight_scale=2),
    ]


def recurrent(block, parameters):
    return [
        block.Input(),
        block.Recurrent(parameters, 12, 9, weight_scale=3),
        block.Recurrent(parameters, 9, 7, weight_scale=3, delay=True),
        block.Dense(parameters, 7, 4, weight_scale=3, delay=True),
    ]


KINDS = {
    "U-Net": (unet, {}, (2, 8, 12)),
    "U-Net, delays": (lambda b, p: unet(b, p, delay=True), {}, (2, 8, 12)),
    "odd pool": (odd_pool, {}, (2, 9, 9)),
    "recurrent": (recurrent, {}, (12,)),
    "decays per neuron": (recurrent, {"shared_param": False}, (12,)),
    "mean-only norm": (
        odd_pool,
        {"norm": slayer.neuron.norm.MeanOnlyBatchNorm},
        (2, 9, 9),
    ),
}


def built(kind, seed=0):
    make, more, shape = KINDS[kind]
    torch.manual_seed(seed)
    blocks = make(slayer.block.cuba, {**CUBA_PARAMETERS, **more})
    x = spikes(seed, *shape)
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


def run_of(blocks, x, path, machines):
    stream = read_stock(export(blocks, path), StockOptions(num_steps=STEPS))
    values = tchw(x).astype(int)[None]
    first, *others = [create(name).run(stream, values) for name in machines]
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
    assert at_threshold(stream, found) == 0


def at_threshold(stream, found):
    """Potentials that slayer, and only slayer, would let fire."""
    count = 0
    for layer in stream.layers:
        assert isinstance(layer.compartment, CUBA)
        limit = np.asarray(layer.compartment.vth_mant).reshape(-1, 1, 1) << STATE_SHIFT
        count += int((found.payloads[f"{layer.name}:v"] == limit).sum())
    return count
