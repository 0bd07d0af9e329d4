# SPDX-License-Identifier: BSD-3-Clause
"""The U-Net (arXiv 1505.04597) in a form that converts to spikes without a rest.

Average pooling instead of maximum, a ReLU after every convolution but the last, biases
everywhere and no batch normalisation: each layer is then one linear map followed by
one ReLU, which is what a spiking compartment can stand for.
"""

import math

import torch
from torch import nn
from torch.nn import functional

from loihi_unet.config import UNetConfig


class DoubleConv(nn.Module):
    """Two 3x3 convolutions, each followed by a ReLU.

    Parameters
    ----------
    in_channels, out_channels : int
        The second convolution keeps `out_channels`.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, in_channels, H, W) to (B, out_channels, H, W)."""
        return functional.relu(self.conv2(functional.relu(self.conv1(x))))


class UNet(nn.Module):
    """U-Net whose module names are the layer names everywhere downstream.

    ``enc0.conv1, enc0.conv2, pool0, enc1.conv1, ... , mid.conv1, mid.conv2, up3,
    dec3.conv1, dec3.conv2, up2, ... , dec0.conv2, out``: 4 levels give 27 of them.

    Parameters
    ----------
    config : UNetConfig
        Channels, levels and whether the input is added to the output.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.base_channels << level for level in range(config.levels + 1)]
        below = [config.in_channels, *widths]
        for level in range(config.levels):
            self.add_module(f"enc{level}", DoubleConv(below[level], widths[level]))
            self.add_module(f"pool{level}", nn.AvgPool2d(2))
        self.mid = DoubleConv(widths[-2], widths[-1])
        for level in reversed(range(config.levels)):
            up = nn.ConvTranspose2d(
                widths[level + 1],
                widths[level],
                3,
                stride=2,
                padding=1,
                output_padding=1,
            )
            self.add_module(f"up{level}", up)
            double = DoubleConv(2 * widths[level], widths[level])
            self.add_module(f"dec{level}", double)
        self.out = nn.Conv2d(widths[0], config.out_channels, 1)
        self._initialise()

    def _initialise(self) -> None:
        # He et al. 2015, doi:10.1109/ICCV.2015.123: the variance of the activations
        # stays the same from layer to layer. With stride 2 a pixel of a transposed
        # convolution sees a quarter of the kernel on average.
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                taps = math.prod(module.kernel_size) / math.prod(module.stride)
                deviation = math.sqrt(2 / (module.in_channels * taps))
                nn.init.normal_(module.weight, std=deviation)
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        # A small last layer: with a residual, training starts near the identity.
        with torch.no_grad():
            self.out.weight *= 0.1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run the network.

        Parameters
        ----------
        x : Tensor, shape (B, in_channels, H, W), float
            Pixels divided by 255; H and W are multiples of ``2**levels``.

        Returns
        -------
        Tensor, shape (B, out_channels, H, W), float
            In the same unit.
        """
        features, skips = x, []
        for level in range(self.config.levels):
            features = self.get_submodule(f"enc{level}")(features)
            skips.append(features)
            features = self.get_submodule(f"pool{level}")(features)
        features = self.mid(features)
        for level in reversed(range(self.config.levels)):
            up = functional.relu(self.get_submodule(f"up{level}")(features))
            joined = torch.cat([skips[level], up], dim=1)
            features = self.get_submodule(f"dec{level}")(joined)
        difference: torch.Tensor = self.out(features)
        return x + difference if self.config.residual else difference
