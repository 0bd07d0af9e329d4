# SPDX-License-Identifier: BSD-3-Clause
"""Small torch networks of other people's kinds, with random weights."""

import torch
from torch import nn
from torch.nn import functional


class Calls(nn.Module):
    """A network of parts and a function over them."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x, *others):
        return self.function(self, x, *others)


def seeded(build):
    """Build with weights that are always the same, and normal layers not at 0, 1."""
    torch.manual_seed(0)
    module = build()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.3)
            if part.track_running_stats:
                nn.init.normal_(part.running_mean, std=0.2)
                nn.init.uniform_(part.running_var, 0.5, 1.5)
    return module.eval()


def net(*parts):
    return nn.Sequential(*parts)


def conv(a, b, k=3, **more):
    return nn.Conv2d(a, b, k, **{"padding": k // 2, **more})


FAITHFUL = {
    "strided and dilated": lambda: net(
        conv(2, 4, 3, stride=2),
        nn.ReLU(),
        conv(4, 4, 3, padding=2, dilation=2),
        nn.ReLU(),
        conv(4, 2, 1),
    ),
    "groups, and a kernel of even sides": lambda: net(
        nn.Conv2d(2, 4, (2, 4), padding=(1, 2)),
        nn.ReLU(),
        conv(4, 8, 3, groups=4),
        nn.ReLU(),
        conv(8, 3, 1),
    ),
    "padding same of an even kernel": lambda: net(
        nn.Conv2d(2, 4, 4, padding="same"), nn.ReLU(), conv(4, 2)
    ),
    "transposed, any geometry": lambda: net(
        conv(2, 4),
        nn.ReLU(),
        nn.ConvTranspose2d(
            4, 4, 3, stride=2, padding=1, output_padding=1, groups=2, dilation=2
        ),
        nn.ReLU(),
        conv(4, 2),
    ),
    "transposed as the last": lambda: net(
        conv(2, 4), nn.ReLU(), nn.ConvTranspose2d(4, 2, 2, stride=2)
    ),
    "transposed before a concatenation": lambda: Calls(
        lambda m, x: m.last(
            torch.cat([a := m.first(x).relu(), m.up(m.down(a).relu())], dim=1)
        ),
        first=conv(2, 4),
        down=conv(4, 6, stride=2),
        up=nn.ConvTranspose2d(6, 4, 2, stride=2),
        last=net(conv(8, 4), nn.ReLU(), conv(4, 2)),
    ),
    "transposed with overlaps before a concatenation": lambda: Calls(
        lambda m, x: m.last(
            torch.cat([a := m.first(x).relu(), m.up(m.down(a).relu())], dim=1)
        ),
        first=conv(2, 4),
        down=conv(4, 6, stride=2),
        up=nn.ConvTranspose2d(6, 4, 4, stride=2, padding=1),
        last=net(conv(8, 4), nn.ReLU(), conv(4, 2)),
    ),
    "two convolutions without a ReLU": lambda: net(
        conv(2, 4), conv(4, 4), nn.ReLU(), conv(4, 2)
    ),
    "pyramid of laterals": lambda: Calls(
        lambda m, x: m.head(
            m.lateral1(a := m.one(x).relu())
            + functional.interpolate(m.lateral2(m.two(a).relu()), scale_factor=2)
        ),
        one=conv(2, 4),
        two=conv(4, 6, stride=2),
        lateral1=conv(4, 4, 1),
        lateral2=conv(6, 4, 1),
        head=net(conv(4, 4), nn.ReLU(), conv(4, 2)),
    ),
    "mean subtracted from the input": lambda: Calls(
        lambda m, x: m.body((x - 0.45) / 0.2),
        body=net(conv(2, 4), nn.ReLU(), conv(4, 2)),
    ),
    "batch norm before a padded convolution": lambda: net(
        conv(2, 4), nn.ReLU(), nn.BatchNorm2d(4), conv(4, 4), nn.ReLU(), conv(4, 2)
    ),
    "batch norm after convolutions": lambda: net(
        conv(2, 4, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 4, 2, stride=2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        conv(4, 2),
    ),
    "ReLU6": lambda: net(
        Calls(lambda m, x: m.c(x) * 20, c=conv(2, 4)), nn.ReLU6(), conv(4, 2)
    ),
    "hardtanh": lambda: net(conv(2, 4), nn.Hardtanh(0, 0.2), conv(4, 2)),
    "signed hardtanh and abs": lambda: net(
        conv(2, 4),
        nn.Hardtanh(-0.2, 0.3),
        conv(4, 4),
        Calls(lambda m, x: x.abs()),
        conv(4, 2),
    ),
    "average pools": lambda: net(
        conv(2, 4),
        nn.ReLU(),
        nn.AvgPool2d(2),
        conv(4, 4),
        nn.ReLU(),
        nn.AvgPool2d(3, stride=1, padding=1),
        conv(4, 2),
    ),
    "classifier": lambda: net(
        conv(2, 4),
        nn.ReLU(),
        nn.AvgPool2d(4),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(4 * 16, 8),
        nn.ReLU(),
        nn.Linear(8, 5),
    ),
    "adaptive pool and views": lambda: Calls(
        lambda m, x: m.fc(
            functional.adaptive_avg_pool2d(m.c(x).relu(), 1).view(x.size(0), -1)
        ),
        c=conv(2, 6),
        fc=nn.Linear(6, 3),
    ),
    "mean over height and width": lambda: Calls(
        lambda m, x: m.fc(m.c(x).relu().mean((2, 3))), c=conv(2, 6), fc=nn.Linear(6, 3)
    ),
    "autoencoder with a Linear bottleneck": lambda: net(
        conv(2, 4, stride=4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 6),
        nn.ReLU(),
        nn.Linear(6, 64),
        nn.ReLU(),
        nn.Unflatten(1, (4, 4, 4)),
        nn.ConvTranspose2d(4, 2, 4, stride=4),
    ),
    "additions and subtractions": lambda: Calls(
        lambda m, x: m.last((m.a(x).relu() - 0.5 * m.b(x).relu() + 0.1).relu()),
        a=conv(2, 4),
        b=conv(2, 4, 1),
        last=conv(4, 2),
    ),
    "residual blocks": lambda: Calls(
        lambda m, x: m.last((m.b(m.a(y := m.first(x).relu()).relu()) + y).relu()),
        first=conv(2, 4),
        a=conv(4, 4),
        b=conv(4, 4),
        last=conv(4, 2),
    ),
    "linear bottlenecks": lambda: Calls(
        lambda m, x: m.last(m.c(m.b(y := m.a(x)).relu()) + y),
        a=net(conv(2, 8), nn.ReLU(), conv(8, 3, 1), nn.BatchNorm2d(3)),
        b=conv(3, 8, 1),
        c=net(conv(8, 3, 1), nn.BatchNorm2d(3)),
        last=conv(3, 2),
    ),
    "zero and constant padding, crops": lambda: net(
        nn.ZeroPad2d((1, 0, 2, 1)),
        nn.Conv2d(2, 4, 3),
        nn.ReLU(),
        nn.ConstantPad2d(1, 0.7),
        nn.Conv2d(4, 4, 3),
        nn.ReLU(),
        nn.ZeroPad2d(-1),
        conv(4, 2),
    ),
    "slices of channels": lambda: Calls(
        lambda m, x: m.last(
            torch.cat([(y := m.a(x))[:, 2:], y[:, :2].relu(), y.chunk(2, 1)[0]], 1)
        ),
        a=conv(2, 4),
        last=net(conv(6, 4), nn.ReLU(), conv(4, 2)),
    ),
    "nearest upsampling": lambda: net(
        conv(2, 4, stride=2), nn.ReLU(), nn.Upsample(scale_factor=2), conv(4, 2)
    ),
    "nearest upsampling of a signed value": lambda: net(
        conv(2, 4, stride=2), nn.Upsample(scale_factor=2), nn.ReLU(), conv(4, 2)
    ),
    "pixel shuffle at the output": lambda: net(
        conv(2, 6), nn.ReLU(), conv(6, 8), nn.PixelShuffle(2)
    ),
    "pixel unshuffle and shuffle": lambda: net(
        nn.PixelUnshuffle(2), conv(8, 8), nn.ReLU(), nn.PixelShuffle(2), conv(2, 2)
    ),
    "a residual from the input": lambda: Calls(
        lambda m, x: x - m.body(x), body=net(conv(2, 6), nn.ReLU(), conv(6, 2))
    ),
    "a sum with the input": lambda: Calls(
        lambda m, x: m.body(x) + x, body=net(conv(2, 6), nn.ReLU(), conv(6, 2))
    ),
    "in place": lambda: Calls(
        lambda m, x: m.last(m.a(x).relu_().add_(0.5).mul_(2)),
        a=conv(2, 4),
        last=conv(4, 2, 1),
    ),
    "two ReLUs at the end": lambda: net(
        conv(2, 4), nn.ReLU(), conv(4, 2), nn.ReLU(inplace=True), nn.ReLU()
    ),
    "maximum of two branches": lambda: Calls(
        lambda m, x: m.last(torch.maximum(m.a(x), m.b(x))),
        a=conv(2, 4),
        b=conv(2, 4, 1),
        last=conv(4, 2),
    ),
}
