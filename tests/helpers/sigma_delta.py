# SPDX-License-Identifier: BSD-3-Clause
"""Small networks to convert, and an integer network without time, in plain NumPy."""

import numpy as np
import torch
from torch import nn

from export.images import completed
from export.stock_compartment import Sigma
from export.synapse import Conv, Injection
from loihi_unet.config import UNetConfig
from loihi_unet.networks.net import Net
from loihi_unet.seeds import Purpose, generator
from loihi_unet.sigma_delta.quantise import quantise
from loihi_unet.spiking.graph import graph_of


class Signed(nn.Module):
    """Convolutions whose values are negative as well, a skip, and two sizes."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 5, 3, padding=1)
        self.second = nn.Conv2d(5, 6, 2, stride=2)
        self.third = nn.ConvTranspose2d(6, 5, 2, stride=2)
        self.last = nn.Conv2d(10, 2, 1)

    def forward(self, x):
        a = torch.relu(self.first(x))
        b = torch.relu(self.second(a))
        c = torch.relu(self.third(b))
        return self.last(torch.cat([a, c], dim=1))


def pictures(count, channels, size, seed=0):
    """Gray levels (count, channels, H, W), float32: noise on a ramp."""
    random = np.random.default_rng(seed)
    ramp = np.linspace(0, 255, size[0] * size[1]).reshape(size)
    noise = random.normal(0, 20, (count, channels, *size))
    return np.rint(ramp * random.uniform(0.3, 1, (count, 1, 1, 1)) + noise).astype(
        np.float32
    )


def unet(*, residual=True, channels=1, seed=0):
    """A random U-Net of two levels, converted for pictures of 16x24."""
    torch.manual_seed(seed)
    config = UNetConfig(
        in_channels=channels,
        out_channels=channels,
        base_channels=4,
        levels=2,
        residual=residual,
    )
    model = Net(config).eval()
    for parameter in model.parameters():
        if parameter.ndim == 1:
            nn.init.uniform_(parameter, -0.2, 0.2)
    graph = graph_of(model)
    return graph, converted(graph)


def converted(graph, size=(16, 24)):
    """A graph's sigma-delta network."""
    channels = graph.in_channels - graph.frame.constant
    x = torch.from_numpy(pictures(3, channels, size, seed=9)) / 255
    return quantise(graph, x, size=size, task="denoise", provenance={})


def integer_ann(network, picture):
    """Output (C, H, W) of a sigma-delta network's integers, without steps.

    Every layer is max(0, sum of weight * payload) // 64, the last the sum.
    """
    sent = {network.input.name: completed(network, picture).astype(np.int64)}
    for layer in network.layers:
        total = np.zeros(layer.shape, dtype=np.int64)
        for c in layer.connections:
            if isinstance(c.synapse, Injection):
                total += sent[c.source]
            else:
                total += brought(c.synapse, sent[c.source], layer.shape)
        first = isinstance(layer.connections[0].synapse, Injection)
        if not first and not isinstance(layer.compartment, Sigma):
            total = np.maximum(total, 0) // 64
        sent[layer.name] = total
    return sent[network.output.name]


def brought(synapse, value, shape):
    """What one synapse brings, a product at a time over channels and taps."""
    weight = synapse.weight.astype(np.int64)
    (sh, sw), (ph, pw) = synapse.stride, synapse.padding
    height, width = shape[1:]
    total = np.zeros(shape, dtype=np.int64)
    for a, b in np.ndindex(*weight.shape[2:]):
        if isinstance(synapse, Conv):
            dh, dw = synapse.dilation
            padded = np.pad(value, ((0, 0), (ph, ph), (pw, pw)))
            seen = padded[:, a * dh :: sh, b * dw :: sw][:, :height, :width]
            if synapse.groups > 1:
                total += weight[:, :1, a, b, None] * seen
            else:
                total += np.einsum("oi,ihw->ohw", weight[:, :, a, b], seen)
            continue
        spread = np.zeros((shape[0], height + 2 * ph + 64, width + 2 * pw + 64), int)
        part = np.einsum("io,ihw->ohw", weight[:, :, a, b], value)
        rows, columns = value.shape[1] * sh, value.shape[2] * sw
        spread[:, a : a + rows : sh, b : b + columns : sw] = part
        total += spread[:, ph : ph + height, pw : pw + width]
    return total


def random_numbers(index):
    """A generator of noise, as the product's own."""
    return generator(0, Purpose.TEST, index)
