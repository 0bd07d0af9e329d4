# SPDX-License-Identifier: BSD-3-Clause
"""Twenty networks, written from their papers, narrow and with random weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def cbr(a: int, b: int, k: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(a, b, k, stride, k // 2, groups=groups, bias=False),
        nn.BatchNorm2d(b),
        nn.ReLU(inplace=True),
    )


def twice(a: int, b: int) -> nn.Sequential:
    """Two of them."""
    return nn.Sequential(cbr(a, b), cbr(b, b))


class UNet(nn.Module):
    """The widespread U-Net: max pools, and transposed or bilinear upsampling."""

    def __init__(self, bilinear: bool) -> None:
        super().__init__()
        self.inc, self.down = twice(3, 4), nn.ModuleList([twice(4, 8), twice(8, 16)])
        self.pool = nn.MaxPool2d(2)
        self.ups = nn.ModuleList(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            if bilinear
            else nn.ConvTranspose2d(a, a // 2, 2, stride=2)
            for a in (16, 8)
        )
        extra = (24, 12) if bilinear else (16, 8)
        self.convs = nn.ModuleList([twice(extra[0], 8), twice(extra[1], 4)])
        self.outc = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of scores."""
        kept = [self.inc(x)]
        for part in self.down:
            kept.append(part(self.pool(kept[-1])))
        x = kept.pop()
        for up, convs in zip(self.ups, self.convs, strict=True):
            skip, x = kept.pop(), up(x)
            dy, dx = skip.size(2) - x.size(2), skip.size(3) - x.size(3)
            x = functional.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
            x = convs(torch.cat([skip, x], dim=1))
        return self.outc(x)


class NestedUNet(nn.Module):
    """U-Net++: every skip passes convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.up = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)
        self.a0, self.b0, self.c0 = twice(3, 4), twice(4, 8), twice(8, 8)
        self.a1, self.b1 = twice(12, 4), twice(16, 8)
        self.a2, self.last = twice(16, 4), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of scores."""
        a0 = self.a0(x)
        b0 = self.b0(self.pool(a0))
        a1 = self.a1(torch.cat([a0, self.up(b0)], 1))
        c0 = self.c0(self.pool(b0))
        b1 = self.b1(torch.cat([b0, self.up(c0)], 1))
        return self.last(self.a2(torch.cat([a0, a1, self.up(b1)], 1)))


class Residual(nn.Module):
    """ResNet's block of two convolutions."""

    def __init__(self, a: int, b: int, stride: int = 1) -> None:
        super().__init__()
        self.first, self.second = (
            cbr(a, b, stride=stride),
            nn.Conv2d(b, b, 3, padding=1),
        )
        self.norm = nn.BatchNorm2d(b)
        same = stride == 1 and a == b
        self.skip = nn.Sequential() if same else nn.Conv2d(a, b, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum, rectified."""
        return functional.relu(self.norm(self.second(self.first(x))) + self.skip(x))


class LinkNet(nn.Module):
    """LinkNet: encoder and decoder meet by addition."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = cbr(3, 4)
        self.e1, self.e2 = Residual(4, 8, 2), Residual(8, 16, 2)
        self.d2, self.d1 = self._up(16, 8), self._up(8, 4)
        self.last = nn.Conv2d(4, 2, 3, padding=1)

    @staticmethod
    def _up(a: int, b: int) -> nn.Sequential:
        return nn.Sequential(
            cbr(a, a // 4, 1),
            nn.ConvTranspose2d(a // 4, a // 4, 4, stride=2, padding=1),
            nn.BatchNorm2d(a // 4),
            nn.ReLU(),
            cbr(a // 4, b, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of scores."""
        x = self.stem(x)
        e1 = self.e1(x)
        return self.last(self.d1(self.d2(self.e2(e1)) + e1) + x)


class FPN(nn.Module):
    """Feature pyramid: laterals without a ReLU, summed from the top."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList([cbr(3, 4), Residual(4, 8, 2), Residual(8, 16, 2)])
        self.laterals = nn.ModuleList(nn.Conv2d(c, 8, 1) for c in (4, 8, 16))
        self.smooth = nn.ModuleList(cbr(8, 4) for _ in range(3))
        self.last = nn.Conv2d(12, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of scores."""
        levels, top, parts = [], None, []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        for n in (2, 1, 0):
            lateral = self.laterals[n](levels[n])
            if top is not None:
                top = lateral + functional.interpolate(top, scale_factor=2)
            else:
                top = lateral
            part = self.smooth[n](top)
            parts.append(functional.interpolate(part, scale_factor=2**n))
        return self.last(torch.cat(parts, dim=1))


def resnet20() -> nn.Module:
    """ResNet-20 of the CIFAR kind."""
    blocks = [Residual(4, 4) for _ in range(3)]
    blocks += [Residual(4, 8, 2), Residual(8, 8), Residual(8, 8)]
    blocks += [Residual(8, 16, 2), Residual(16, 16), Residual(16, 16)]
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
    return nn.Sequential(cbr(3, 4), *blocks, *head)


def vgg11() -> nn.Module:
    """VGG-11 with batch normalisation."""
    parts: list[nn.Module] = []
    before = 3
    for width in (4, 0, 8, 0, 16, 16, 0, 16, 16, 0, 16, 16, 0):
        parts.append(cbr(before, width) if width else nn.MaxPool2d(2))
        before = width or before
    return nn.Sequential(*parts, nn.Flatten(), nn.Dropout(), nn.Linear(16, 10))


class Inverted(nn.Module):
    """MobileNetV2's block: its result has no ReLU."""

    def __init__(self, a: int, b: int, stride: int) -> None:
        super().__init__()
        wide = 3 * a
        self.body = nn.Sequential(
            *[nn.Conv2d(a, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6()],
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
            *[nn.BatchNorm2d(wide), nn.ReLU6()],
            *[nn.Conv2d(wide, b, 1, bias=False), nn.BatchNorm2d(b)],
        )
        self.adds = stride == 1 and a == b

    def forward(self, x: Tensor) -> Tensor:
        """Return the body's result, with the input where the shapes agree."""
        return x + self.body(x) if self.adds else self.body(x)


def mobilenet() -> nn.Module:
    """MobileNetV2."""
    return nn.Sequential(
        *[nn.Conv2d(3, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU6()],
        *[Inverted(4, 4, 1), Inverted(4, 8, 2), Inverted(8, 8, 1)],
        *[nn.Conv2d(8, 16, 1), nn.BatchNorm2d(16), nn.ReLU6()],
        *[nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(16, 10)],
    )


def classifier() -> nn.Module:
    """Two convolutions and two fully connected layers."""
    return nn.Sequential(
        *[nn.Conv2d(3, 4, 5), nn.ReLU(), nn.AvgPool2d(2)],
        *[nn.Conv2d(4, 8, 5), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten()],
        *[nn.Linear(8 * 25, 16), nn.ReLU(), nn.Linear(16, 10)],
    )


class SegNet(nn.Module):
    """SegNet: unpools to where the maxima were."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = cbr(3, 4), cbr(4, 4)
        self.pool, self.unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
        self.last = nn.Conv2d(4, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of scores."""
        x, places = self.pool(self.down(x))
        return self.last(self.up(self.unpool(x, places)))


class Subtracted(nn.Module):
    """A network that finds what is to be taken from its input, or added."""

    def __init__(self, body: nn.Module, sign: int) -> None:
        super().__init__()
        self.body, self.sign = body, sign

    def forward(self, x: Tensor) -> Tensor:
        """Return the picture, restored."""
        return x + self.body(x) if self.sign > 0 else x - self.body(x)


def dncnn() -> nn.Module:
    """DnCNN."""
    body = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), *(cbr(8, 8) for _ in range(4))]
    return Subtracted(nn.Sequential(*body, nn.Conv2d(8, 1, 3, padding=1)), -1)


class FFDNet(nn.Module):
    """FFDNet: pixels to channels, and a map of the noise level beside them."""

    def __init__(self) -> None:
        super().__init__()
        body = [nn.Conv2d(5, 8, 3, padding=1), nn.ReLU(), cbr(8, 8), cbr(8, 8)]
        self.body = nn.Sequential(*body, nn.Conv2d(8, 4, 3, padding=1))

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Return the picture, restored."""
        x = functional.pixel_unshuffle(x, 2)
        level = sigma.repeat(1, 1, x.size(-2), x.size(-1))
        return functional.pixel_shuffle(self.body(torch.cat((x, level), 1)), 2)


def espcn() -> nn.Module:
    """ESPCN with ReLUs."""
    return nn.Sequential(
        *[nn.Conv2d(1, 8, 5, padding=2), nn.ReLU()],
        *[nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()],
        *[nn.Conv2d(8, 4, 3, padding=1), nn.PixelShuffle(2)],
    )


def input_skip() -> nn.Module:
    """A residual denoiser of residual blocks."""
    head = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU())
    blocks = [Residual(8, 8) for _ in range(2)]
    return Subtracted(nn.Sequential(head, *blocks, nn.Conv2d(8, 1, 3, padding=1)), 1)


class Factorised(nn.Module):
    """ERFNet's block of convolutions along one axis at a time."""

    def __init__(self, c: int, d: int) -> None:
        super().__init__()
        self.a, self.b = (
            nn.Conv2d(c, c, (3, 1), padding=(1, 0)),
            nn.Conv2d(c, c, (1, 3), padding=(0, 1)),
        )
        self.c = nn.Conv2d(c, c, (3, 1), padding=(d, 0), dilation=(d, 1))
        self.d = nn.Conv2d(c, c, (1, 3), padding=(0, d), dilation=(1, d))
        self.n1, self.n2 = nn.BatchNorm2d(c), nn.BatchNorm2d(c)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum, rectified."""
        y = functional.relu(self.n1(self.b(functional.relu(self.a(x)))))
        y = self.n2(self.d(functional.relu(self.c(y))))
        return functional.relu(y + x)


class Downsampler(nn.Module):
    """ERFNet's and ENet's: a strided convolution beside a max pool."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.conv, self.pool = nn.Conv2d(a, b - a, 3, 2, 1), nn.MaxPool2d(2)
        self.norm = nn.BatchNorm2d(b)

    def forward(self, x: Tensor) -> Tensor:
        """Return both, normalised together."""
        return functional.relu(self.norm(torch.cat([self.conv(x), self.pool(x)], 1)))


def erfnet() -> nn.Module:
    """ERFNet."""
    return nn.Sequential(
        *[Downsampler(3, 8), Factorised(8, 1), Downsampler(8, 16), Factorised(16, 2)],
        *[nn.ConvTranspose2d(16, 8, 3, 2, 1, output_padding=1), nn.BatchNorm2d(8)],
        *[nn.ReLU(), Factorised(8, 1), nn.ConvTranspose2d(8, 2, 2, 2)],
    )


class Bottleneck(nn.Module):
    """ENet's block: narrow inside, PReLU."""

    def __init__(self, c: int, d: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *[nn.Conv2d(c, c // 2, 1, bias=False), nn.BatchNorm2d(c // 2)],
            *[nn.PReLU(), nn.Conv2d(c // 2, c // 2, 3, padding=d, dilation=d)],
            *[nn.BatchNorm2d(c // 2), nn.PReLU(), nn.Conv2d(c // 2, c, 1)],
            *[nn.BatchNorm2d(c), nn.Dropout2d(0.1)],
        )
        self.act = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum, rectified."""
        return self.act(x + self.body(x))


def enet() -> nn.Module:
    """ENet, its decoder with transposed convolutions instead of unpooling."""
    return nn.Sequential(
        *[Downsampler(3, 8), Bottleneck(8, 1), Bottleneck(8, 2)],
        *[nn.ConvTranspose2d(8, 2, 2, 2)],
    )


def separable() -> nn.Module:
    """Depthwise-separable convolutions throughout."""

    def part(a: int, b: int, stride: int = 1) -> nn.Sequential:
        return nn.Sequential(cbr(a, a, stride=stride, groups=a), cbr(a, b, 1))

    return nn.Sequential(
        *[cbr(3, 4), part(4, 8, 2), part(8, 16, 2), part(16, 8)],
        *[nn.Upsample(scale_factor=4), nn.Conv2d(8, 2, 1)],
    )


def context() -> nn.Module:
    """Multi-scale context by dilated convolutions."""
    parts: list[nn.Module] = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()]
    for d in (1, 2, 4, 8):
        parts += [nn.Conv2d(4, 4, 3, padding=d, dilation=d), nn.ReLU()]
    return nn.Sequential(*parts, nn.Conv2d(4, 2, 1))


def autoencoder() -> nn.Module:
    """An autoencoder with a fully connected bottleneck."""
    return nn.Sequential(
        *[nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 8, 3, 2, 1), nn.ReLU()],
        *[nn.Flatten(), nn.Linear(512, 16), nn.ReLU(), nn.Linear(16, 512), nn.ReLU()],
        *[nn.Unflatten(1, (8, 8, 8)), nn.ConvTranspose2d(8, 4, 4, 2, 1), nn.ReLU()],
        *[nn.ConvTranspose2d(4, 1, 4, 2, 1)],
    )


class TwoBranches(nn.Module):
    """A fine and a coarse branch, added without a ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(cbr(3, 4), nn.Conv2d(4, 4, 3, padding=1))
        self.coarse = nn.Sequential(cbr(3, 8, stride=2), nn.Conv2d(8, 4, 3, padding=1))
        self.last = nn.Sequential(cbr(4, 4), nn.Conv2d(4, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of scores."""
        coarse = functional.interpolate(self.coarse(x), scale_factor=2)
        return self.last(self.fine(x) + coarse)
