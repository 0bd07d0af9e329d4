# SPDX-License-Identifier: BSD-3-Clause
"""A layer's neurons on calibration crops: how well thresholds send an activation."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from loihi_unet.config import TrainConfig
from loihi_unet.conversion.normalise import unscaled
from loihi_unet.data.pictures import Picture
from loihi_unet.networks.net import Net
from loihi_unet.seeds import Stream
from loihi_unet.tasks.make import make_task

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
    model : Net
        The trained network, on the CPU.
    config : TrainConfig
        Gives crop size, noise and seed.
    pictures : sequence of Picture
        Where the crops come from.

    Attributes
    ----------
    x : Tensor, shape (B, C, H, W)
        The crops.
    wanted : dict[str, Tensor]
        Activation of every layer.
    layers : tuple[Layer, ...]
        The spiking ones, with the weights that the network was trained with.
    last : Layer
        The one that does not spike, alike but without a residual skip.
    """

    @torch.no_grad()
    def __init__(
        self, model: Net, config: TrainConfig, pictures: Sequence[Picture]
    ) -> None:
        config = config.model_copy(update={"batch_size": CROPS})
        task = make_task(config, train=pictures, validation=[])
        # A batch that no scale was measured on, while the generator has any.
        self.x, _ = task.batch(2**20, Stream.CALIBRATION)
        self.model = model
        self.wanted = dict(model.layers(self.x))
        *spiking, last = unscaled(model, config).layers
        self.layers = tuple(spiking)
        learned = tuple(c for c in last.connections if c.kind != "identity")
        self.last = replace(last, connections=learned)


def largest(activation: Tensor) -> Tensor:
    """Return the percentile of each channel, shape (C,); never 0.

    A channel that hardly fires takes at least a small part of what is usual in its
    layer.
    """
    flat = activation.transpose(0, 1).flatten(1)
    count = max(1, round(flat.shape[1] * (1 - PERCENTILE)))
    found = flat.topk(count, dim=1).values[:, -1]
    alive = found > 0
    usual = found[alive].median() if alive.any() else torch.tensor(1.0)
    return found.clamp(min=float(usual) * SMALLEST)


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
