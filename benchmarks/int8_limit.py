# SPDX-License-Identifier: BSD-3-Clause
"""What bounds any exact backend here: int8 multiply-adds a second of the processor.

    python benchmarks/int8_limit.py

The fastest of some convolutions and matrix products of uint8 by int8 that fit the
caches, by the kernels that the torch backend calls. No result leaves 8 bits.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import Any

import torch
from timing import machine

from export.network import Network
from export.synapse import ConvTranspose
from sim.torch.onednn import OneDnnConv, onednn

ROUNDS = 100
#: Channels and side of 3x3 convolutions; rows of square matrices.
CONVS = ((64, 64), (256, 32), (512, 16))
SQUARES = (512, 1024, 2048)


def measure() -> dict[str, Any]:
    """Multiply-adds a second, of all threads, in each of them."""
    rates = {}
    for channels, side in CONVS:
        name = f"3x3 convolution, {channels} channels, {side}x{side}"
        rates[name] = channels**2 * 9 * side**2 / _least(_conv(channels, side))
    for rows in SQUARES:
        name = f"product of {rows}x{rows} matrices"
        rates[name] = rows**3 / _least(_product(rows))
    return {"by_kernel": rates, "value": max(rates.values())}


def multiply_adds(network: Network) -> int:
    """Multiply-adds of a window, without those of taps that lie on padding's side.

    What comes from the input is the same at every step and counts once.
    """
    total = 0
    for layer in network.layers:
        for c in layer.connections:
            source = network.nodes[c.source].shape
            if isinstance(c.synapse, ConvTranspose):
                one = c.synapse.weight.size * math.prod(source[1:])
            else:
                taps = getattr(c.synapse, "weight", None)
                # A pool adds each of its source's values once.
                one = (
                    math.prod(source)
                    if taps is None
                    else taps.size * math.prod(layer.shape[1:])
                )
            constant = c.source == network.input.name
            total += one * (1 if constant else network.num_steps)
    return total


def _random(*shape: int) -> torch.Tensor:
    return torch.randint(0, 127, shape, dtype=torch.uint8)


def _conv(channels: int, side: int) -> Callable[[], object]:
    levels = _random(channels, channels, 3, 3).to(torch.int8)
    scales = torch.full((channels,), 1e-3)
    geometry = ((1, 1), (1, 1), (1, 1))
    conv = OneDnnConv(levels, scales, None, geometry, 1, dtype=torch.uint8)
    payload = _random(1, channels, side, side)
    payload = payload.contiguous(memory_format=torch.channels_last)
    return lambda: conv(payload)


def _product(rows: int) -> Callable[[], object]:
    x, weight = _random(rows, rows), _random(rows, rows).to(torch.int8)
    packed = onednn.qlinear_prepack(weight, list(x.shape))
    scales, zeros = torch.full((rows,), 1e-3), torch.zeros(rows, dtype=torch.int64)
    return lambda: onednn.qlinear_pointwise(
        *(x, 1.0, 0, packed, scales, zeros, None, 1.0, 0),
        *(torch.uint8, "none", [], ""),
    )


def _least(job: Callable[[], object]) -> float:
    """Least seconds of a job: the limit is what the processor can, once."""
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        job()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


if __name__ == "__main__":
    print(json.dumps({"machine": machine(), **measure()}, indent=1))
