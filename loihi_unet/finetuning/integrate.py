# SPDX-License-Identifier: BSD-3-Clause
"""The staircase of a multi-threshold neuron over all steps, with gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from loihi_unet.finetuning.exact_sums import check_potential
from sim.torch.compartment import reciprocal_is_exact


class _Integrate(torch.autograd.Function):
    """Payloads of all steps; a reset passes gradients."""

    @staticmethod
    def forward(
        ctx: Any, drive: Tensor, theta: Tensor, number: int, watched: str | None
    ) -> Tensor:
        top = (1 << number) - 1
        exact = reciprocal_is_exact(int(theta.max()), number)
        v = torch.zeros_like(drive[0])
        low, high = theta / 2, theta * (top + 0.5)
        payloads = torch.empty_like(drive, memory_format=torch.contiguous_format)
        inside = torch.empty(drive.shape, dtype=torch.bool, device=drive.device)
        reciprocal = 1 / theta
        for step, (x, payload, mask) in enumerate(
            zip(drive, payloads, inside, strict=True)
        ):
            v = v + x
            if watched is not None:
                check_potential(v, watched, step)
            torch.logical_and(v > low, v < high, out=mask)
            if exact:
                # As in `sim.torch.compartment`.
                payload.copy_(v + 0.5).mul_(reciprocal)
            else:
                payload.copy_((v.double() / theta).floor_())
            payload.floor_().clamp_(0, top)
            v = v - payload * theta
        ctx.save_for_backward(inside, reciprocal)
        return payloads

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        inside, reciprocal = ctx.saved_tensors
        (sent,) = gradients
        left = torch.zeros_like(sent[0])
        slopes = torch.empty_like(sent, memory_format=torch.contiguous_format)
        for t in range(len(sent) - 1, -1, -1):
            # v' = v - theta g: where g follows v, nothing of v is left behind.
            left = torch.where(inside[t], sent[t] * reciprocal, left)
            slopes[t] = left
        return slopes, None, None, None


def integrate(
    drive: Tensor, theta: Tensor, number: int, watched: str | None = None
) -> Tensor:
    """Payloads of all steps; potentials are checked of a layer that is named."""
    payloads: Tensor = _Integrate.apply(drive, theta, number, watched)  # type: ignore[no-untyped-call]
    return payloads
