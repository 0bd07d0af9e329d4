# SPDX-License-Identifier: BSD-3-Clause
"""Fine-tune a converted network with batches and a loss of one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from loihi_unet.errors import ConversionError
from loihi_unet.finetuning.state import begin
from loihi_unet.finetuning.steps import StepsUNet
from loihi_unet.spiking.spiking_unet import SpikingUNet


def finetune(
    snn: SpikingUNet,
    batches: Iterable[tuple[Tensor, Tensor]],
    loss: Callable[[Tensor, Tensor], Tensor],
    *,
    learning_rate: float = 1e-4,
) -> SpikingUNet:
    """Train a converted network's weights and thresholds, a step for each batch.

    Forward runs the integers that are exported, backward goes through all their
    steps (`loihi_unet.finetuning.steps`).

    Parameters
    ----------
    snn : SpikingUNet
        Not changed.
    batches : iterable of (x, target)
        x of shape (B, C, H, W), float32, integer gray levels divided by 255; target
        is whatever the loss takes.
    loss : callable
        From the network's output and the target to a scalar.
    learning_rate : float
        Adam's.

    Returns
    -------
    SpikingUNet
        As it is after the last batch.

    Raises
    ------
    ConversionError
        If the loss is no longer finite.
    OverflowLayerError
        If a potential leaves 24 bits signed.
    """
    state = begin(snn, learning_rate, "steps")
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate * group["rate"]
    for number, (x, target) in enumerate(batches, start=1):
        value = loss(StepsUNet(state.snn, state.parameters)(x), target)
        if not bool(torch.isfinite(value)):
            raise ConversionError(f"batch {number}: the loss is {float(value)}")
        state.optimiser.zero_grad()
        torch.autograd.backward(value)
        state.optimiser.step()
    return state.network
