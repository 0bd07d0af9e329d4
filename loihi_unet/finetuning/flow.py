# SPDX-License-Identifier: BSD-3-Clause
"""Integers forward, accumulated spiking flow backward.

arXiv 2307.10974, Algorithm 1 and eq. (9)-(12): gradients flow through what a layer
sends in all T steps together, so the graph holds one step whatever T is. Here the
forward pass is the integer network that `export.lowering` writes. In the graph stand

- the rounded weights and biases, whose gradient goes to the float ones unchanged
  (straight-through estimator, arXiv 1308.3432);
- a layer's mean value over the steps, ``q * sum of g / T``, with the gradient of
  ``clamp(mean drive, 0, q * (2**N - 1))``. The mean drive holds the bias once per
  step, as the network does.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from export.compartment import MTIF
from export.lowering import lower
from export.network import Connection as IntegerConnection
from export.network import Layer as IntegerLayer
from export.synapse import AveragePool
from export.units import gains, payload_unit, per_row, threshold_unit
from loihi_unet.finetuning.exact_sums import (
    check_potential,
    check_sums,
    first_overflow,
    in_exact_dtype,
    integer_sums,
)
from loihi_unet.networks.topology import INPUT
from loihi_unet.spiking.run_float import synapse
from loihi_unet.spiking.spiking_unet import Layer, SpikingUNet
from sim.backend import OverflowLayerError
from sim.torch.exact import exact_arithmetic


class IntegerUNet:
    """The integer network of a Spiking-UNet, on batches and with gradients.

    Parameters
    ----------
    snn : SpikingUNet
        Settled by `export.theta.settle`, on the CPU. Gradients go to those of its
        weights and biases that require them.
    observe : callable, optional
        Called with each spiking layer's name and payloads, shape (T, B, C, H, W).
    """

    def __init__(
        self,
        snn: SpikingUNet,
        observe: Callable[[str, Tensor], None] | None = None,
    ) -> None:
        self.snn = snn
        self.observe = observe
        #: Largest potential that each layer has had.
        self.peaks: dict[str, int] = {}
        self.network = lower(snn, *snn.example_size)

    @exact_arithmetic()
    def __call__(self, x: Tensor) -> Tensor:
        """Run the network.

        Parameters
        ----------
        x : Tensor, shape (B, in_channels, H, W), float32
            On any device, where the network then runs. Integer gray levels divided by
            255; sides fit the network.

        Returns
        -------
        Tensor, shape (B, out_channels, H, W), float32
            What the output accumulator means; float32 holds it to 2**-24.

        Raises
        ------
        OverflowLayerError
            If a sum or a potential leaves 24 bits signed; names the place that every
            backend names.
        """
        x = self.snn.frame.completed(x, self.snn.in_channels)
        try:
            return self._run(x)
        except OverflowLayerError as error:
            raise first_overflow(self.network, x) or error from None

    def _run(self, x: Tensor) -> Tensor:
        # Payloads (T, B, C, H, W), T = 1 for the picture; their mean value (1, ...).
        sent = {INPUT: torch.round(x.detach() * 255)[None]}
        means = {INPUT: x[None]}
        last_use = {
            c.source: layer.name for layer in self.snn.layers for c in layer.connections
        }
        for layer, lowered in zip(self.snn.layers, self.network.layers, strict=True):
            with torch.no_grad():
                current = self._current(layer, lowered, sent)
                payload = _integrate(lowered, current, self.snn.num_steps, self.peaks)
            means[layer.name] = self._flow(layer, lowered, means, payload)
            sent[layer.name] = payload
            if layer.spiking and self.observe is not None:
                self.observe(layer.name, payload)
            for source in [c.source for c in layer.connections]:
                if last_use[source] == layer.name:
                    del sent[source], means[source]
        return means[self.snn.layers[-1].name][0]

    def _current(
        self, layer: Layer, lowered: IntegerLayer, sent: dict[str, Tensor]
    ) -> Tensor:
        """Input of every step, shape (T or 1, B, C, H, W), integers in float32."""
        bias = torch.from_numpy(lowered.compartment.bias.effective())
        device = next(iter(sent.values())).device
        parts = [bias.float().to(device)[:, None, None]]
        for c, integer in zip(layer.connections, lowered.connections, strict=True):
            magnitude = self.network.nodes[c.source].magnitude
            value = in_exact_dtype(sent[c.source], integer, magnitude, layer.name)
            sums = integer_sums(c.kind, integer, value)
            check_sums(sums, integer, magnitude, layer.name)
            parts.append(sums.float())
        return reduce(torch.add, parts)

    def _flow(
        self,
        layer: Layer,
        lowered: IntegerLayer,
        means: dict[str, Tensor],
        payload: Tensor,
    ) -> Tensor:
        """Mean value of the layer: the integers', with the flow's gradient."""
        assert layer.quantisation is not None  # SpikingUNet was settled
        gain = torch.from_numpy(gains(layer.quantisation))
        q = self.snn.base_threshold
        parts = []
        for c, integer in zip(layer.connections, lowered.connections, strict=True):
            weight = c.weight
            if weight is not None:
                unit = gain * payload_unit(layer, c.source, q)
                weight = _substitute(_shifted(integer) / per_row(unit, c), weight)
            parts.append(synapse(replace(c, weight=weight), means[c.source]))
        if layer.bias is not None:
            unit = gain / threshold_unit(layer, q)
            rounded = torch.from_numpy(lowered.compartment.bias.effective()) / unit
            parts.append(_substitute(rounded, layer.bias).to(payload)[:, None, None])
        drive = reduce(torch.add, parts)
        if not layer.spiking:
            # payload is the accumulator after T steps.
            assert not isinstance(lowered.scale, tuple)  # the last layer's
            return _substitute(payload * (lowered.scale / self.snn.num_steps), drive)
        top = q * self.snn.payload_maximum(layer.name)
        mean = payload.mean(dim=0, keepdim=True) * q
        return _substitute(mean, drive.clamp(0, top))


def _substitute(value: Tensor, gradient: Tensor) -> Tensor:
    """Value of the first with the gradient of the second."""
    return value.to(gradient) + (gradient - gradient.detach())


def _shifted(connection: IntegerConnection) -> Tensor:
    """Effective weights ``mantissa << weight_exp``, float64."""
    assert not isinstance(connection.synapse, AveragePool)
    weight = connection.synapse.weight.astype(np.float64) * 2**connection.weight_exp
    return torch.from_numpy(weight)


def _integrate(
    layer: IntegerLayer, current: Tensor, num_steps: int, peaks: dict[str, int]
) -> Tensor:
    """Payloads of all steps, (T, B, C, H, W), or the accumulator, (1, B, C, H, W)."""
    steps = current.expand(num_steps, *current.shape[1:])
    v = torch.zeros_like(steps[0])
    theta = None
    if isinstance(layer.compartment, MTIF):
        vth = layer.compartment.vth_mant.astype(np.float32)
        theta = torch.from_numpy(vth).to(v)[:, None, None]
    payloads = []
    for step, drive in enumerate(steps):
        v = v + drive
        low, high = check_potential(v, layer.name, step)
        peaks[layer.name] = max(peaks.get(layer.name, 0), -low, high)
        match layer.compartment:
            case MTIF(payload_maximum=top):
                assert theta is not None
                # 24 bits by 17: float64 holds the quotient well enough to floor it.
                g = (v.double() / theta).floor_().clamp_(0, top).float()
                v = v - g * theta
                payloads.append(g)
    return torch.stack(payloads) if payloads else v[None]
