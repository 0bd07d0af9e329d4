# SPDX-License-Identifier: BSD-3-Clause
"""The window of some images in torch, one layer after the other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from export.compartment import MTIF
from export.facts import STATE
from export.network import Network
from sim.overflow import check_range
from sim.recording import Payload, payload_dtype
from sim.torch.compartment import Potential, payload_tensor_dtype
from sim.torch.mappings import MappedPotential
from sim.torch.plan import PreparedConnection, PreparedLayer
from sim.torch.sent import Sent

#: Sums held at once, in values. Blocks of steps this small are recycled by the
#: allocator instead of being mapped anew. A GPU wants more at once; there the windows
#: of a 3x3 convolution take up to 18 bytes per sum (`MatmulConv`), so 1.2 GB.
BLOCK = 2**21
BLOCK_CUDA = 2**26


class Window:
    """T steps of some images: what the layers that are still read have sent.

    Parameters
    ----------
    network : Network
        What runs.
    images : ndarray, shape (images, C, H, W)
        Payloads of the input.
    device : torch.device
        Where to run.
    end : int or None
        Time step of the chip, of a window's own, at which to end; None: never.
    """

    def __init__(
        self,
        network: Network,
        images: Payload,
        device: torch.device,
        end: int | None = None,
    ) -> None:
        self.num_steps = network.num_steps
        self.stages = network.stages
        self.end = end
        self.images = len(images)
        self.device = device
        self.last_readers: Mapping[str, str] = {
            c.source: layer.name for layer in network.layers for c in layer.connections
        }
        # A signed input must not be taken for uint8.
        source = network.input
        signed = source.minimum < 0
        dtype = torch.int32 if signed else payload_tensor_dtype(source.maximum)
        pixels = torch.from_numpy(np.array(images)).to(device, dtype)
        pixels = pixels.permute(0, 2, 3, 1)[None].contiguous()
        self.sent = {source.name: Sent.of_payload(pixels)}

    def run(self, prepared: PreparedLayer) -> Tensor | None:
        """Run all steps of a layer; return an accumulator's output (images, C, H, W).

        Raises
        ------
        OverflowLayerError
            If a sum or potential leaves 24 bits signed.
        """
        layer = prepared.layer
        counting = prepared.counting
        if counting is not None and self.end is None:
            sent = [self.sent[name] for name in counting.sources]
            if counting.suits(sent):
                self.sent[layer.name] = counting.run(sent)
                return None
        return self._integrate(prepared)

    def _integrate(self, prepared: PreparedLayer) -> Tensor | None:
        """Run all steps of a layer through its potentials."""
        layer = prepared.layer
        channels, height, width = layer.shape
        pixels = self.images * height * width
        potential = self._potential(prepared, (pixels, channels))
        num_steps = self._num_steps(layer.name)
        payload = None
        if prepared.firing is not None:
            payload = torch.empty(
                (num_steps, self.images, height, width, channels),
                dtype=payload_tensor_dtype(layer.magnitude),
                device=self.device,
            )
            self.sent[layer.name] = Sent.of_payload(payload)
        block = BLOCK if self.device.type == "cpu" else BLOCK_CUDA
        stride = max(1, block // (pixels * channels))
        constant: Tensor | None = None
        for first in range(0, num_steps, stride):
            steps = range(first, min(first + stride, num_steps))
            constant, current = self._sums(prepared, steps, constant)
            sent = None
            if payload is not None:
                sent = payload[first : steps.stop].flatten(1, 3)
            potential.run(current.flatten(1, 3), steps, sent)
        if payload is not None:
            return None
        assert isinstance(potential, Potential)  # an accumulator has no mapping
        output = potential.accumulated().view(self.images, height, width, channels)
        return output.permute(0, 3, 1, 2)

    def _num_steps(self, layer: str) -> int:
        if self.end is None:
            return self.num_steps
        return min(self.num_steps, max(0, self.end - self.stages[layer]))

    def _potential(
        self, prepared: PreparedLayer, shape: tuple[int, int]
    ) -> Potential | MappedPotential:
        """Compartments of a layer at the start of a window."""
        layer = prepared.layer
        compartment = layer.compartment
        if isinstance(compartment, MTIF) and compartment.mapping != "graded":
            return MappedPotential(layer.name, compartment, shape, self.device)
        return Potential(
            layer.name,
            shape,
            firing=prepared.firing,
            dtype=prepared.dtype,
            device=self.device,
            check=prepared.check,
            last=self._num_steps(layer.name) - 1,
            tell=self.end is not None,
        )

    def _sums(
        self, prepared: PreparedLayer, steps: range, constant: Tensor | None
    ) -> tuple[Tensor | None, Tensor]:
        """Sums and bias of constant connections, and of all, (steps, images, H, W, C).

        What does not change over a window is summed once, with the first steps, and
        given back then. Connections are checked in their order.
        """
        parts: dict[bool, Tensor] = {}
        for number, c in enumerate(prepared.connections):
            if c.constant and constant is not None:
                continue
            arrived = self._arrived(c, prepared, range(1) if c.constant else steps)
            # The bias belongs to the first connection, wherever that is.
            bias = prepared.bias if number == 0 else None
            if c.constant in parts:
                arrived = parts[c.constant].add_(arrived)
            parts[c.constant] = arrived if bias is None else arrived.add_(bias)
        if True in parts:
            constant = self._pixels(parts[True])
        if False not in parts:
            assert constant is not None  # a layer has a connection
            return constant, constant.expand(len(steps), -1, -1, -1, -1)
        current = self._pixels(parts[False])
        return constant, current if constant is None else current.add_(constant)

    def _pixels(self, sums: Tensor) -> Tensor:
        """(steps * images, C, H, W) to (steps, images, H, W, C)."""
        pixels = sums.permute(0, 2, 3, 1)
        return pixels.reshape(-1, self.images, *pixels.shape[1:])

    def _arrived(
        self, c: PreparedConnection, prepared: PreparedLayer, steps: range
    ) -> Tensor:
        payload = self.sent[c.source].payload[steps.start : steps.stop].flatten(0, 1)
        sums = c.sums(payload.permute(0, 3, 1, 2))
        if c.check:
            _check_sums(sums, self.images, prepared.layer.name, steps, c.source)
        return sums

    def recorded(self, prepared: PreparedLayer) -> Payload:
        """Payload of a layer as (images, T, C, H, W)."""
        layer = prepared.layer
        payload = self.sent[layer.name].payload.permute(1, 0, 4, 2, 3).cpu().numpy()
        dtype = payload_dtype(layer.magnitude)
        return np.ascontiguousarray(payload).astype(dtype, copy=False)

    def forget(self, reader: str) -> None:
        """Drop the payloads that nobody after ``reader`` reads."""
        for name in list(self.sent):
            if self.last_readers.get(name, name) == reader:
                del self.sent[name]


def _check_sums(
    sums: Tensor, images: int, layer: str, steps: range, source: str
) -> None:
    low, high = (int(x) for x in torch.aminmax(sums))
    if STATE.contains(low, high):
        return
    outside = (sums < STATE.minimum) | (sums > STATE.maximum)
    first = int(outside.flatten(1).any(dim=1).int().argmax()) // images
    check_range((low, high), layer, steps[first], f"input from '{source}'")
