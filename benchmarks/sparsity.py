# SPDX-License-Identifier: BSD-3-Clause
"""Would skipping silent payloads pay? Dense int8 convolution against sparse products.

Real payloads of some layers of the shipped model go through the convolution that the
torch backend runs, and through a product of a sparse matrix (SciPy CSR, float32) with
the same weights. Making the sparse matrix costs more than the product and is left out
of its time, so what is measured is the least that such a path could take.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import sparse
from timing import interleaved, noisy_crop
from torch import Tensor
from torch.nn import functional

from export.network import Connection, Network
from export.synapse import Conv
from sim.backend import create
from sim.torch.synapse import prepare

LAYERS = ("enc0.conv2", "enc1.conv2", "enc2.conv2", "mid.conv2", "dec0.conv2")
ROUNDS = 5


def measure(network: Network) -> list[dict[str, Any]]:
    """Compare the two ways on one thread, layer by layer.

    Parameters
    ----------
    network : Network
        The shipped model's.
    """
    recording = create("torch").run(network, noisy_crop(network.input.shape[1]))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # SciPy's product has one
    try:
        return [_layer(network, name, recording.payloads) for name in LAYERS]
    finally:
        torch.set_num_threads(threads)


def _layer(network: Network, name: str, payloads: Any) -> dict[str, Any]:
    layer = network.nodes[name]
    (connection,) = layer.connections
    payload = torch.from_numpy(payloads[connection.source][0])  # (T, C, H, W), uint8
    dense = _dense(connection, payload, network.nodes[connection.source].magnitude)
    matrix, weight = _sparse(connection, payload)
    seconds = interleaved([dense, lambda: matrix @ weight], ROUNDS)
    sums = torch.from_numpy(matrix @ weight).T
    same = torch.equal(_rows(dense()), (sums * (1 << connection.weight_exp)).double())
    groups = payload.unfold(1, 4, 4).any(-1)
    pixels = payload.any(1)
    return {
        "layer": name,
        "nonzero": float((payload != 0).double().mean()),
        "nonzero_fours": float(groups.double().mean()),
        "nonzero_pixels": float(pixels.double().mean()),
        "dense_seconds": seconds[0],
        "sparse_seconds": seconds[1],
        "value": seconds[1] / seconds[0],
        "exact": {
            "judge": "sparse product",
            "identical": same,
            "compared": sums.numel(),
        },
    }


def _dense(connection: Connection, payload: Tensor, magnitude: int) -> Any:
    sums = prepare(
        connection,
        tuple(payload.shape[1:]),
        bias=None,
        dtype=torch.float32,
        magnitude=magnitude,
        device=torch.device("cpu"),
    )
    last = payload.contiguous(memory_format=torch.channels_last)
    return lambda: sums(last)


def _sparse(connection: Connection, payload: Tensor) -> tuple[Any, Any]:
    """Windows as rows of a sparse matrix, and the weights as a dense one."""
    conv = connection.synapse
    assert isinstance(conv, Conv)  # the layers named above
    windows = functional.unfold(
        payload.float(), tuple(conv.weight.shape[2:]), padding=conv.padding
    )
    rows = windows.transpose(1, 2).flatten(0, 1).numpy()
    weight = conv.weight.reshape(len(conv.weight), -1).T.astype(np.float32)
    return sparse.csr_matrix(rows), np.ascontiguousarray(weight)


def _rows(sums: Tensor) -> Tensor:
    """(N, C, H, W) as (C, N * H * W)."""
    return sums.transpose(0, 1).flatten(1).double()
