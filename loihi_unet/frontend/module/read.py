# SPDX-License-Identifier: BSD-3-Clause
"""Read a torch module: a graph of layers, and a table of what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from loihi_unet.errors import ConversionError
from loihi_unet.frontend.module.builder import Builder
from loihi_unet.frontend.module.fidelity import Operation, check_allowed, refusal
from loihi_unet.frontend.module.finish import finish
from loihi_unet.frontend.module.tracer import trace
from loihi_unet.networks.weights import tensors_sha256
from loihi_unet.spiking.graph import Graph
from loihi_unet.spiking.layer import Frame

#: Largest difference, as a share of the output's range, between a module and its
#: graph: rounding, and no more.
ROUNDING = 1e-3
#: Of a network that nobody has tried on pictures yet.
SAFETY = 4


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What a network expects of a pixel, which is 0..1 in a picture.

    Attributes
    ----------
    scale : float
        What pixels are multiplied by first; 255 for gray levels.
    mean, std : tuple of float
        Subtracted, then divided by: one number, or one of each channel.
    constant : float or None
        Value of a second input.
    """

    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    constant: float | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Return pictures as the network expects them."""
        for what, numbers in (("mean", self.mean), ("std", self.std)):
            if len(numbers) not in (1, x.shape[1]):
                raise ConversionError(
                    f"--{what}: {len(numbers)} numbers for {x.shape[1]} channels"
                )
        if self.scale != 1:
            x = x * self.scale
        if any(self.mean):
            x = x - torch.tensor(self.mean)[:, None, None]
        if any(number != 1 for number in self.std):
            x = x / torch.tensor(self.std)[:, None, None]
        return x

    def constants(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the network's other inputs."""
        if self.constant is None:
            return ()
        return (torch.full((len(x), 1, 1, 1), self.constant),)


class Prepared(nn.Module):
    """A network that takes pixels 0..1.

    Parameters
    ----------
    module : nn.Module
        The network.
    preparation : Preparation
        What it expects.
    """

    def __init__(self, module: nn.Module, preparation: Preparation) -> None:
        super().__init__()
        self.module = module
        self.preparation = preparation

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's output for pictures (B, C, H, W), as four axes."""
        output: Tensor = self.module(
            self.preparation(x), *self.preparation.constants(x)
        )
        return output if output.ndim == 4 else output[:, :, None, None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Reading:
    """What was read.

    Attributes
    ----------
    graph : Graph or None
        None if an operation was refused.
    operations : tuple[Operation, ...]
        The fidelity of each.
    head : str
        What is left to the reader of the output; else empty.
    """

    graph: Graph | None
    operations: tuple[Operation, ...]
    head: str = ""

    @property
    def faithful(self) -> bool:
        """Whether every operation is."""
        return all(item.fidelity == "faithful" for item in self.operations)

    def usable(self) -> Graph:
        """Return the graph.

        Raises
        ------
        ConversionError
            With the layer's name, if an operation was refused.
        """
        if self.graph is None:
            raise refusal(self.operations) or ConversionError("nothing was read")
        return self.graph


def read_module(
    module: nn.Module,
    x: Tensor,
    *,
    allow: Iterable[str] = (),
    preparation: Preparation | None = None,
) -> Reading:
    """Read a torch module.

    Parameters
    ----------
    module : nn.Module
        Any, with its weights; it is put into evaluation mode and run once, on the
        CPU.
    x : Tensor, shape (B, C, H, W), float32
        Pictures, pixels divided by 255.
    allow : iterable of str
        Consents, as ``max_pool2d=average``.
    preparation : Preparation, optional
        What the network expects of a pixel.

    Returns
    -------
    Reading
        Graph and table.

    Raises
    ------
    ConversionError
        If the module cannot be run, or a consent is unknown, or graph and module
        differ by more than rounding although all is faithful.
    """
    allowed = check_allowed(allow)
    preparation = preparation or Preparation()
    module = module.cpu().float().eval()
    size = (int(x.shape[2]), int(x.shape[3]))
    builder = Builder(int(x.shape[1]), size)
    inputs = (x, *preparation.constants(x))
    value, output, tracer = trace(module, inputs, builder, allowed, preparation)
    operations = tuple(tracer.operations)
    if value is None or refusal(operations):
        return Reading(graph=None, operations=operations)
    if value.flat and value.size != (1, 1):
        raise ConversionError("the network's output is a flattened map: leave it a map")
    layers, ones = finish(builder, value)
    tensors = {
        f"{layer.name}.{n}": c.weight
        for layer in layers
        for n, c in enumerate(layer.connections)
        if c.weight is not None
    }
    tensors |= {
        f"{layer.name}.bias": layer.bias for layer in layers if layer.bias is not None
    }
    graph = Graph(
        layers=layers,
        weights_sha256=tensors_sha256(tensors),
        frame=Frame(size=size, fixed=tracer.fixed, constant=ones, safety=SAFETY),
    )
    exact = all(item.fidelity == "faithful" for item in operations)
    if exact and not value.head:
        _check(graph, x, output)
    return Reading(graph=graph, operations=operations, head=value.head)


def _check(graph: Graph, x: Tensor, output: Tensor) -> None:
    wanted = output if output.ndim == 4 else output[:, :, None, None]
    difference = float((graph(x) - wanted).abs().max())
    scale = float(wanted.max() - wanted.min()) + 1e-6
    if not difference <= ROUNDING * scale:
        raise ConversionError(
            f"the network's output differs by {difference:g} from that of its layers: "
            "it does something that torch does not show (a compiled or scripted part?)"
        )
