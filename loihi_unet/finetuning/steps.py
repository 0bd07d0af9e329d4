# SPDX-License-Identifier: BSD-3-Clause
"""The integer network with gradients through all of its steps.

What is trained are the trained network's own weights and biases, in its own unit, and
the logarithm of every threshold. They are folded into a `SpikingUNet`, settled and
lowered anew for each pass, so forward runs the very integers that are exported, each
row of weights filling its 8 bits. Backward,

- rounding passes gradients unchanged (straight-through, arXiv 1308.3432);
- the staircase of a neuron has the slope of its middle line, from half a threshold to
  half a threshold beyond its last, and a reset passes gradients too;
- a threshold learns from both sides, the payloads it makes and what they mean to the
  layers that read them: the learned step size of arXiv 1902.08153. Its gradient scale
  is a ratio of step sizes here, `THRESHOLD_RATE`: Adam divides any other away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import reduce

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from export.compartment import MTIF
from export.lowering import lower
from export.network import Connection as IntegerConnection
from export.network import Layer as IntegerLayer
from export.synapse import AveragePool, Conv
from export.theta import settle
from export.units import PIXEL_SCALE, gains, per_row
from loihi_unet.finetuning.exact_sums import (
    always_fits,
    check_potential,
    check_sums,
    convolved,
    first_overflow,
    in_exact_dtype,
    integer_sums,
)
from loihi_unet.finetuning.folding import fold, pools
from loihi_unet.finetuning.integrate import integrate
from loihi_unet.networks.topology import INPUT
from loihi_unet.spiking.run_float import synapse
from loihi_unet.spiking.spiking_unet import Connection, Layer, SpikingUNet
from loihi_unet.spiking.synapse import columns, relative_sides
from sim.backend import OverflowLayerError
from sim.torch.exact import exact_arithmetic

#: Step size of a threshold's logarithm, per step size of a weight.
THRESHOLD_RATE = 3.0
#: Payloads up to this share of the largest are pushed towards silence by activity.
FEW = 1 / 16
#: Layers of which a backward pass recomputes one piece at a time.
PIECE = 5


class StepsUNet:
    """The integer network of trained parameters, on batches and with gradients.

    Parameters
    ----------
    template : SpikingUNet
        As in `fold`.
    parameters : Mapping[str, Tensor]
        As from `unfold`, on the device where the network is to run.
    recompute : bool
        Keep what is alive between pieces of `PIECE` layers only, and compute the rest
        again in the backward pass: less memory, a third more time.

    Attributes
    ----------
    activity : Tensor
        After a call: share of the synaptic operations that a step would need if every
        neuron sent something, averaged over the steps, with gradients.
    """

    def __init__(
        self,
        template: SpikingUNet,
        parameters: Mapping[str, Tensor],
        *,
        recompute: bool = False,
    ) -> None:
        self.template = template
        self.parameters = parameters
        self.recompute = recompute
        self.snn = settle(fold(template, parameters))
        self.network = lower(self.snn, *self.snn.example_size)
        self.operations = _operations(self.snn)
        self.activity = torch.zeros(())

    @exact_arithmetic()
    def __call__(self, x: Tensor) -> Tensor:
        """Run the network.

        Parameters
        ----------
        x : Tensor, shape (B, in_channels, H, W), float32
            Integer gray levels divided by 255; sides fit the network.

        Returns
        -------
        Tensor, shape (B, out_channels, H, W), float32
            What the output accumulator means.

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
        sent = {INPUT: torch.round(x.detach() * 255)[None]}
        events = x.new_zeros(())
        layers = list(zip(self.snn.layers, self.network.layers, strict=True))
        size = PIECE if self.recompute else len(layers)
        for start in range(0, len(layers), size):
            piece = layers[start : start + size]
            needed = {
                c.source
                for layer, _ in layers[start + size :]
                for c in layer.connections
            }
            if self.recompute:
                sent, events = checkpoint(
                    self._piece, piece, sent, events, use_reentrant=False
                )
            else:
                sent, events = self._piece(piece, sent, events)
            last = sent[layers[min(start + size, len(layers)) - 1][0].name]
            sent = {name: value for name, value in sent.items() if name in needed}
        self.activity = events / (
            self.template.num_steps * sum(self.operations.values())
        )
        output: Tensor = last[0]
        return output

    def _piece(
        self,
        piece: list[tuple[Layer, IntegerLayer]],
        sent: dict[str, Tensor],
        events: Tensor,
    ) -> tuple[dict[str, Tensor], Tensor]:
        sent = dict(sent)
        steps = self.template.num_steps
        for layer, lowered in piece:
            if not layer.spiking:
                if not always_fits(self.network, lowered):
                    self._check_accumulator(layer, lowered, sent)
                # Linear: the sum of all steps goes through it once.
                total = {
                    c.source: sent[c.source].sum(dim=0, keepdim=True)
                    * (steps // len(sent[c.source]))
                    for c in layer.connections
                }
                v = self._drive(layer, lowered, total, steps).float()
                sent[layer.name] = v * (lowered.unit.item() / steps)
                continue
            drive = self._drive(layer, lowered, sent, 1)
            assert isinstance(lowered.compartment, MTIF)
            theta = torch.from_numpy(lowered.compartment.vth_mant.astype(np.float32))
            payload = integrate(
                drive.expand(steps, *drive.shape[1:]),
                theta.to(drive)[:, None, None],
                lowered.compartment.num_thresholds,
                None if always_fits(self.network, lowered) else layer.name,
            )
            sent[layer.name] = payload
            share = _messages(payload, lowered.compartment.payload_maximum)
            events = events + share * self.operations[layer.name]
        return sent, events

    def _drive(
        self, layer: Layer, lowered: IntegerLayer, sent: dict[str, Tensor], steps: int
    ) -> Tensor:
        """What arrives at every step, or in all of them; integers in floats."""
        rows = self._row_factor(layer)
        parts = []
        for c, integer in zip(layer.connections, lowered.connections, strict=True):
            magnitude = self.network.nodes[c.source].magnitude
            value = in_exact_dtype(
                sent[c.source], integer, steps * magnitude, layer.name
            )
            sums = self._sums(layer, c, integer, value, rows)
            if steps == 1:
                check_sums(sums, integer, magnitude, layer.name)
                sums = sums.float()
            parts.append(sums)
        if layer.bias is not None:
            smooth = self.parameters[f"{layer.name}.bias"] * rows
            exact = torch.from_numpy(lowered.compartment.bias.effective()).to(smooth)
            bias = exact + (smooth - smooth.detach())
            parts.append(steps * bias[:, None, None])
        return reduce(torch.add, parts)

    def _sums(
        self,
        layer: Layer,
        c: Connection,
        integer: IntegerConnection,
        value: Tensor,
        rows: Tensor,
    ) -> Tensor:
        """What a connection delivers, with gradients of its trained weights."""
        if c.weight is None:
            return integer_sums(c.kind, integer, value)
        assert not isinstance(integer.synapse, AveragePool)  # has no weight
        trained = self.parameters[f"{layer.name}.weight.{c.source}"]
        factor = columns(self._column_factor(c.source, trained), c)
        smooth = trained * factor * per_row(rows, c)
        exact = torch.from_numpy(
            integer.synapse.weight.astype(np.float32) * 2**integer.weight_exp
        )
        weight = exact.to(smooth) + (smooth - smooth.detach())
        if isinstance(integer.synapse, Conv):
            return convolved(integer.synapse, value, weight)
        with torch.no_grad():
            sums = integer_sums(c.kind, integer, value)
        flow = synapse(replace(c, weight=weight), value)
        return sums + (flow - flow.detach())

    @torch.no_grad()
    def _check_accumulator(
        self, layer: Layer, lowered: IntegerLayer, sent: dict[str, Tensor]
    ) -> None:
        """Go through all steps of a layer that is otherwise computed in one."""
        drive = self._drive(layer, lowered, sent, 1)
        v = torch.zeros_like(drive[0])
        for step, x in enumerate(
            drive.expand(self.template.num_steps, *drive.shape[1:])
        ):
            v += x
            check_potential(v, layer.name, step)

    def _threshold(self, name: str) -> Tensor:
        layer = self.template.layer(name)
        if pools(layer):
            name = layer.connections[0].source
        threshold: Tensor = self.parameters[f"{name}.threshold"].exp()
        return threshold

    def _row_factor(self, layer: Layer) -> Tensor:
        """Integers per unit of the trained network, for each row."""
        assert layer.quantisation is not None  # settled in __init__
        gain = torch.from_numpy(gains(layer.quantisation))
        if not layer.spiking:
            device = next(iter(self.parameters.values())).device
            return gain.float().to(device)
        threshold = self._threshold(layer.name)
        rows: Tensor = gain.to(threshold) / threshold
        return rows

    def _column_factor(self, source: str, like: Tensor) -> Tensor:
        """What one unit of a source's payload means."""
        if source == INPUT:
            return torch.full((1,), PIXEL_SCALE).to(like)
        return self._threshold(source)


def _messages(payload: Tensor, top: int) -> Tensor:
    """Messages per neuron; gradients push payloads of few levels towards 0."""
    few = max(1.0, top * FEW)
    smooth = (payload / few).clamp(max=1).sum(dim=0).mean()
    count = (payload.detach() > 0).sum(dim=0).to(payload).mean()
    return count + (smooth - smooth.detach())


def _operations(snn: SpikingUNet) -> dict[str, float]:
    """Synaptic operations of each layer if all its neurons sent something once.

    Per pixel of the picture.
    """
    sides = relative_sides(snn.layers)
    areas = {name: float(math.prod(pair)) for name, pair in sides.items()}
    operations = {layer.name: 0.0 for layer in snn.layers if layer.spiking}
    channels = {layer.name: layer.channels for layer in snn.layers}
    for layer in snn.layers:
        for c in layer.connections:
            if c.source == INPUT:
                continue
            neurons = channels[c.source] * areas[c.source]
            taps = 1 if c.weight is None else c.weight.shape[2] * c.weight.shape[3]
            leaving = 1 if c.weight is None else layer.channels // c.place.groups
            skipped = math.prod(c.place.stride) if c.kind == "conv" else 1
            operations[c.source] += neurons * taps * leaving / skipped
    return operations
