# SPDX-License-Identifier: BSD-3-Clause
"""The same integers in torch, layer by layer, on CPU or CUDA.

A window needs no clock: with aligned delays, algorithm step t of a layer uses
step t of its sources, so a layer runs all its T steps before the next one begins,
many steps in one batch. The input is constant over a window, so a connection from
it is computed once.

Exactness is argued in `sim.torch.exact` (sums) and `sim.torch.compartment`
(closed form); `sim.torch.plan` chooses the arithmetic from static bounds.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from export.compartment import MTIF
from export.facts import STATE
from export.network import Network
from export.stock_network import Stream
from sim import stock_run
from sim.backend import BackendError, OverflowLayerError, Progress
from sim.recording import Payload, Recording, payload_dtype, recordable
from sim.torch import stock as torch_stock
from sim.torch.compartment import Potential, payload_tensor_dtype
from sim.torch.exact import exact_arithmetic
from sim.torch.mappings import MappedPotential
from sim.torch.plan import PreparedConnection, PreparedLayer, prepare_network

#: Sums held at once, in values. Blocks of steps this small are recycled by the
#: allocator instead of being mapped anew. A GPU wants more at once; there the windows
#: of a 3x3 convolution take up to 18 bytes per sum (`MatmulConv`), so 1.2 GB.
BLOCK = 2**21
BLOCK_CUDA = 2**26


class TorchSimulator:
    """Layer-by-layer simulation with many steps in the batch.

    Networks are prepared (weights packed, bounds computed) when they first run, and
    stay prepared while they live.

    Parameters
    ----------
    device : str
        ``"cpu"`` or ``"cuda"``.
    batch : int
        Images that run together.

    Raises
    ------
    BackendError
        If the device is missing.
    """

    def __init__(self, device: str = "cpu", batch: int = 1) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise BackendError("backend 'cuda': torch finds no CUDA device here")
        self.name = "torch" if device == "cpu" else device
        self.device = torch.device(device)
        self.batch = batch
        self._prepared: weakref.WeakKeyDictionary[
            Network, tuple[PreparedLayer, ...]
        ] = weakref.WeakKeyDictionary()

    @torch.inference_mode()
    @exact_arithmetic()
    def run(
        self,
        network: Network,
        images: npt.ArrayLike,
        *,
        layers: tuple[str, ...] | None = None,
        progress: Progress | None = None,
    ) -> Recording:
        """Run the images, some at a time; see `sim.backend.Simulator.run`."""
        if isinstance(network, Stream):
            return stock_run.record(
                self.name,
                torch_stock.runner(self.device),
                network,
                images,
                layers,
                progress,
                {"torch": torch.__version__},
            )
        started = time.perf_counter()
        stream = network.input.check(images)
        wanted = recordable(network, layers)
        if network not in self._prepared:
            self._prepared[network] = prepare_network(network, self.device)
        plan = self._prepared[network]
        payloads: dict[str, list[Payload]] = {name: [] for name in wanted}
        outputs: list[Payload] = []
        for first in range(0, len(stream), self.batch):
            window = _Window(network, stream[first : first + self.batch], self.device)
            for number, prepared in enumerate(plan):
                output = window.run(prepared)
                name = prepared.layer.name
                if output is not None:
                    outputs.append(output.cpu().numpy())
                if name in payloads:
                    payloads[name].append(window.recorded(prepared))
                window.forget(name)
                if progress:
                    done = first * len(plan) + window.images * (number + 1)
                    progress(done, len(stream) * len(plan))
        return Recording(
            backend=self.name,
            network_sha256=network.sha256,
            num_steps=network.num_steps,
            steps=tuple(range(network.num_steps)),
            images=stream,
            payloads={name: np.concatenate(p) for name, p in payloads.items()},
            output=np.concatenate(outputs) if outputs else None,
            seconds=time.perf_counter() - started,
            versions={"torch": torch.__version__},
        )


class _Window:
    """T steps of some images: payloads of the layers that are still read.

    A payload has the shape (T, images, H, W, C), that of the input T = 1.
    """

    def __init__(self, network: Network, images: Payload, device: torch.device) -> None:
        self.num_steps = network.num_steps
        self.images = len(images)
        self.device = device
        self.last_readers: Mapping[str, str] = {
            c.source: layer.name for layer in network.layers for c in layer.connections
        }
        # A signed input must not be taken for the int8 that stands for uint8 here.
        source = network.input
        signed = source.minimum < 0
        dtype = torch.int32 if signed else payload_tensor_dtype(source.maximum)
        pixels = torch.from_numpy(np.array(images)).to(device, dtype)
        self.sent = {source.name: pixels.permute(0, 2, 3, 1)[None].contiguous()}

    def run(self, prepared: PreparedLayer) -> Tensor | None:
        """Run all steps of a layer; return an accumulator's output (images, C, H, W).

        Raises
        ------
        OverflowLayerError
            If a sum or potential leaves 24 bits signed.
        """
        layer = prepared.layer
        channels, height, width = layer.shape
        pixels = self.images * height * width
        potential = self._potential(prepared, (pixels, channels))
        payload = None
        if prepared.firing is not None:
            payload = torch.empty(
                (self.num_steps, self.images, height, width, channels),
                dtype=payload_tensor_dtype(layer.magnitude),
                device=self.device,
            )
            self.sent[layer.name] = payload
        block = BLOCK if self.device.type == "cpu" else BLOCK_CUDA
        stride = max(1, block // (pixels * channels))
        constant = self._sum(prepared, range(1), constant=True)
        for first in range(0, self.num_steps, stride):
            steps = range(first, min(first + stride, self.num_steps))
            current = self._sum(prepared, steps, constant=False)
            if current is None:
                assert constant is not None  # a layer has a connection
                current = constant.expand(len(steps), -1, -1, -1, -1)
            elif constant is not None:
                current += constant
            sent = None
            if payload is not None:
                sent = payload[first : steps.stop].flatten(1, 3)
            potential.run(current.flatten(1, 3), steps, sent)
        if payload is not None:
            return None
        assert isinstance(potential, Potential)  # an accumulator has no mapping
        output = potential.accumulated().view(self.images, height, width, channels)
        return output.permute(0, 3, 1, 2)

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
        )

    def _sum(
        self, prepared: PreparedLayer, steps: range, *, constant: bool
    ) -> Tensor | None:
        """Sums and bias of some steps, (steps, images, H, W, C).

        None if no connection is constant, or none is not, as asked for.
        """
        total: Tensor | None = None
        for c in prepared.connections:
            if c.constant == constant:
                arrived = self._arrived(c, prepared, steps)
                total = arrived if total is None else total.add_(arrived)
        if total is None:
            return None
        # The bias belongs to the first connection, wherever that is.
        if prepared.bias is not None and prepared.connections[0].constant == constant:
            total = total.add_(prepared.bias)
        pixels = total.permute(0, 2, 3, 1)
        return pixels.reshape(len(steps), self.images, *pixels.shape[1:])

    def _arrived(
        self, c: PreparedConnection, prepared: PreparedLayer, steps: range
    ) -> Tensor:
        payload = self.sent[c.source][steps.start : steps.stop].flatten(0, 1)
        if payload.dtype == torch.int8:
            payload = payload.view(torch.uint8)
        sums = c.sums(payload.permute(0, 3, 1, 2))
        if c.check:
            _check_sums(sums, self.images, prepared.layer.name, steps, c.source)
        return sums

    def recorded(self, prepared: PreparedLayer) -> Payload:
        """Payload of a layer as (images, T, C, H, W)."""
        layer = prepared.layer
        payload = self.sent[layer.name].permute(1, 0, 4, 2, 3).cpu().numpy()
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
    worst = low if low < STATE.minimum else high
    outside = (sums < STATE.minimum) | (sums > STATE.maximum)
    first = int(outside.flatten(1).any(dim=1).int().argmax()) // images
    raise OverflowLayerError(layer, steps[first], f"input from '{source}' {worst}")
