# SPDX-License-Identifier: BSD-3-Clause
"""Pictures that climb towards channels which no picture has made fire.

The network is taken as a smooth one: a neuron sends its input over its threshold at
every step, clamped to its largest payload, in floating point, and the picture follows
the gradient of the wanted channel's potential. Nothing here decides an integer: what
a picture exercises is counted from what the backends give for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import assert_never

from export.compartment import MTIF
from export.network import Connection, Layer, Network
from export.synapse import AveragePool, Conv, ConvTranspose

Pictures = npt.NDArray[np.int32]
Heights = npt.NDArray[np.float32]
Target = tuple[str, int]  # (layer, channel)
Bools = npt.NDArray[np.bool_]
Places = Mapping[Target, Bools]

#: Steps of one climb.
STEPS = 40
#: Lengths of the first step in shares of the input's range, of the pictures in turn:
#: short ones keep what a picture has, long ones leave it.
STRIDES = (0.006, 0.05)
#: Adam's decays, of the mean slope and of its square.
SPEED, POWER = 0.9, 0.99
#: A neuron that is silent or saturated passes on this share of the gradient.
LEAK = 0.1
#: A channel is there once it has this many times the input that makes it fire once.
ENOUGH = 2.0

#: Of a pool, which has none of its own.
_NO_WEIGHT = torch.zeros(0)


class Climber:
    """A network in floating point, for the gradients of its pictures.

    Parameters
    ----------
    network : Network
        In windows.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._weights = {
            (layer.name, index): torch.from_numpy(
                np.ldexp(c.synapse.weight.astype(np.float32), c.weight_exp)
            )
            for layer in network.layers
            for index, c in enumerate(layer.connections)
            if not isinstance(c.synapse, AveragePool)
        }

    @torch.inference_mode(False)
    def climb(
        self, pictures: Pictures, target: Target, where: Bools | None
    ) -> Pictures | None:
        """Change pictures until one of them makes a channel fire.

        Parameters
        ----------
        pictures : ndarray, shape (n, C, H, W), int32
            Where to begin.
        target : tuple of (str, int)
            Layer and channel.
        where : ndarray of bool, shape (H, W), or None
            Where the channel has to fire; None: anywhere but at the border.

        Returns
        -------
        ndarray, shape (C, H, W), int32, or None
            Within the input's declared range; None if none came there in `STEPS`.
        """
        source = self._network.input
        low, high = source.minimum, source.maximum
        x = torch.from_numpy(pictures.astype(np.float32))
        speed, power = torch.zeros_like(x), torch.zeros_like(x)
        strides = [STRIDES[i % len(STRIDES)] for i in range(len(pictures))]
        first = torch.tensor(strides)[:, None, None, None] * (high - low)
        with torch.set_grad_enabled(True), torch.autocast("cpu", enabled=False):
            for step in range(STEPS):
                x.requires_grad_(True)
                height = self._height(x, target, where)
                (slope,) = torch.autograd.grad(height.sum(), x)
                x, best = x.detach(), int(height.argmax())
                if float(height[best].detach()) >= ENOUGH:
                    there: Pictures = x[best].round().numpy().astype(np.int32)
                    return there
                # Adam, each picture's slope in units of its own mean.
                usual = slope.abs().mean(dim=(1, 2, 3), keepdim=True).clamp_min(1e-12)
                slope = slope / usual
                speed = SPEED * speed + (1 - SPEED) * slope
                power = POWER * power + (1 - POWER) * slope**2
                mean = speed / (1 - SPEED ** (step + 1))
                scale = (power / (1 - POWER ** (step + 1))).sqrt() + 1e-3
                x = x + first * (1 - step / STEPS) * mean / scale
                x = x.clamp(low, high)
        return None

    @torch.inference_mode()
    def heights(self, picture: Pictures, places: Places) -> dict[str, Heights]:
        """How close a picture brings all channels to firing.

        Parameters
        ----------
        picture : ndarray, shape (C, H, W), int32
            Within the input's declared range.
        places
            Where a channel has to fire; of others, anywhere but at the border.

        Returns
        -------
        dict of str to ndarray, shape (C,), float32
            Of each layer but accumulators, in shares of the input that makes a channel
            fire once.
        """
        x = torch.from_numpy(picture[None].astype(np.float32))
        with torch.autocast("cpu", enabled=False):
            by_layer = {}
            for name, drive in self._drives(x):
                best = self._best(drive)[0].numpy()
                for layer, channel in places:
                    if layer == name:
                        where = places[layer, channel]
                        best[channel] = self._best_at(drive[:, channel], where)[0]
                by_layer[name] = best
            return by_layer

    def _height(self, x: Tensor, target: Target, where: Bools | None) -> Tensor:
        """How far each picture has brought the channel."""
        name, channel = target
        drive = next(drive for layer, drive in self._drives(x) if layer == name)
        if where is None:
            return self._best(drive)[:, channel]
        return self._best_at(drive[:, channel], where)

    def _best(self, drive: Tensor) -> Tensor:
        return _inside(drive).amax(dim=(2, 3)) * self._network.num_steps

    def _best_at(self, drive: Tensor, where: Bools) -> Tensor:
        """Of drives of shape (n, H, W)."""
        there: Tensor = drive[:, torch.from_numpy(where)].amax(dim=1)
        return there * self._network.num_steps

    def _drives(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Input of each layer at every step, in shares of its lowest threshold."""
        sent = {self._network.input.name: x}
        for layer in self._network.layers:
            compartment = layer.compartment
            if not isinstance(compartment, MTIF):
                continue
            theta = torch.from_numpy(compartment.vth_mant.astype(np.float32))
            drive = self._drive(layer, sent) / theta[:, None, None]
            sent[layer.name] = self._rate(drive, compartment.payload_maximum)
            yield layer.name, drive

    def _rate(self, drive: Tensor, maximum: int) -> Tensor:
        """Mean payload of a window with that input at every step."""
        steps = self._network.num_steps
        clamped = drive.clamp(0, maximum)
        passed = clamped + LEAK * (drive - drive.detach())
        whole = (clamped * steps).floor() / steps
        return passed + (whole - clamped).detach()

    def _drive(self, layer: Layer, sent: Mapping[str, Tensor]) -> Tensor:
        bias = layer.compartment.bias.effective().astype(np.float32)
        total = torch.from_numpy(bias)[None, :, None, None]
        for index, c in enumerate(layer.connections):
            weight = self._weights.get((layer.name, index), _NO_WEIGHT)
            total = total + _sums(c, weight, sent[c.source])
        return total


def _sums(c: Connection, weight: Tensor, x: Tensor) -> Tensor:
    match c.synapse:
        case Conv(stride=stride, padding=padding, dilation=dilation, groups=groups):
            return functional.conv2d(x, weight, None, stride, padding, dilation, groups)
        case ConvTranspose(stride=stride, padding=padding, output_padding=more):
            return functional.conv_transpose2d(x, weight, None, stride, padding, more)
        case AveragePool(kernel_size=window, weight_mant=mant):
            scale = window[0] * window[1] * mant << c.weight_exp
            return functional.avg_pool2d(x, window) * scale
        case _:
            assert_never(c.synapse)


def _inside(drive: Tensor) -> Tensor:
    """Without the border, where a channel meets only some of the taps that read it."""
    rows, columns = drive.shape[2:]
    top, left = int(rows > 2), int(columns > 2)
    return drive[:, :, top : rows - top, left : columns - left]
