# SPDX-License-Identifier: BSD-3-Clause
"""The networks of the suite: where each is from, and how it is converted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.suite.networks import (
    FPN,
    FFDNet,
    LinkNet,
    NestedUNet,
    SegNet,
    TwoBranches,
    UNet,
    autoencoder,
    classifier,
    context,
    dncnn,
    enet,
    erfnet,
    espcn,
    input_skip,
    mobilenet,
    resnet20,
    separable,
    vgg11,
)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A network of the suite.

    Attributes
    ----------
    paper : str
        Where its architecture is from.
    build : callable
        Returns it, with random weights.
    channels : int
        Of the input, 32x32 pixels.
    allow : tuple of str
        Consents it is converted with.
    constant : float or None
        Its second input.
    refused : str
        What it is refused for; empty: it converts.
    """

    paper: str
    build: Callable[[], nn.Module]
    channels: int = 3
    allow: tuple[str, ...] = ()
    constant: float | None = None
    refused: str = ""


_POOL = "max_pool2d=exact"
SUBJECTS = {
    "U-Net, transposed": Subject(
        paper="arXiv 1505.04597", build=lambda: UNet(False), allow=(_POOL,)
    ),
    "U-Net, bilinear": Subject(
        paper="arXiv 1505.04597",
        build=lambda: UNet(True),
        allow=("max_pool2d=average", "bilinear=fixed"),
    ),
    "U-Net++": Subject(paper="arXiv 1807.10165", build=NestedUNet, allow=(_POOL,)),
    "LinkNet": Subject(paper="arXiv 1707.03718", build=LinkNet),
    "FPN": Subject(paper="arXiv 1612.03144", build=FPN),
    "ResNet-20": Subject(paper="arXiv 1512.03385", build=resnet20),
    "VGG-11": Subject(paper="arXiv 1409.1556", build=vgg11, allow=(_POOL,)),
    "MobileNetV2": Subject(paper="arXiv 1801.04381", build=mobilenet),
    "classifier": Subject(paper="LeNet-5's kind", build=classifier),
    "SegNet": Subject(
        paper="arXiv 1511.00561",
        build=SegNet,
        allow=(_POOL,),
        refused="max_unpool2d",
    ),
    "DnCNN": Subject(paper="arXiv 1608.03981", build=dncnn, channels=1),
    "FFDNet": Subject(
        paper="arXiv 1710.04026", build=FFDNet, channels=1, constant=25 / 255
    ),
    "ESPCN": Subject(paper="arXiv 1609.05158", build=espcn, channels=1),
    "denoiser with input skip": Subject(
        paper="residual blocks", build=input_skip, channels=1
    ),
    "ERFNet": Subject(
        paper="doi:10.1109/TITS.2017.2750080", build=erfnet, allow=(_POOL,)
    ),
    "ENet": Subject(paper="arXiv 1606.02147", build=enet, allow=(_POOL, "prelu=exact")),
    "depthwise-separable": Subject(paper="arXiv 1704.04861", build=separable),
    "dilated context": Subject(paper="arXiv 1511.07122", build=context),
    "autoencoder": Subject(paper="Linear bottleneck", build=autoencoder, channels=1),
    "two branches": Subject(paper="arXiv 1808.00897's kind", build=TwoBranches),
}


def built(subject: Subject) -> nn.Module:
    """Return a subject's network, always with the same weights.

    Batch normalisation gets the statistics of random pictures, so that no layer is
    silent and none explodes.
    """
    torch.manual_seed(0)
    module = subject.build()
    x = torch.rand(8, subject.channels, 32, 32)
    constants = () if subject.constant is None else (torch.full((8, 1, 1, 1), 0.1),)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.3)
            part.momentum = None
    with torch.no_grad():
        module.train()(x, *constants)
    return module.eval()
