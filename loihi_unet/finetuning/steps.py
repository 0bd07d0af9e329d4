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
from typing import Any

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
from loihi_unet.networks.topology import INPUT
from loihi_unet.spiking.run_float import synapse
from loihi_unet.spiking.spiking_unet import Connection, Layer, SpikingUNet
from loihi_unet.spiking.synapse import columns, relative_sides
from sim.backend import OverflowLayerError
from sim.torch.compartment import reciprocal_is_exact
from sim.torch.exact import exact_arithmetic

#: Step size of a threshold's logarithm, per step size of a weight.
THRESHOLD_RATE = 3.0
#: Payloads up to this share of the largest are pushed towards silence by activity.
FEW = 1 / 16
#: Layers of which a backward pass recomputes one piece at a time.
PIECE = 5


def unfold(snn: SpikingUNet) -> dict[str, Tensor]:
    """Return what is trained: float32 leaves that require gradients.

    Parameters
    ----------
    snn : SpikingUNet
        Not changed.

    Returns
    -------
    dict[str, Tensor]
        ``<layer>.weight.<source>`` and ``<layer>.bias`` in the trained network's unit,
        ``<layer>.threshold``, the logarithms of the lowest thresholds, shape (1,) or
        (C,). A pool has its source's.
    """
    scales = {INPUT: np.ones(1)}
    parameters: dict[str, Tensor] = {}
    for layer in snn.layers:
        scale = np.atleast_1d(np.asarray(layer.scale, dtype=np.float64))
        scales[layer.name] = scale
        for c in layer.connections:
            if c.weight is not None:
                ratio = _grid(scale, 1 / scales[c.source], c)
                parameters[f"{layer.name}.weight.{c.source}"] = (
                    c.weight.double() * ratio
                )
        if layer.bias is not None:
            parameters[f"{layer.name}.bias"] = layer.bias.double() * torch.from_numpy(
                scale
            )
        if layer.spiking and not _pools(layer):
            logarithm = np.log(scale * snn.base_threshold)
            parameters[f"{layer.name}.threshold"] = torch.from_numpy(logarithm)
    return {
        name: value.detach().float().requires_grad_()
        for name, value in parameters.items()
    }


def fold(template: SpikingUNet, parameters: Mapping[str, Tensor]) -> SpikingUNet:
    """Put trained parameters together to a network that can be exported.

    Parameters
    ----------
    template : SpikingUNet
        Gives all but weights, biases and scales.
    parameters : Mapping[str, Tensor]
        As from `unfold`.

    Returns
    -------
    SpikingUNet
        Not settled: `export.theta` chooses the integers from these floats alone.
    """
    scales: dict[str, np.ndarray[Any, np.dtype[np.float64]]] = {INPUT: np.ones(1)}
    layers = []
    for layer in template.layers:
        scale = np.ones(1)
        if _pools(layer):
            scale = scales[layer.connections[0].source]
        elif layer.spiking:
            logarithm = parameters[f"{layer.name}.threshold"].detach().cpu().double()
            scale = np.exp(logarithm.numpy()) / template.base_threshold
        scales[layer.name] = scale
        connections = []
        for c in layer.connections:
            if c.weight is not None:
                trained = parameters[f"{layer.name}.weight.{c.source}"].detach().cpu()
                ratio = _grid(1 / scale, scales[c.source], c)
                c = replace(c, weight=(trained.double() * ratio).float())
            connections.append(c)
        bias = layer.bias
        if bias is not None:
            trained = parameters[f"{layer.name}.bias"].detach().cpu()
            bias = (trained.double() / torch.from_numpy(scale)).float()
        layers.append(
            replace(
                layer,
                connections=tuple(connections),
                bias=bias,
                scale=tuple(scale.tolist())
                if isinstance(layer.scale, tuple)
                else float(scale[0]),
                quantisation=None,
            )
        )
    return replace(template, layers=tuple(layers))


def _pools(layer: Layer) -> bool:
    return layer.connections[0].kind == "average_pool"


def _grid(rows: Any, sources: Any, connection: Connection) -> Tensor:
    """Numbers of rows times numbers of columns, to multiply weights by; float64."""
    place = np.reshape(rows, (-1, 1, 1, 1))
    if connection.kind == "conv_transpose":
        place = place.transpose(1, 0, 2, 3)
    return torch.from_numpy(place * columns(sources, connection))


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
            payload = _integrate(
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
        if _pools(layer):
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


class _Integrate(torch.autograd.Function):
    """Payloads of all steps; a reset passes gradients."""

    @staticmethod
    def forward(
        ctx: Any, drive: Tensor, theta: Tensor, number: int, watched: str | None
    ) -> Tensor:
        top = (1 << number) - 1
        exact = reciprocal_is_exact(int(theta.max()), number)
        v = torch.zeros_like(drive[0])
        low, high = theta / 2, theta * (top + 0.5)
        payloads = torch.empty_like(drive, memory_format=torch.contiguous_format)
        inside = torch.empty(drive.shape, dtype=torch.bool, device=drive.device)
        reciprocal = 1 / theta
        for step, (x, payload, mask) in enumerate(
            zip(drive, payloads, inside, strict=True)
        ):
            v = v + x
            if watched is not None:
                check_potential(v, watched, step)
            torch.logical_and(v > low, v < high, out=mask)
            if exact:
                # As in `sim.torch.compartment`.
                payload.copy_(v + 0.5).mul_(reciprocal)
            else:
                payload.copy_((v.double() / theta).floor_())
            payload.floor_().clamp_(0, top)
            v = v - payload * theta
        ctx.save_for_backward(inside, reciprocal)
        return payloads

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        inside, reciprocal = ctx.saved_tensors
        (sent,) = gradients
        left = torch.zeros_like(sent[0])
        slopes = torch.empty_like(sent, memory_format=torch.contiguous_format)
        for t in range(len(sent) - 1, -1, -1):
            # v' = v - theta g: where g follows v, nothing of v is left behind.
            left = torch.where(inside[t], sent[t] * reciprocal, left)
            slopes[t] = left
        return slopes, None, None, None


def _integrate(
    drive: Tensor, theta: Tensor, number: int, watched: str | None = None
) -> Tensor:
    """Payloads of all steps; potentials are checked of a layer that is named."""
    payloads: Tensor = _Integrate.apply(drive, theta, number, watched)  # type: ignore[no-untyped-call]
    return payloads
