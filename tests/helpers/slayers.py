# SPDX-License-Identifier: BSD-3-Clause
"""Networks of slayer's blocks: what their neurons send, and their export."""

import h5py
import numpy as np
import torch
from lava.lib.dl import slayer

STEPS = 24


class Concat:
    """What a U-Net's author writes, since slayer has no block for it."""

    def __init__(self, *entries):
        self.entries = entries

    def export_hdf5(self, handle):
        handle.create_dataset("type", (1,), "S10", [b"concat"])
        handle.create_dataset("layers", data=np.array(self.entries))
        handle.create_dataset("shape", data=np.array(self.shape))


def forward(blocks, x):
    """Every block in turn, a Concat of earlier outputs included.

    A chip's synapse takes a step, those behind an encoder included: slayer's other
    blocks hold back by ``delay_shift`` what they send, its sigma-delta input does not.
    """
    outputs = []
    for block in blocks:
        if isinstance(block, Concat):
            x = torch.cat([outputs[entry] for entry in block.entries], dim=1)
            block.shape = x.shape[1:-1]
        else:
            x = block(x)
            if isinstance(block, slayer.block.sigma_delta.Input):
                x = late(x)
        outputs.append(x)
    return x


def sent_by_slayer(blocks, x):
    """Payloads of each block with a neuron, (T, C, H, W), by entry."""
    coded = isinstance(blocks[0], slayer.block.sigma_delta.Input)
    found, hooks = {}, []
    for entry, block in enumerate(blocks):
        neuron = getattr(block, "neuron", None)
        if neuron is None:
            continue
        if isinstance(block, slayer.block.sigma_delta.Input):
            neuron = neuron.delta  # all that an input has of a neuron
        if isinstance(block, slayer.block.sigma_delta.Output):
            neuron = neuron.sigma
        found[entry] = []

        def keep(_module, _inputs, output, entry=entry):
            found[entry].append(output.detach())

        hooks.append(neuron.register_forward_hook(keep))
    with torch.no_grad():
        # A chip's synapse takes a step; slayer's input, without a neuron, none.
        forward(blocks, x if coded else late(x))
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


def late(x):
    """What a synapse sees a step later."""
    shifted = torch.zeros_like(x)
    shifted[..., 1:] = x[..., :-1]
    return shifted


def unet(block, parameters, *, delay=False):
    """Pool, unpool, transposed convolutions, and two skips."""
    kwargs = {"delay": delay, "weight_scale": 2, "delay_shift": True}
    return [
        first(block, parameters),
        block.Conv(parameters, 2, 4, 3, padding=1, **kwargs),
        block.Pool(parameters, 2, delay=delay, delay_shift=True),
        block.Conv(parameters, 4, 6, 3, padding=1, **kwargs),
        block.ConvT(parameters, 6, 4, 2, stride=2, **kwargs),
        Concat(1, 4),
        block.Conv(parameters, 8, 3, 3, padding=1, **kwargs),
        block.Pool(parameters, 2, delay=delay, delay_shift=True),
        block.Unpool(parameters, 2, delay=delay, delay_shift=True),
        Concat(6, 8),
        block.Conv(parameters, 6, 2, 1, **kwargs),
        block.ConvT(parameters, 2, 2, 3, stride=2, padding=1, **kwargs),
        block.ConvT(parameters, 2, 2, 3, dilation=2, groups=2, **kwargs),
    ]


def odd_pool(block, parameters):
    """Sides that a pool does not divide; strides and groups."""
    kwargs = {"weight_scale": 2, "delay_shift": True}
    return [
        first(block, parameters),
        block.Conv(parameters, 2, 4, 3, stride=(1, 2), groups=2, **kwargs),
        block.Pool(parameters, 2, delay_shift=True),
        block.Conv(parameters, 4, 2, (2, 1), dilation=(1, 2), **kwargs),
        block.Flatten(),
        block.Dense(parameters, 18, 5, **kwargs),
    ]


def first(block, parameters):
    """An input that codes, or, in front of spiking neurons, one that does not."""
    coded = parameters if block is slayer.block.sigma_delta else None
    return block.Input(coded, delay_shift=False)
