# SPDX-License-Identifier: BSD-3-Clause
"""What one would pick instead: the same U-Net in SpikingJelly, multi-step."""

from __future__ import annotations

import torch
from spikingjelly.activation_based import functional, neuron
from torch import Tensor, nn

from loihi_unet.networks.net import Net

THRESHOLD = 1.0


class SpikingJellyUNet(nn.Module):
    """The trained U-Net itself, with an IFNode in the place of every ReLU.

    SpikingJelly has no multi-threshold neuron; its IFNode with soft reset sends one
    bit. All T steps of a layer run at once, as SpikingJelly's step mode "m" does.

    Parameters
    ----------
    model : Net
        Gives the weights; it is used, not copied.
    """

    def __init__(self, model: Net) -> None:
        super().__init__()
        self.model = model
        levels = range(model.config.levels)
        names = [f"{part}{level}" for level in levels for part in ("enc", "dec")]
        doubles = [f"{name}_conv{n}" for name in (*names, "mid") for n in (1, 2)]
        self.neurons = nn.ModuleDict(
            {
                name: neuron.IFNode(v_threshold=THRESHOLD, v_reset=None, step_mode="m")
                for name in (*doubles, *(f"up{level}" for level in levels))
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """Run all steps: (T, B, C, H, W) to (T, B, out_channels, H, W)."""
        functional.reset_net(self.neurons)
        model, levels = self.model, range(self.model.config.levels)
        skips = []
        features = x
        for level in levels:
            skips.append(self._double(f"enc{level}", features))
            pool = model.get_submodule(f"pool{level}")
            features = functional.seq_to_ann_forward(skips[-1], pool)
        features = self._double("mid", features)
        for level in reversed(levels):
            up = self._spikes(f"up{level}", model.get_submodule(f"up{level}"), features)
            joined = torch.cat([skips[level], up], dim=2)
            features = self._double(f"dec{level}", joined)
        return functional.seq_to_ann_forward(features, model.out)

    def _double(self, name: str, x: Tensor) -> Tensor:
        for conv in ("conv1", "conv2"):
            module = self.model.get_submodule(f"{name}.{conv}")
            x = self._spikes(f"{name}_{conv}", module, x)
        return x

    def _spikes(self, name: str, module: nn.Module, x: Tensor) -> Tensor:
        return self.neurons[name](functional.seq_to_ann_forward(x, module))
