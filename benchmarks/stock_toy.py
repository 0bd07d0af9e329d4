# SPDX-License-Identifier: BSD-3-Clause
"""A small U-Net trained in slayer, exported by slayer's own calls, on every backend."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import sim.lava.mends  # noqa: F401  before anything of Lava
from export.netx import StockOptions, read_stock
from sim.backend import create
from sim.verify.comparison import compare


def toy_unet(steps: int, iterations: int = 60) -> dict[str, Any]:
    """Train a U-Net in slayer to keep a bar and drop noise; run its export in Lava."""
    import h5py
    import torch
    from lava.lib.dl import slayer

    torch.manual_seed(0)
    block, neuron = (
        slayer.block.cuba,
        {
            "threshold": 0.5,
            "current_decay": 0.5,
            "voltage_decay": 0.2,
            "requires_grad": True,
        },
    )
    down = block.Conv(neuron, 1, 8, 3, padding=1, weight_scale=2)
    pool = block.Pool(neuron, 2)
    deep = block.Conv(neuron, 8, 16, 3, padding=1, weight_scale=2)
    up = block.ConvT(neuron, 16, 8, 2, stride=2, weight_scale=2)
    last = block.Conv(neuron, 16, 1, 3, padding=1, weight_scale=2)
    modules = torch.nn.ModuleList([down, pool, deep, up, last])

    def forward(x: Any) -> list[Any]:
        a = down(x)
        b = pool(a)
        c = deep(b)
        d = up(c)
        return [a, b, c, d, last(torch.cat([a, d], dim=1))]

    def batch(count: int) -> tuple[Any, Any]:
        target = torch.zeros(count, 1, 16, 16, steps)
        for k in range(count):
            at, along = int(torch.randint(14, ())), int(torch.randint(2, ()))
            rows, columns = (slice(at, at + 2), slice(None))[:: 1 - 2 * along]
            target[k, 0, rows, columns] = 1
        noise = (torch.rand_like(target) < 0.15).float()
        return (target * (torch.rand_like(target) < 0.7) + noise).clamp(max=1), target

    def score(count: int = 8) -> float:
        x, target = batch(count)
        with torch.no_grad():
            rate = forward(x)[-1][..., 6:].mean(-1)
        return float(((rate > 0.3) == target[..., 0].bool()).float().mean())

    score(1)  # the first pass makes the shapes
    before = score()
    optimizer = torch.optim.Adam(modules.parameters(), lr=3e-3)
    for _ in range(iterations):
        x, target = batch(4)
        rate = forward(x)[-1][..., 6:].mean(-1)
        loss = torch.nn.functional.mse_loss(rate, 0.8 * target[..., 0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = score()
    x, _ = batch(1)
    with torch.no_grad():
        sent = forward(x)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "unet.net"
        entries = [block.Input(), down, pool, deep, up, None, last]
        entries[0].input_shape = x.shape[1:-1]
        with h5py.File(path, "w") as file:
            for number, entry in enumerate(entries):
                group = file.create_group(f"layer/{number}")
                if entry is not None:
                    entry.export_hdf5(group)
                    continue
                group.create_dataset("type", (1,), "S10", [b"concat"])
                group.create_dataset("layers", data=np.array([1, 4]))
                group.create_dataset("shape", data=np.array([16, 16, 16]))
        network = read_stock(path, StockOptions(num_steps=steps))
    values = x.movedim(-1, 1).numpy().astype(int)
    names = ("torch", "reference", "lava", "lava-stock")
    first, *others = [create(name).run(network, values) for name in names]
    wrong = compared = 0
    for layer, payload in zip(network.layers, sent, strict=True):
        # slayer's block hands on what its neuron sent a step before.
        expected = payload.movedim(-1, 1).numpy()[:, 1:]
        received = first.payloads[layer.name][:, 1:]
        wrong += int((received != expected).sum())
        compared += received.size
    return {
        "iterations": iterations,
        "before": before,
        "after": after,
        "backends": list(names),
        "exact": all(compare(first, other).identical for other in others),
        "wrong": wrong,
        "compared": compared,
        "spikes": int(first.payloads[network.output.name].sum()),
    }
