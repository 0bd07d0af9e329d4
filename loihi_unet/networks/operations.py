# SPDX-License-Identifier: BSD-3-Clause
"""Multiply-accumulates of a network of ReLUs, as papers count them."""

from fractions import Fraction

from loihi_unet.networks.config import ModelConfig
from loihi_unet.networks.topology import INPUT, topology


def macs_per_pixel(config: ModelConfig) -> float:
    """Count a network's multiply-accumulates for a pixel of the picture.

    Of an endless picture: taps in the zeros of a border count, as papers on CNNs have
    it. `export.fit` counts the synapses that there are, a few percent less on small
    pictures. Biases, average pools and the residual skip are left out.

    Parameters
    ----------
    config : ModelConfig
        Shape of the network.

    Returns
    -------
    float
        48,544 for a gray U-Net of 16 channels and four levels.
    """
    channels = {INPUT: config.in_channels}
    side = {INPUT: Fraction(1)}
    total = Fraction(0)
    for node in topology(config):
        channels[node.name] = node.channels
        for branch in node.branches:
            source = side[branch.sources[0]]
            up = branch.kind == "conv_transpose"
            stride = 2 if node.pools else branch.stride
            here = source * stride if up else source / stride
            side[node.name] = here
            if not node.pools:
                entering = sum(channels[name] for name in branch.sources)
                # A transposed convolution multiplies each value it reads by each tap.
                area = source**2 if up else here**2
                total += area * branch.kernel**2 * entering * node.channels
    return float(total)
