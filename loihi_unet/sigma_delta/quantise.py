# SPDX-License-Identifier: BSD-3-Clause
"""Float graph -> StockNetwork of sigma-delta neurons, calibrated on pictures.

A layer's payload is ``floor(sum(weight * payload) / 64)``, 0 at least. Its scale S,
payloads per unit of activation, is chosen for each channel as large as its weights
(254 at most), its biases and 24 bits allow: from S of the sources and the float
weight W follows the integer ``64 * W * S / S_source``. Where payloads have become so
large that weights would be small, a relay in between divides them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from export.facts import STATE
from export.stock_network import StockNetwork
from loihi_unet.errors import ConversionError
from loihi_unet.networks.topology import INPUT
from loihi_unet.sigma_delta.extremes import patterns
from loihi_unet.sigma_delta.planes import (
    LARGEST,
    LEVELS,
    ONE,
    STEP,
    Floats,
    Ints,
    Planes,
    each_channel,
    extended,
)
from loihi_unet.sigma_delta.stages import Node, Stages, sums
from loihi_unet.spiking.graph import Graph, pools
from loihi_unet.spiking.layer import Connection, Layer
from loihi_unet.spiking.synapse import apply, dense

#: Gray levels that may enter, noise included.
VALUES = (-512, 767)
#: Gray levels of a unit.
WHITE = 255.0
#: States may become this much larger than on the calibration pictures.
SAFETY = 6.0
#: And this much larger than on pictures that are extreme.
SPARE = 4.0
#: Channels count as at least this part of their layer's largest: what is faint on
#: the calibration pictures may not be so on others.
FAINTEST = 64
#: Largest payload that a relay leaves a channel which had more.
SMALLEST = 256
#: Weights of a layer must use this share of their range, or payloads are divided.
USED = 0.45


@dataclass(frozen=True, eq=False)
class Wanted:
    """What the float network makes of the calibration pictures.

    Attributes
    ----------
    sent : dict of str to Tensor, shape (B, C, H, W)
        Activation of every layer, and the input.
    """

    sent: dict[str, Tensor]

    def parts(self, layer: Layer) -> Iterator[Tensor]:
        """What each connection brings, in the unit of the network."""
        for c in layer.connections:
            yield apply(c, self.sent[c.source])


@torch.no_grad()
def quantise(
    graph: Graph,
    x: Tensor,
    *,
    size: tuple[int, int],
    task: str,
    provenance: dict[str, Any],
    extremes: Tensor | None = None,
) -> StockNetwork:
    """Convert a network of ReLUs.

    Parameters
    ----------
    graph : Graph
        Float, all but its last layer with a ReLU.
    x : Tensor, shape (B, C, H, W), float
        Calibration pictures, divided by 255, with noise where the task has noise.
    size : tuple of int
        (H, W) of the network.
    task : str
        What its output is.
    provenance : dict
        JSON values to keep.
    extremes : Tensor, shape (B, C, H, W), float, optional
        More pictures, beside `loihi_unet.sigma_delta.extremes.patterns`, that must pass
        without overflow, and that nothing else is calibrated on.

    Returns
    -------
    StockNetwork
        Of T = its latency: one picture.

    Raises
    ------
    ConversionError
        If a layer cannot be expressed, by its name.
    """
    levels = _levels(graph, x)
    planes = [torch.full_like(levels[:, :1], level) for level in LEVELS]
    wanted = Wanted(_activations(graph, levels / WHITE))
    pictures = patterns((x.shape[1], x.shape[2], x.shape[3])).to(x)
    if extremes is not None:
        pictures = torch.cat([pictures, extremes])
    rare = Wanted(_activations(graph, _levels(graph, pictures) / WHITE))
    stages = Stages(torch.cat([levels, *planes], 1), WHITE, VALUES, size)
    nodes = {INPUT: stages.start}
    for layer in graph.layers:
        try:
            nodes[layer.name] = _Lowering(stages, nodes, wanted, rare, layer).add()
        except ConversionError as error:
            raise ConversionError(f"layer {layer.name!r}: {error}") from None
    constant = [int(WHITE)] if graph.frame.constant else []
    return stages.network(
        task,
        {
            **provenance,
            "neuron": "sigma-delta",
            "constant_plane": [*constant, *LEVELS],
            **({"fixed_size": True} if graph.frame.fixed else {}),
        },
    )


def _levels(graph: Graph, x: Tensor) -> Tensor:
    """Gray levels of pictures, with a constant plane where the network has one."""
    levels = graph.frame.completed((WHITE * x).round(), graph.in_channels).double()
    if graph.frame.constant:
        levels[:, -1] = WHITE
    return levels


def _activations(graph: Graph, x: Tensor) -> dict[str, Tensor]:
    return {INPUT: x, **dict(graph.activations(x))}


class _Lowering:
    """One layer of the graph."""

    def __init__(
        self,
        stages: Stages,
        nodes: dict[str, Node],
        wanted: Wanted,
        rare: Wanted,
        layer: Layer,
    ) -> None:
        self.stages, self.nodes, self.layer = stages, nodes, layer
        self.connections = [dense(c) for c in layer.connections]
        self.parts = list(wanted.parts(layer))
        self.wanted = wanted
        bias = torch.zeros(layer.channels) if layer.bias is None else layer.bias
        self.bias: Floats = bias.double().numpy()
        each = np.maximum(
            SAFETY * self._largest(self.parts),
            SPARE * self._largest(list(rare.parts(layer))),
        )
        # The input skips to the output with an offset, which its planes take off.
        skips = any(c.kind == "identity" for c in self.connections)
        self.offset = -VALUES[0] / WHITE if skips else 0.0
        self.peak: Floats = (
            np.maximum(each, max(1e-6, each.max() / FAINTEST)) + SAFETY * self.offset
        )

    def _largest(self, parts: list[Tensor]) -> Floats:
        """Largest sum of each channel, or part of one that a connection brings."""
        total = sum(parts) + torch.from_numpy(self.bias)[:, None, None]
        assert isinstance(total, Tensor)
        found: Floats = torch.stack([*parts, total]).abs().amax((0, 1, 3, 4)).numpy()
        return found

    def add(self) -> Node:
        """Add it, and what it needs before it."""
        if pools(self.layer):
            return self._pool()
        sources = [self.nodes[c.source] for c in self.connections]
        factors = self._factors(sources)
        stage = max(
            node.stage + (bool((factor < ONE).any()) and not self._skips(c))
            for node, factor, c in zip(sources, factors, self.connections, strict=True)
        )
        if not self.layer.spiking:
            sources, stage = self._residual(sources, factors, stage)
        ready = [
            node
            if node.stage == stage and (factor == ONE).all()
            else self.stages.relay(node, factor, stage)
            for node, factor in zip(sources, factors, strict=True)
        ]
        return self._rounded(ready)

    def _skips(self, connection: Connection) -> bool:
        """Whether the way is shorter than another, so that a relay costs no step."""
        stage = self.nodes[connection.source].stage
        return any(self.nodes[c.source].stage > stage for c in self.connections)

    def _highest(self) -> Floats:
        """Scale that 24 bits allow each channel."""
        highest: Floats = STATE.maximum / ONE / self.peak
        return highest

    def _factors(self, sources: list[Node]) -> list[Ints]:
        """What each channel of a source is multiplied by / 64: 64 or less.

        A channel that is faint keeps its few payloads: dividing them leaves nothing,
        and coarse weights are enough for it.
        """
        highest = self._highest() if self.layer.spiking else self._highest().min()
        factors = []
        for node, c in zip(sources, self.connections, strict=True):
            if c.weight is None:
                factors.append(np.full(len(node.scale), ONE))
                continue
            used = ONE * highest * _row_peaks(c, node.scale) / LARGEST
            share = float(np.quantile(used, 0.1)) if self.layer.spiking else used.max()
            least = SMALLEST / np.maximum(node.peak, 1)
            factor = np.maximum(share, least) if np.median(used) < USED else 1.0
            even = STEP * np.rint(ONE * factor / STEP) * np.ones(len(node.scale))
            factors.append(even.clip(STEP, ONE).astype(np.int64))
        return factors

    def _residual(
        self, sources: list[Node], factors: list[Ints], stage: int
    ) -> tuple[list[Node], int]:
        """The input itself, as large as the output's scale, and never negative."""
        level = list(sources)
        for n, c in enumerate(self.connections):
            if c.kind != "identity":
                continue
            node = level[n]
            others = [
                ONE * float(_row_peaks(d, m.scale * (f / ONE)).max())
                for d, m, f in zip(self.connections, sources, factors, strict=True)
                if d.weight is not None
            ]
            scale = min(float(self._highest().min()), LARGEST / max(others))
            node = self.stages.relay(node, ONE, node.stage + 1, -VALUES[0])
            while ONE * scale > LARGEST * node.scale[0] and node.stage < stage - 1:
                node = self.stages.relay(node, 2 * ONE, node.stage + 1)
            level[n] = node
        return level, max(stage, *(node.stage for node in level))

    def _pool(self) -> Node:
        [connection] = self.connections
        node, window = self.nodes[connection.source], connection.place.stride
        size = window[0] * window[1]
        highest = float(np.min(self._highest() / node.scale))
        weight = int(2 * np.floor(min(LARGEST, ONE * min(highest, 1.0) / size) / 2))
        if weight < STEP:
            raise ConversionError(f"an average over {window}: more than 32 values")
        scale = node.scale * (weight * size / ONE)
        full = np.full(len(node.scale), weight)
        synapse = each_channel(full, (ONE, ONE), window)
        return self.stages.add(
            self.layer.name, [node], [synapse], scale, node.planes, rounds=False
        )

    def _rounded(self, sources: list[Node]) -> Node:
        first = sources[0].planes
        fills = [
            LARGEST / ONE / _row_peaks(c, node.scale)
            for c, node in zip(self.connections, sources, strict=True)
        ]
        bias = np.maximum(np.abs(self.bias), 1e-9) + self.offset
        biased = 0.9 * first.most / ONE / bias
        scale = np.min([self._highest(), biased, *fills], axis=0)
        if not self.layer.spiking:
            scale = np.full_like(scale, self._output_scale(sources, scale.min()))
        weights = [
            _integers(c, node.scale, scale)
            for c, node in zip(self.connections, sources, strict=True)
        ]
        planes: Planes | None = None
        own: tuple[int, int] | None = None
        if self.layer.spiking:
            planes, own = first.grown()
        return self.stages.add(
            self.layer.name,
            sources,
            self._synapses(sources, weights, self._bias(sources, weights, scale), own),
            scale,
            planes,
        )

    def _output_scale(self, sources: list[Node], scale: float) -> float:
        """Scale at which a residual's weight is a whole even number."""
        for c, node in zip(self.connections, sources, strict=True):
            if c.kind == "identity":
                one = float(node.scale[0])
                whole = int(2 * np.floor(ONE * scale / one / 2))
                if whole < STEP:
                    raise ConversionError("the residual's payloads are too large")
                return min(whole, LARGEST) * one / ONE
        return scale

    def _bias(self, sources: list[Node], weights: list[Ints], scale: Floats) -> Ints:
        """Weights of the planes: the bias, and the mean of what rounding took.

        Of weights it is counted on what the float network sends. On the payloads
        themselves every layer would follow the errors of those before it.
        """
        silent = self._synapses(
            sources, weights, np.zeros((len(scale), 2), np.int64), None
        )
        value = ONE * scale * (self.bias - self.offset)
        ways = zip(self.connections, self.parts, silent, sources, strict=True)
        for connection, part, synapse, node in ways:
            lost = torch.zeros_like(node.sent)
            lost[:, :-2] = torch.from_numpy(node.lost)[:, None, None]
            if connection.weight is not None:
                unit = torch.from_numpy(node.scale)[:, None, None]
                lost[:, :-2] -= self.wanted.sent[connection.source] * unit
                value = value + ONE * scale * part.mean(dim=(0, 2, 3)).numpy()
            value = value + sums(synapse, lost)[:, : len(scale)].mean((0, 2, 3)).numpy()
        # What is cut off afterwards is half a payload on average.
        return sources[0].planes.split(value + (ONE / 2 if self.layer.spiking else 0.0))

    def _synapses(
        self,
        sources: list[Node],
        weights: list[Ints],
        bias: Ints,
        own: tuple[int, int] | None,
    ) -> list[Any]:
        none = None if own is None else (0, 0)
        return [
            extended(c, w, bias if n == 0 else None, own if n == 0 else none)
            for n, (c, w) in enumerate(zip(self.connections, weights, strict=True))
        ]


def _rows(connection: Connection, scale: Floats) -> Floats:
    """Weights (C_out, C_in, K, K) per payload of the source."""
    if connection.weight is None:
        return np.eye(len(scale))[:, :, None, None] / scale[None, :, None, None]
    weight = connection.weight.double().numpy()
    if connection.kind == "conv_transpose":
        weight = weight.transpose(1, 0, 2, 3)
    rows: Floats = weight / scale[None, :, None, None]
    return rows


def _row_peaks(connection: Connection, scale: Floats) -> Floats:
    """Largest weight of each output channel, per payload of the source."""
    peaks: Floats = np.abs(_rows(connection, scale)).max(axis=(1, 2, 3))
    return np.maximum(peaks, 1e-12)


def _integers(connection: Connection, source: Floats, scale: Floats) -> Ints:
    """Weights in the axis order of the connection's kind."""
    rows = ONE * scale[:, None, None, None] * _rows(connection, source)
    integers: Ints = (
        (STEP * np.rint(rows / STEP)).clip(-LARGEST, LARGEST).astype(np.int64)
    )
    return (
        integers.transpose(1, 0, 2, 3)
        if connection.kind == "conv_transpose"
        else integers
    )
