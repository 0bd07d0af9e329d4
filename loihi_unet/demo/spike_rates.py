# SPDX-License-Identifier: BSD-3-Clause
"""Activations of the trained network against what its spiking version sends.

As Figure 3 of arXiv 2307.10974: the closer to the diagonal, the less the conversion
lost in that layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from loihi_unet.networks.net import Net

POINTS = 250
DIGITS = 4


@torch.no_grad()
def activations(model: Net, x: torch.Tensor) -> dict[str, NDArray[np.float32]]:
    """Output of every ReLU, by the name of its layer.

    Parameters
    ----------
    model : Net
        The trained network.
    x : Tensor, shape (1, in_channels, H, W), float32
        One picture, pixels divided by 255.

    Returns
    -------
    dict[str, ndarray of shape (C, H, W)]
        In the order of computation; the last convolution has no ReLU.
    """
    kept = {node.name for node in model.nodes[:-1] if not node.pools}
    return {
        name: output[0].float().cpu().numpy()
        for name, output in model.layers(x)
        if name in kept
    }


def rate_records(
    activation: Mapping[str, NDArray[np.float32]],
    sent: Mapping[str, NDArray[np.floating[Any]]],
    *,
    shown: tuple[str, ...],
) -> list[dict[str, Any]]:
    """Correlate layer by layer.

    Parameters
    ----------
    activation : Mapping[str, ndarray of shape (C, H, W)]
        Of the trained network.
    sent : Mapping[str, ndarray of shape (C, H, W)]
        Mean payload over the T steps times the layer's scale: the same unit.
    shown : tuple[str, ...]
        Layers of which some points are kept, to be plotted.

    Returns
    -------
    list[dict[str, Any]]
        ``layer``, ``correlation`` (Pearson's r; None where either is constant) and, of
        `shown` layers, lists ``activation`` and ``payload``.
    """
    records = []
    for name, values in activation.items():
        x, y = values.reshape(-1), np.asarray(sent[name]).reshape(-1)
        constant = x.std() == 0 or y.std() == 0
        record: dict[str, Any] = {
            "layer": name,
            "correlation": None if constant else float(np.corrcoef(x, y)[0, 1]),
        }
        if name in shown:
            random = np.random.default_rng(0)
            # Which points a plot shows is no secret.
            chosen = random.choice(  # nosec B311
                len(x), size=min(POINTS, len(x)), replace=False
            )
            record["activation"] = _rounded(x[chosen])
            record["payload"] = _rounded(y[chosen])
        records.append(record)
    return records


def _rounded(values: NDArray[np.floating[Any]]) -> list[float]:
    return [float(f"{value:.{DIGITS}g}") for value in values]
