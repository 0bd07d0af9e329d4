# SPDX-License-Identifier: BSD-3-Clause
"""Files as lava-dl's slayer writes them, of every kind of layer that is read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np

CUBA = {"type": b"CUBA", "iDecay": 1024, "vDecay": 128, "vThMant": 25, "refDelay": 1}
SDNN = {"type": b"SDNN", "vThMant": 3, "activation": b"relu"}


def _file(rows: list[tuple[str, tuple[int, ...], dict[str, Any]]]) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for number, (kind, shape, values) in enumerate(rows):
            group = file.create_group(f"layer/{number}")
            group["type"] = np.array([kind.encode()], "S10")
            group["shape"] = np.array(shape)
            for key, value in values.items():
                group[key] = value
    return buffer.getvalue()


def _neuron(values: dict[str, Any]) -> dict[str, Any]:
    return {f"neuron/{key}": value for key, value in values.items()}


def _kernel(*shape: int) -> np.ndarray:  # type: ignore[type-arg]
    return 2.0 * np.random.default_rng(0).integers(-9, 10, shape)


def _geometry(stride: int = 1, padding: int = 0) -> dict[str, Any]:
    pairs = {"stride": stride, "padding": padding, "dilation": 1}
    return {key: np.array([value] * 2) for key, value in pairs.items()}


def _unet(neuron: dict[str, Any], head: dict[str, Any]) -> bytes:
    cells = _neuron(neuron)
    same, half = _geometry(padding=1) | cells, _geometry(stride=2) | cells
    shared = {"weight": np.full((1, 1, 2, 2), 64.0)}
    return _file(
        [
            ("input", (2, 4, 6), head),
            ("conv", (3, 4, 6), {"weight": _kernel(3, 2, 3, 3), "groups": 1} | same),
            ("pool", (3, 2, 3), shared | half),
            ("unpool", (3, 4, 6), shared | half | {"delay": np.arange(3.0)}),
            ("concat", (6, 4, 6), {"layers": np.array([1, 3])}),
            ("conv", (2, 4, 6), {"weight": _kernel(2, 6, 3, 3), "groups": 1} | same),
            ("convT", (2, 8, 12), {"weight": _kernel(2, 2, 2, 2), "groups": 1} | half),
            ("flatten", (192, 1, 1), {}),
            ("dense", (3,), {"weight": _kernel(3, 192), "bias": np.zeros(1)} | cells),
        ]
    )


def _recurrent() -> bytes:
    cells = _neuron(CUBA | {"iDecay": np.arange(4), "vDecay": np.arange(4)})
    weights = {"weight": _kernel(4, 5), "weight_rec": _kernel(4, 4)}
    plain = {"weight": _kernel(3, 4), "delay": np.arange(3.0)}
    return _file(
        [
            ("dense_rec", (4,), weights | cells | {"delay": np.arange(4.0)}),
            ("dense", (3,), plain | _neuron(CUBA)),
        ]
    )


def _decoded() -> bytes:
    """A convolution first, weights of five axes, and a decoder that sends sigma."""
    conv = {"weight": _kernel(3, 2, 3, 3, 1), "bias": np.arange(3.0), "groups": 1}
    decoder = SDNN | {"sigma_output": True}
    return _file(
        [
            ("conv", (3, 4, 6), conv | _geometry(padding=1) | _neuron(SDNN)),
            ("flatten", (72, 1, 1), {}),
            ("dense", (3,), {"weight": _kernel(3, 72)} | _neuron(decoder)),
        ]
    )


def stock_nets() -> list[bytes]:
    """Valid files: a U-Net of each neuron, with and without a first layer, and more."""
    injected = {"weight": 36.0, "bias": 34.0} | _neuron(CUBA)
    return [
        _unet(CUBA, {}),
        _unet(CUBA, injected),
        _unet(SDNN, _neuron(SDNN)),
        _recurrent(),
        _decoded(),
    ]


def read_stock_net(path: Path) -> None:
    """Read a file, and again with netx's arguments."""
    from export.network import Network
    from export.netx import StockOptions, read_network

    assert isinstance(read_network(path), Network)
    options = StockOptions(skip_layers=1, num_layers=5, input_shape=(2, 4, 6))
    assert isinstance(read_network(path, options), Network)
