# SPDX-License-Identifier: BSD-3-Clause
"""A layer's neurons on calibration crops: how well thresholds send an activation."""

import torch
from torch import Tensor

from loihi_unet.spiking.graph import Graph, learned

#: Crops that thresholds are chosen on.
CROPS = 8
#: Full range of a step, as a multiple of the channel's largest activations.
RANGES = tuple(4 * 0.84**k for k in range(20))
#: Leads tried, in thresholds over all steps.
LEADS = (0.0, 0.25, 0.5)
#: Share of activations that lies below "largest".
PERCENTILE = 0.999
#: Least range of a channel, as a share of the middle of its layer.
SMALLEST = 1 / 64


class Crops:
    """What all trials see: crops, and what the trained network makes of them.

    Parameters
    ----------
    graph : Graph
        The trained network.
    x : Tensor, shape (B, C, H, W)
        The crops, with or without a constant plane.

    Attributes
    ----------
    wanted : dict[str, Tensor]
        Activation of every layer.
    layers : tuple[Layer, ...]
        The spiking ones, with the weights that the network was trained with.
    last : Layer
        The one that does not spike, alike but without a residual skip.
    """

    @torch.no_grad()
    def __init__(self, graph: Graph, x: Tensor) -> None:
        self.graph = graph
        self.x = graph.frame.completed(x, graph.in_channels)
        self.wanted = dict(graph.activations(self.x))
        *spiking, last = graph.layers
        self.layers = tuple(spiking)
        self.last = learned(last)


def largest(activation: Tensor) -> Tensor:
    """Return the percentile of each channel, shape (C,); never 0.

    A channel that hardly fires takes at least a small part of what is usual in its
    layer.
    """
    flat = activation.transpose(0, 1).flatten(1)
    count = max(1, round(flat.shape[1] * (1 - PERCENTILE)))
    peaks = flat.topk(count, dim=1).values[:, -1]
    alive = peaks > 0
    usual = peaks[alive].median() if alive.any() else torch.tensor(1.0)
    return peaks.clamp(min=float(usual) * SMALLEST)


class Trial:
    """Neurons of one layer, on a drive that stays.

    Parameters
    ----------
    drive : Tensor, shape (T, B, C, H, W)
        Input of every step, in the trained network's unit.
    target : Tensor, shape (B, C, H, W)
        The trained network's activation.
    top : int
        Largest payload.
    """

    def __init__(self, drive: Tensor, target: Tensor, top: int) -> None:
        self.drive = drive
        self.target = target
        self.top = top

    def values(self, theta: Tensor, lead: Tensor) -> Tensor:
        """Return what is sent at every step, shape (T, B, C, H, W)."""
        steps = len(self.drive)
        theta = theta[:, None, None]
        extra = theta * (lead[:, None, None] / steps)
        v = torch.zeros_like(self.drive[0])
        sent = []
        for drive in self.drive:
            v = v + drive + extra
            value = (v / theta).floor_().clamp_(0, self.top).mul_(theta)
            v = v - value
            sent.append(value)
        return torch.stack(sent)

    def error(self, theta: Tensor, lead: Tensor) -> Tensor:
        """Return each channel's mean squared error, shape (C,)."""
        mean = self.values(theta, lead).mean(dim=0)
        return (mean - self.target).square_().mean(dim=(0, 2, 3))

    def best_threshold(self, full: Tensor, least: Tensor) -> Tensor:
        """Return the best of `RANGES` for each channel, times ``full``."""
        half = torch.full_like(full, 0.5)
        errors = torch.stack(
            [self.error((full * r).maximum(least), half) for r in RANGES]
        )
        return (full * torch.tensor(RANGES)[errors.argmin(dim=0)]).maximum(least)

    def best_lead(self, theta: Tensor) -> Tensor:
        """Return the best of `LEADS` for each channel."""
        errors = torch.stack(
            [self.error(theta, torch.full_like(theta, lead)) for lead in LEADS]
        )
        return torch.tensor(LEADS)[errors.argmin(dim=0)]
