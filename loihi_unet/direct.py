# SPDX-License-Identifier: BSD-3-Clause
"""A U-Net of spiking neurons, trained as such through all its time steps."""

import torch
from torch import nn

from loihi_unet.config import NeuronConfig, TrainConfig, UNetConfig
from loihi_unet.graph import INPUT
from loihi_unet.surrogate import fire
from loihi_unet.topology import topology
from loihi_unet.unet import UNet

#: Weights begin as a ReLU's times this. Smaller drives than a threshold leave nothing
#: behind in few steps: at 1, the deeper half of an IF network of four levels is silent,
#: and learns nothing.
INITIAL_GAIN = 2.0


def build(config: TrainConfig) -> UNet:
    """Return the network that a configuration trains, with random weights.

    Parameters
    ----------
    config : TrainConfig
        Names shape and neuron.

    Returns
    -------
    UNet
        Of ReLUs, or a `DirectUNet`.
    """
    if config.neuron.kind == "relu":
        return UNet(config.model)
    return DirectUNet(config.model, config.neuron)


class DirectUNet(UNet):
    """The U-Net with a spiking neuron after every convolution and every pool.

    Shown the picture at each of T steps, without a delay between layers. The last
    layer does not spike: its mean over the steps is the output. Parameters are the
    U-Net's; Real Spike has one coefficient per feature map besides, which its spikes
    carry.

    Parameters
    ----------
    config : UNetConfig
        Shape.
    neuron : NeuronConfig
        Neuron and T.
    """

    def __init__(self, config: UNetConfig, neuron: NeuronConfig) -> None:
        super().__init__(config)
        self.neuron = neuron
        self.nodes = topology(config)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if name.endswith("weight") and not name.startswith("out."):
                    parameter.mul_(INITIAL_GAIN)
        channels: dict[str, int] = {}
        for node in self.nodes[:-1]:
            module = self.get_submodule(node.name)
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                channels[node.name] = module.out_channels
            else:
                channels[node.name] = channels[node.sources[0]]
        self.coefficients = nn.ParameterDict()
        if neuron.kind == "rs":
            for name, count in channels.items():
                ones = torch.ones(count, 1, 1)
                self.coefficients[_key(name)] = nn.Parameter(ones)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run all steps.

        Parameters
        ----------
        x : Tensor, shape (B, in_channels, H, W), float
            Pixels divided by 255; H and W are multiples of ``2**levels``.

        Returns
        -------
        Tensor, shape (B, out_channels, H, W), float
            In the same unit.
        """
        steps = self.neuron.num_steps
        # (T, B, C, H, W); what the picture drives is the same at every step.
        sent = {INPUT: x[None]}
        *spiking, last = self.nodes
        for node in spiking:
            values = torch.cat([sent[source] for source in node.sources], dim=2)
            current = self.get_submodule(node.name)(values.flatten(0, 1))
            # Potentials are sums over T steps: never in half precision.
            wide = torch.promote_types(current.dtype, torch.float32)
            current = current.unflatten(0, values.shape[:2]).to(wide)
            spikes = fire(self.neuron.kind, current.expand(steps, *current.shape[1:]))
            if self.neuron.kind == "rs":
                spikes = spikes * self.coefficients[_key(node.name)]
            sent[node.name] = spikes
        mean = sent[last.sources[0]].mean(dim=0)
        difference: torch.Tensor = self.get_submodule(last.name)(mean)
        return x + difference if self.config.residual else difference


def _key(name: str) -> str:
    """A ParameterDict's keys have no dots."""
    return name.replace(".", "_")
