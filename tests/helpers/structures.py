# SPDX-License-Identifier: BSD-3-Clause
"""Structures of published networks, written down from their printed layer tables."""

from export.fit.link import Link
from export.fit.structure import LayerStructure, Structure


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


class Chain:
    """Builds a chain of layers; ``held`` puts the input on the chip as a layer."""

    def __init__(self, shape, *, held=False):
        self.shape = shape
        self.layers = []
        if held:
            self.layers.append(LayerStructure(name="input", shape=shape, links=()))
        self.source = "input"

    def conv(self, channels, kernel=3, stride=1, padding=1, *, depthwise=False):
        kernel, stride, padding = pair(kernel), pair(stride), pair(padding)
        sides = [
            (n + 2 * p - k) // s + 1
            for n, k, s, p in zip(self.shape[1:], kernel, stride, padding, strict=True)
        ]
        return self._append(channels, tuple(sides), kernel, stride, padding, depthwise)

    def same(self, channels, kernel, stride, *, depthwise=False):
        """Keras' "same" padding, whose odd pixel is at the end."""
        sides = [-(-n // stride) for n in self.shape[1:]]
        total = max((sides[0] - 1) * stride + kernel - self.shape[1], 0)
        kernel, stride, padding = pair(kernel), pair(stride), pair(total // 2)
        return self._append(channels, tuple(sides), kernel, stride, padding, depthwise)

    def dense(self, channels):
        return self.conv(channels, self.shape[1:], 1, 0)

    def _append(self, channels, sides, kernel, stride, padding, depthwise):
        shape = (channels, *sides)
        link = Link(
            source=self.source,
            source_shape=self.shape,
            shape=shape,
            kernel=kernel,
            stride=stride,
            padding=padding,
            groups=channels if depthwise else 1,
            depthwise=depthwise,
        )
        name = f"layer{len(self.layers)}"
        self.layers.append(LayerStructure(name=name, shape=shape, links=(link,)))
        self.source, self.shape = name, shape
        return self

    def structure(self):
        return Structure(tuple(self.layers))


def yolo_kp():
    """lava-dl 0.6.0, tutorials/lava/lib/dl/netx/yolo_kp/run.ipynb, cell 7."""
    net = Chain((3, 448, 448))
    for channels in (16, 32, 64, 128):
        net.conv(channels, stride=2)
    net.conv(256).conv(256, stride=2).conv(512).conv(256, 1, padding=0)
    return net.conv(512).conv(48, 1, padding=0).structure()


def pilotnet(*, held):
    """lava-dl 0.6.0, netx/pilotnet_snn/benchmark.ipynb, cell 5."""
    net = Chain((3, 66, 200), held=held)
    for channels in (24, 36, 48):
        net.conv(channels, stride=2, padding=0)
    net.conv(64, stride=(2, 1), padding=(1, 0)).conv(64, padding=0)
    return net.dense(100).dense(50).dense(10).dense(1).structure()


def mnist_mlp():
    """lava-dl 0.6.0, netx/mnist/run.ipynb: 784-128-64-10."""
    return Chain((784, 1, 1)).dense(128).dense(64).dense(10).structure()


def oxford():
    """lava-dl 0.6.0, netx/oxford/run.ipynb: 200-256-200."""
    return Chain((200, 1, 1)).dense(256).dense(200).structure()


def nxtf_cifar():
    """NxTF, b_image_classification_cifar.ipynb, cell 32; input held on the chip."""
    net = Chain((3, 32, 32), held=True)
    net.same(32, 3, 2).same(32, 3, 1, depthwise=True).same(64, 1, 1)
    net.same(64, 3, 2, depthwise=True).same(128, 1, 1)
    net.same(128, 3, 1, depthwise=True).same(128, 1, 1)
    net.same(128, 3, 2, depthwise=True).same(256, 1, 1)
    net.same(256, 3, 1, depthwise=True).same(256, 1, 1)
    return net.same(256, 2, 2, depthwise=True).dense(10).structure()
