# SPDX-License-Identifier: BSD-3-Clause
"""A small network with every synapse and compartment kind, to try a backend on."""

from __future__ import annotations

import numpy as np

from export.compartment import MTIF, Accumulator, Bias
from export.network import Connection, Input, Layer, Network
from export.synapse import AveragePool, Conv, ConvTranspose


def small_network(
    *,
    seed: int = 0,
    channels: int = 3,
    size: tuple[int, int] = (8, 8),
    num_steps: int = 3,
    num_thresholds: int = 4,
) -> Network:
    """One-level U-Net with random asymmetric kernels, a skip and a residual.

    Parameters
    ----------
    seed : int
        Of the weights.
    channels : int
        Width of the first level.
    size : tuple of int
        Height and width, even.
    num_steps, num_thresholds : int
        T and N.

    Returns
    -------
    Network
        Layers down, pool, mid, up, join, out; stages 1..6.
    """
    rng = np.random.default_rng(seed)
    height, width = size
    full, half = (height, width), (height // 2, width // 2)

    def weight(*shape: int) -> np.ndarray:  # type: ignore[type-arg]
        return 2 * rng.integers(-40, 50, shape)

    def mtif(width: int, vth: int, largest_bias: int = 60) -> MTIF:
        mantissas = rng.integers(-largest_bias, largest_bias + 1, width)
        return MTIF(
            vth_mant=np.array([vth]),
            num_thresholds=num_thresholds,
            bias=Bias(mant=mantissas, exp=1),
        )

    def conv(c_out: int, c_in: int) -> Conv:
        return Conv(weight=weight(c_out, c_in, 3, 3), padding=(1, 1))

    wide = 2 * channels
    layers = (
        Layer(
            name="down",
            shape=(channels, *full),
            connections=(Connection(source="input", synapse=conv(channels, 1)),),
            compartment=mtif(channels, 9000),
            scale=1.0,
        ),
        Layer(
            name="pool",
            shape=(channels, *half),
            connections=(
                Connection(source="down", synapse=AveragePool(channels=channels)),
            ),
            compartment=mtif(channels, 8, largest_bias=1),
            scale=1.0,
        ),
        Layer(
            name="mid",
            shape=(wide, *half),
            connections=(Connection(source="pool", synapse=conv(wide, channels)),),
            compartment=mtif(wide, 500),
            scale=1.0,
        ),
        Layer(
            name="up",
            shape=(channels, *full),
            connections=(
                Connection(
                    source="mid",
                    synapse=ConvTranspose(weight=weight(wide, channels, 3, 3)),
                ),
            ),
            compartment=mtif(channels, 500),
            scale=1.0,
        ),
        Layer(
            name="join",
            shape=(channels, *full),
            connections=(
                Connection(
                    source="down",
                    synapse=conv(channels, channels),
                    weight_exp=2,
                    delay=3,
                ),
                Connection(source="up", synapse=conv(channels, channels)),
            ),
            compartment=mtif(channels, 1500),
            scale=1.0,
        ),
        Layer(
            name="out",
            shape=(1, *full),
            connections=(
                Connection(
                    source="input",
                    synapse=Conv(weight=weight(1, 1, 1, 1)),
                    weight_exp=3,
                    delay=5,
                ),
                Connection(
                    source="join", synapse=Conv(weight=weight(1, channels, 1, 1))
                ),
            ),
            compartment=Accumulator(bias=Bias(mant=rng.integers(-60, 60, 1))),
            scale=1 / 255,
        ),
    )
    return Network(
        input=Input(shape=(1, *full), minimum=-256, maximum=511, scale=1 / 255),
        layers=layers,
        num_steps=num_steps,
        task="denoise",
        provenance={"selftest": seed},
    )
