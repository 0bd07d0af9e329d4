# SPDX-License-Identifier: BSD-3-Clause
"""A 4-level U-Net as an integer Network with random weights, for static counts."""

from __future__ import annotations

import numpy as np

from export.compartment import MTIF, Accumulator, Bias
from export.network import Connection, Input, Layer, Network
from export.synapse import AveragePool, Conv, ConvTranspose, Synapse
from loihi_unet.config import UNetConfig
from loihi_unet.networks.topology import Node, topology

VTH_MANT = 2000  # a typical theta of a trained 16-channel network is 51..3305


def random_unet(
    *,
    base_channels: int,
    height: int,
    width: int,
    levels: int = 4,
    num_thresholds: int = 4,
    num_steps: int = 10,
    residual: bool = True,
    seed: int = 0,
) -> Network:
    """Make the U-Net of `loihi_unet.networks.topology` with uniform random mantissas.

    Parameters
    ----------
    base_channels, levels : int
        Channels of the first level; number of levels.
    height, width : int
        Image size, multiples of ``2**levels``.
    num_thresholds, num_steps : int
        N and T.
    residual : bool
        Whether the input is added to the output.
    seed : int
        Of the weights.

    Returns
    -------
    Network
        Gray input of 11 signed bits, one output channel.
    """
    rng = np.random.default_rng(seed)
    config = UNetConfig(base_channels=base_channels, levels=levels)
    source = Input(shape=(1, height, width), minimum=-1024, maximum=1023, scale=1 / 255)
    nodes: dict[str, Input | Layer] = {source.name: source}
    stages = {source.name: 0}
    plan = topology(config)
    for node in plan:
        last = node is plan[-1]
        sources = [*node.sources, source.name] if last and residual else node.sources
        stages[node.name] = 1 + max(stages[name] for name in sources)
        connections = tuple(
            Connection(
                source=name,
                synapse=_identity()
                if last and name == source.name
                else _synapse(node, nodes[name].shape[0], rng),
                delay=stages[node.name] - stages[name] - 1,
            )
            for name in sources
        )
        first = connections[0]
        bias = Bias(mant=rng.integers(-100, 100, node.channels))
        nodes[node.name] = Layer(
            name=node.name,
            shape=first.synapse.output_shape(nodes[first.source].shape),
            connections=connections,
            compartment=Accumulator(bias=bias)
            if last
            else MTIF(
                vth_mant=np.array([_theta(node, first.synapse)]),
                num_thresholds=num_thresholds,
                bias=bias,
            ),
            scale=1.0,
        )
    return Network(
        input=source,
        layers=tuple(node for node in nodes.values() if isinstance(node, Layer)),
        num_steps=num_steps,
        task="denoise",
    )


def _level(name: str, levels: int) -> int:
    if name.startswith("mid"):
        return levels
    return int(name.split(".")[0].lstrip("abcdefghijklmnopqrstuvwxyz"))


def _theta(node: Node, synapse: Synapse) -> int:
    return 8 if isinstance(synapse, AveragePool) else VTH_MANT


def _identity() -> Conv:
    return Conv(weight=np.array([[[[2]]]]))


def _synapse(node: Node, channels_in: int, rng: np.random.Generator) -> Synapse:
    if node.branches[0].kind == "average_pool":
        return AveragePool(channels=channels_in)
    channels, kernel = node.channels, node.branches[0].kernel
    if node.branches[0].kind == "conv_transpose":
        shape = (channels_in, channels, kernel, kernel)
        return ConvTranspose(weight=_mantissas(rng, shape))
    shape = (channels, channels_in, kernel, kernel)
    return Conv(weight=_mantissas(rng, shape), padding=(kernel // 2, kernel // 2))


def _mantissas(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Even mantissas whose sum over a row stays near zero, as trained ones do."""
    fan_in = shape[1] * shape[2] * shape[3]
    largest = max(1, min(127, round(400 / np.sqrt(fan_in))))
    return 2 * rng.integers(-largest, largest + 1, shape)
