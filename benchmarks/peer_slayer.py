# SPDX-License-Identifier: BSD-3-Clause
"""What one would pick instead: the same U-Net in slayer (lava-dl)."""

from __future__ import annotations

import sim.lava.mends  # noqa: F401  # before Lava

# isort: split
import torch
from lava.lib.dl.slayer import block
from torch import Tensor, nn

from loihi_unet.config import UNetConfig

# Integrate-and-fire: the current is forgotten each step, the voltage never.
NEURON = {
    "threshold": 1.0,
    "current_decay": 1.0,
    "voltage_decay": 0.0,
    "requires_grad": False,
}


class SlayerUNet(nn.Module):
    """U-Net of `loihi_unet.networks.net` in blocks of slayer, multi-step.

    Slayer's neuron sends binary spikes, and its transposed convolution has no
    output padding, so that is 2x2 here (fewer products than 3x3).

    Parameters
    ----------
    config : UNetConfig
        Channels and levels.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        widths = [config.base_channels << level for level in range(config.levels + 1)]
        before = [config.in_channels, *widths]
        self.down = nn.ModuleList(
            _double(before[level], widths[level]) for level in range(config.levels)
        )
        self.pool = nn.ModuleList(
            block.cuba.Pool(NEURON, 2, 2) for _ in range(config.levels)
        )
        self.mid = _double(widths[-2], widths[-1])
        self.up = nn.ModuleList(
            block.cuba.ConvT(NEURON, 2 * width, width, 2, stride=2)
            for width in widths[:-1]
        )
        self.join = nn.ModuleList(_double(2 * width, width) for width in widths[:-1])
        self.out = block.cuba.Conv(NEURON, widths[0], config.out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Run all steps: (B, C, H, W, T) to (B, out_channels, H, W, T)."""
        skips = []
        for down, pool in zip(self.down, self.pool, strict=True):
            skips.append(down(x))
            x = pool(skips[-1])
        x = self.mid(x)
        levels = zip(skips, self.up, self.join, strict=True)
        for skip, up, join in reversed(list(levels)):
            x = join(torch.cat([skip, up(x)], dim=1))
        return self.out(x)


def _double(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        block.cuba.Conv(NEURON, channels_in, channels, 3, padding=1),
        block.cuba.Conv(NEURON, channels, channels, 3, padding=1),
    )
