# SPDX-License-Identifier: BSD-3-Clause
"""Which layer of a network receives what from where, before any weight is known."""

from dataclasses import dataclass, field
from typing import Literal

from typing_extensions import assert_never

from loihi_unet.networks.config import DnCNNConfig, FCNConfig, ModelConfig, UNetConfig

#: Name of the layer that holds the picture: pixels divided by 255.
INPUT = "input"

ConnectionKind = Literal["conv", "conv_transpose", "average_pool", "identity"]


@dataclass(frozen=True, kw_only=True)
class Branch:
    """A module of a layer, and what it is applied to.

    Attributes
    ----------
    module : str
        Name of the network's module.
    kind : str
        What the module does.
    sources : tuple[str, ...]
        Two for a concatenation, in its order: skip, up.
    kernel : int
        Side of a convolution's kernel.
    stride : int
        What a convolution divides the sides by, and a transposed one multiplies.
    """

    module: str
    kind: ConnectionKind
    sources: tuple[str, ...]
    kernel: int = 3
    stride: int = 1

    @property
    def padding(self) -> int:
        """Zeros on each border, so that sides divide and multiply exactly."""
        return (self.kernel - self.stride + 1) // 2

    @property
    def output_padding(self) -> int:
        """What a transposed convolution adds at the end, to the same purpose."""
        return 2 * self.padding - (self.kernel - self.stride)


@dataclass(frozen=True, kw_only=True)
class Node:
    """A layer's place in the network.

    Attributes
    ----------
    name : str
        Name of the layer; its only branch's module has the same.
    channels : int
        Feature maps.
    branches : tuple[Branch, ...]
        Their sum is the layer's input.
    """

    name: str
    channels: int
    branches: tuple[Branch, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        """Layers that this one receives from."""
        return tuple(name for branch in self.branches for name in branch.sources)

    @property
    def pools(self) -> bool:
        """Whether the layer has no weights: an average pool."""
        return self.branches[0].kind == "average_pool"


def topology(config: ModelConfig) -> list[Node]:
    """List a network's layers in the order they are computed.

    Parameters
    ----------
    config : ModelConfig
        Shape; the residual skip is not listed.

    Returns
    -------
    list[Node]
        The last is ``"out"``. A U-Net has ``6 * levels + 3`` layers: 27 for 4 levels.
    """
    match config:
        case UNetConfig():
            return _unet(config)
        case DnCNNConfig():
            return _dncnn(config)
        case FCNConfig():
            return _fcn(config)
        case _:
            assert_never(config)


@dataclass
class _Plan:
    """Nodes as they are added; every method returns the new node's name."""

    nodes: list[Node] = field(default_factory=list)

    def add(self, name: str, channels: int, *branches: Branch) -> str:
        self.nodes.append(Node(name=name, channels=channels, branches=branches))
        return name

    def conv(
        self, name: str, channels: int, *sources: str, kernel: int = 3, stride: int = 1
    ) -> str:
        branch = Branch(
            module=name, kind="conv", sources=sources, kernel=kernel, stride=stride
        )
        return self.add(name, channels, branch)

    def convs(
        self, name: str, channels: int, count: int, *sources: str, stem: int = 1
    ) -> str:
        for number in range(1, count + 1):
            # Of blocks of pixels, 3x3 as everywhere.
            sources = (
                self.conv(
                    f"{name}.conv{number}",
                    channels,
                    *sources,
                    kernel=3 * stem,
                    stride=stem,
                ),
            )
            stem = 1
        return sources[0]

    def pool(self, name: str, channels: int, source: str) -> str:
        branch = Branch(module=name, kind="average_pool", sources=(source,))
        return self.add(name, channels, branch)


def _unet(config: UNetConfig) -> list[Node]:
    plan = _Plan()
    widths = [config.base_channels << level for level in range(config.levels + 1)]
    last, skips = INPUT, []
    for level in range(config.levels):
        stem = config.stem if level == 0 else 1
        skips.append(plan.convs(f"enc{level}", widths[level], 2, last, stem=stem))
        last = plan.pool(f"pool{level}", widths[level], skips[-1])
    last = plan.convs("mid", widths[-1], 2, last)
    for level in reversed(range(config.levels)):
        name = f"up{level}"
        branch = Branch(module=name, kind="conv_transpose", sources=(last,), stride=2)
        up = plan.add(name, widths[level], branch)
        last = plan.convs(f"dec{level}", widths[level], 2, skips[level], up)
    # Every pixel of a block is a 1x1 convolution of its own.
    out = Branch(
        module="out",
        kind="conv" if config.stem == 1 else "conv_transpose",
        sources=(last,),
        kernel=config.stem,
        stride=config.stem,
    )
    plan.add("out", config.out_channels, out)
    return plan.nodes


def _dncnn(config: DnCNNConfig) -> list[Node]:
    plan = _Plan()
    last = INPUT
    for number in range(config.depth - 1):
        last = plan.conv(f"conv{number}", config.base_channels, last)
    plan.conv("out", config.out_channels, last)
    return plan.nodes


#: Convolutions in each level of the FCN's VGG-9 encoder, and below them.
_VGG9, _BELOW = (2, 2, 3), 2


def _fcn(config: FCNConfig) -> list[Node]:
    plan = _Plan()
    last, skips = INPUT, []
    for level, count in enumerate(_VGG9):
        width = config.base_channels << level
        skips.append(plan.convs(f"enc{level}", width, count, last))
        last = plan.pool(f"pool{level}", width, skips[-1])
    last = plan.convs("mid", config.base_channels * 16, _BELOW, last)
    # One map per class, where the sign of one output tells two classes apart too.
    classes = max(2, config.out_channels)
    for level in reversed(range(len(_VGG9))):
        name, channels = f"fuse{level}", classes
        if level == 0:
            name, channels = "out", config.out_channels
        up = Branch(
            module=f"{name}.up", kind="conv_transpose", sources=(last,), stride=2
        )
        score = Branch(
            module=f"{name}.score", kind="conv", sources=(skips[level],), kernel=1
        )
        last = plan.add(name, channels, up, score)
    return plan.nodes
