# SPDX-License-Identifier: BSD-3-Clause
"""The shipped U-Net made wider without changing what it computes.

Every channel becomes ``factor`` copies (Net2WiderNet, arXiv 1511.05641): each copy
receives what the original received, and what the copies send adds up to what the
original sent. Activations, scales and spike rates are therefore those of the trained
network. So that copies are no clones on the chip, a random part that sums to zero over
them is added to the weights; its size gives the weights the variance 1 / factor of the
original's that a layer of that fan-in has.
"""

from __future__ import annotations

import torch

from loihi_unet.files.checkpoint import Calibration, weights_sha256
from loihi_unet.networks.net import Net


@torch.no_grad()
def widened(
    model: Net, calibration: Calibration, factor: int, *, seed: int = 0
) -> tuple[Net, Calibration]:
    """Make a U-Net with ``factor`` times the channels and the same output.

    Parameters
    ----------
    model : Net
        A trained network.
    calibration : Calibration
        Its scales.
    factor : int
        How many copies of each channel.
    seed : int
        Of the part that cancels.

    Returns
    -------
    Net, Calibration
        The wide network and its scales, which are the same.
    """
    config = model.config
    base = config.base_channels * factor
    wide = Net(config.model_copy(update={"base_channels": base}))
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in wide.named_parameters():
        value = model.get_parameter(name)
        if value.ndim == 1:
            parameter.copy_(_copied(value, 0, len(parameter)))
            continue
        # (C_out, C_in, ...), but (C_in, C_out, ...) for a transposed convolution.
        source, target = (0, 1) if name.startswith("up") else (1, 0)
        value = _copied(value, target, parameter.shape[target])
        parameter.copy_(_divided(value, source, parameter.shape[source], generator))
    digest = weights_sha256(wide)
    return wide, calibration.model_copy(update={"weights_sha256": digest})


def _copied(value: torch.Tensor, axis: int, length: int) -> torch.Tensor:
    return value.repeat_interleave(length // value.shape[axis], dim=axis)


def _divided(
    value: torch.Tensor, axis: int, length: int, generator: torch.Generator
) -> torch.Tensor:
    """Weights over the copies of a source, which sum to the original's."""
    copies = length // value.shape[axis]
    shape = (*value.shape[: axis + 1], copies, *value.shape[axis + 1 :])
    random = torch.randn(shape, generator=generator) * value.std() / copies**0.5
    parts = random - random.mean(dim=axis + 1, keepdim=True)
    parts += value.unsqueeze(axis + 1) / copies
    return parts.flatten(axis, axis + 1)
