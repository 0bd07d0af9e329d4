# SPDX-License-Identifier: BSD-3-Clause
"""The networks that are trained, in a form that converts to spikes without a rest.

A ReLU or a spiking neuron after every convolution but the last, average pooling,
biases everywhere: each layer is then one linear map followed by one nonlinearity, which
is what a spiking compartment can stand for. Batch normalisation is folded into the map.
"""

import math
from collections import deque
from collections.abc import Iterator
from functools import reduce

import torch
from torch import nn
from torch.nn import functional
from typing_extensions import assert_never

from loihi_unet.networks.config import ModelConfig, NeuronConfig
from loihi_unet.networks.surrogate import fire
from loihi_unet.networks.topology import INPUT, Branch, Node, topology

#: Weights of spiking layers begin as a ReLU's times this. Smaller drives than a
#: threshold leave nothing behind in few steps: at 1, the deeper half of an IF network
#: of four levels is silent, and learns nothing.
INITIAL_GAIN = 2.0


class Net(nn.Module):
    """A network of ReLUs or of spiking neurons.

    Its module names are the layer names everywhere downstream: a U-Net has
    ``enc0.conv1, enc0.conv2, pool0, enc1.conv1, ... , mid.conv1, mid.conv2, up3,
    dec3.conv1, dec3.conv2, up2, ... , dec0.conv2, out``.

    Spiking, it is shown the picture at each of T steps, without a delay between layers,
    with a neuron after pools too. The last layer does not spike: its mean over the
    steps is the output. Real Spike has one coefficient per feature map besides, which
    its spikes carry.

    Parameters
    ----------
    config : ModelConfig
        Shape, and whether the input is added to the output.
    neuron : NeuronConfig
        Nonlinearity and, where it spikes, T.
    """

    def __init__(self, config: ModelConfig, neuron: NeuronConfig | None = None) -> None:
        super().__init__()
        self.config = config
        self.neuron = neuron or NeuronConfig()
        self.nodes = topology(config)
        self.last_use = {
            name: node.name for node in self.nodes for name in node.sources
        }
        channels = {INPUT: config.in_channels}
        for node in self.nodes:
            for branch in node.branches:
                entering = sum(channels[source] for source in branch.sources)
                bias = branch is node.branches[0]
                self._place(branch, _module(branch, entering, node.channels, bias))
            channels[node.name] = node.channels
        self._initialise()
        self.norms = nn.ModuleDict()
        if config.batch_norm:
            for node in self.nodes[:-1]:
                if not node.pools:
                    self.norms[_key(node.name)] = nn.BatchNorm2d(node.channels)
        self.coefficients = nn.ParameterDict()
        if self.neuron.kind == "rs":
            for node in self.nodes[:-1]:
                ones = torch.ones(node.channels, 1, 1)
                self.coefficients[_key(node.name)] = nn.Parameter(ones)

    def _place(self, branch: Branch, module: nn.Module) -> None:
        """Add a module under a name with dots."""
        *groups, last = branch.module.split(".")
        place: nn.Module = self
        for group in groups:
            if not hasattr(place, group):
                place.add_module(group, nn.Module())
            place = place.get_submodule(group)
        place.add_module(last, module)

    @torch.no_grad()
    def _initialise(self) -> None:
        # He et al. 2015, doi:10.1109/ICCV.2015.123: the variance of the activations
        # stays the same from layer to layer. With stride 2 a pixel of a transposed
        # convolution sees a quarter of the kernel on average.
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                taps: float = math.prod(module.kernel_size)
                if isinstance(module, nn.ConvTranspose2d):
                    taps /= math.prod(module.stride)
                deviation = math.sqrt(2 / (module.in_channels * taps))
                nn.init.normal_(module.weight, std=deviation)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        *hidden, last = self.nodes
        gains = []
        if self.config.residual or not self.config.batch_norm:
            # A small last layer: with a residual, training starts near the identity.
            # Without one, over normalised features, it can lose all its positive
            # weights while it learns first that a class is rare.
            gains.append((last, 0.1))
        if self.neuron.kind != "relu":
            gains += [(node, INITIAL_GAIN) for node in hidden if not node.pools]
        for node, gain in gains:
            for branch in node.branches:
                self.get_parameter(f"{branch.module}.weight").mul_(gain)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run the network, all steps of it where it spikes.

        Parameters
        ----------
        x : Tensor, shape (B, in_channels, H, W), float
            Pixels divided by 255; H and W are multiples of the configuration's.

        Returns
        -------
        Tensor, shape (B, out_channels, H, W), float
            In the same unit.
        """
        # One layer's output at a time: pictures are large.
        [(_, difference)] = deque(self.layers(x), maxlen=1)
        return x + difference if self.config.residual else difference

    def layers(self, x: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield every layer's name and what it puts out.

        Parameters
        ----------
        x : Tensor, shape (B, in_channels, H, W), float
            As for `forward`.

        Yields
        ------
        str
            Name of the layer, in topological order.
        Tensor, shape (B, C, H, W), float
            What it sends; of a spiking layer (T * B, C, H, W), step by step. The last
            is the mean over the steps, without the residual.
        """
        # What the picture drives is the same at every step.
        sent = {INPUT: x}
        *hidden, last = self.nodes
        for node in hidden:
            sent[node.name] = self._activate(node, self._current(node, sent), len(x))
            for source in node.sources:
                if self.last_use[source] == node.name:
                    del sent[source]
            yield node.name, sent[node.name]
        means = {
            name: torch.unflatten(value, 0, (-1, len(x))).mean(dim=0)
            if len(value) > len(x)
            else value
            for name, value in sent.items()
        }
        yield last.name, self._current(last, means)

    def _current(self, node: Node, sent: dict[str, torch.Tensor]) -> torch.Tensor:
        parts = [
            self.get_submodule(branch.module)(
                sent[branch.sources[0]]
                if len(branch.sources) == 1
                else torch.cat([sent[source] for source in branch.sources], dim=1)
            )
            for branch in node.branches
        ]
        current: torch.Tensor = reduce(torch.add, parts)
        key = _key(node.name)
        if key in self.norms:
            current = self.norms[key](current)
        return current

    def _activate(self, node: Node, current: torch.Tensor, batch: int) -> torch.Tensor:
        if self.neuron.kind == "relu":
            return current if node.pools else functional.relu(current)
        # Potentials are sums over T steps: never in half precision.
        wide = torch.promote_types(current.dtype, torch.float32)
        steps = torch.unflatten(current, 0, (-1, batch)).to(wide)
        steps = steps.expand(self.neuron.num_steps, *steps.shape[1:])
        spikes = fire(self.neuron.kind, steps).flatten(0, 1)
        if self.neuron.kind == "rs":
            spikes = spikes * self.coefficients[_key(node.name)]
        return spikes

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return ``state_dict()`` without the counters of batch normalisation."""
        return {
            name: value
            for name, value in self.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }

    @torch.no_grad()
    def folded(self, node: Node) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Return a layer's weights and bias with its batch normalisation in them.

        Parameters
        ----------
        node : Node
            Any but a pool.

        Returns
        -------
        weights : dict[str, Tensor]
            By module.
        bias : Tensor, shape (C,)
            Of their sum.
        """
        weights = {
            branch.module: self.get_parameter(f"{branch.module}.weight").detach()
            for branch in node.branches
        }
        bias = self.get_parameter(f"{node.branches[0].module}.bias").detach()
        if (key := _key(node.name)) not in self.norms:
            return weights, bias
        norm = self.norms[key]
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_var is not None
        assert norm.running_mean is not None
        factor = norm.weight / (norm.running_var + norm.eps).sqrt()
        for branch in node.branches:
            # Leaving channels are the second axis of a transposed convolution.
            axis = 1 if branch.kind == "conv_transpose" else 0
            shape = [-1 if i == axis else 1 for i in range(4)]
            weights[branch.module] = weights[branch.module] * factor.view(shape)
        return weights, (bias - norm.running_mean) * factor + norm.bias


def _module(branch: Branch, entering: int, leaving: int, bias: bool) -> nn.Module:
    match branch.kind:
        case "average_pool":
            return nn.AvgPool2d(2)
        case "conv_transpose":
            return nn.ConvTranspose2d(
                entering,
                leaving,
                branch.kernel,
                stride=branch.stride,
                padding=branch.padding,
                output_padding=branch.output_padding,
                bias=bias,
            )
        case "conv" | "identity":
            return nn.Conv2d(
                entering,
                leaving,
                branch.kernel,
                stride=branch.stride,
                padding=branch.padding,
                bias=bias,
            )
        case _:
            assert_never(branch.kind)


def _key(name: str) -> str:
    """A ParameterDict's keys have no dots."""
    return name.replace(".", "_")
