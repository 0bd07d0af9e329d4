# SPDX-License-Identifier: BSD-3-Clause
"""The graph under construction: layers so far, and what they send on the pictures.

Every way to a layer takes the same number of steps: shorter ones go through relays,
layers that hand on what they receive and hold it back on their axons. Only so a
picture meets itself, and a video each frame itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from export.compartment import Bias
from export.stock_compartment import STATE_SHIFT, Delta, Sigma, SigmaDelta
from export.stock_network import Frames, StockConnection, StockLayer, StockNetwork
from export.synapse import Conv, ConvTranspose, Injection, IntArray, Shape
from loihi_unet.errors import ConversionError
from loihi_unet.sigma_delta.planes import (
    LEVELS,
    ONE,
    Floats,
    Ints,
    Planes,
    each_channel,
)

#: In the name of a relay, before the step at which it hands something on.
HANDED_ON = "@"
#: Longest that axons hold back.
_LONGEST = 62


@dataclass(frozen=True, eq=False)
class Node:
    """A layer, or the input, as those after it see it.

    Attributes
    ----------
    name : str
    scale : ndarray, shape (C,)
        Payloads per unit of the trained network, of each channel but the planes.
    planes : Planes
        What the last two channels send.
    stage : int
        Step at which the picture's payloads leave.
    sent : Tensor, shape (B, C + 2, H, W), float64
        Payloads on the calibration pictures, exact.
    lost : ndarray, shape (C,)
        Part of a payload that was cut off on average, and not made good.
    """

    name: str
    scale: Floats
    planes: Planes
    stage: int
    sent: Tensor
    lost: Floats

    @property
    def peak(self) -> Floats:
        """Largest payload of each channel, shape (C,)."""
        data = self.sent[:, :-2].abs()
        peaks: Floats = data.amax(dim=(0, 2, 3)).numpy()
        return peaks


class Stages:
    """Adds layers, and keeps the ways to them equally long.

    Parameters
    ----------
    x : Tensor, shape (B, C, H, W), int64
        Input payloads of the calibration pictures, planes included.
    scale : float
        Payloads per unit of the trained network.
    values : tuple of int
        Range of the input.
    size : tuple of int
        (H, W) of the network.
    """

    def __init__(
        self,
        x: Tensor,
        scale: float,
        values: tuple[int, int],
        size: tuple[int, int],
    ) -> None:
        shape = (x.shape[1], *size)
        self.input = Frames(
            shape=shape, minimum=values[0], maximum=values[1], scale=1 / scale
        )
        encoder = StockLayer(
            name="delta",
            shape=shape,
            connections=(StockConnection(source="input", synapse=Injection()),),
            compartment=Delta(vth_mant=0, spike_exp=0),
            scale=1 / scale,
        )
        self.layers = [encoder]
        self.start = Node(
            "delta",
            np.full(x.shape[1] - 2, scale),
            Planes(*LEVELS),
            1,
            x.to(torch.float64),
            np.zeros(x.shape[1] - 2),
        )
        self._relays: dict[tuple[str, bytes, int, int], Node] = {}

    def add(
        self,
        name: str,
        sources: list[Node],
        synapses: list[Conv | ConvTranspose],
        scale: Floats,
        planes: Planes | None,
        *,
        delay: int = 0,
        rounds: bool = True,
    ) -> Node:
        """A layer; of `Sigma` where it hands no planes on.

        One that ``rounds`` has half a payload in its bias; of others it is kept in mind
        what is cut off.
        """
        values = sum(
            sums(s, node.sent) for s, node in zip(synapses, sources, strict=True)
        )
        assert isinstance(values, Tensor)
        lost = np.zeros(len(scale))
        if planes is not None:
            exact = values / ONE
            values = exact.floor().clamp(min=0)
            if not rounds:
                [synapse], [node] = synapses, sources
                before = torch.zeros_like(node.sent[:1])
                before[:, :-2] = torch.from_numpy(node.lost)[:, None, None]
                more = sums(synapse, before)[:, :-2].mean(dim=(0, 2, 3)) / ONE
                cut = (exact.clamp(min=0) - values)[:, :-2].mean(dim=(0, 2, 3))
                lost = (cut + more).numpy()
        shape: Shape = synapses[0].output_shape(self._shape(sources[0]))
        channels = shape[0]
        bias = Bias(mant=np.zeros(channels, dtype=np.int32), exp=0)
        compartment = (
            Sigma()
            if planes is None
            else SigmaDelta(vth_mant=0, bias=bias, spike_exp=0)
        )
        # A payload means as much in every channel of an output; else of the first.
        per_unit = float(scale[0]) * (ONE if planes is None else 1)
        self.layers.append(
            StockLayer(
                name=name,
                shape=shape,
                connections=tuple(
                    StockConnection(source=node.name, synapse=s)
                    for s, node in zip(synapses, sources, strict=True)
                ),
                compartment=compartment,
                scale=1 / per_unit,
                delay=_delays(channels, delay),
            )
        )
        stage = 1 + max(node.stage for node in sources) + delay
        return Node(name, scale, planes or sources[0].planes, stage, values, lost)

    def relay(
        self, node: Node, weight: Ints | int, stage: int, offset: int = 0
    ) -> Node:
        """What a node sends, times weight / 64, at a later stage.

        Parameters
        ----------
        node : Node
        weight : int or ndarray, shape (C,)
            Of every data channel, or of each.
        stage : int
            When it leaves; after the node's.
        offset : int
            Payloads to add, for data that may be negative.
        """
        each = np.broadcast_to(np.asarray(weight, np.int64), node.scale.shape)
        key = (node.name, each.tobytes(), stage, offset)
        if key in self._relays:
            return self._relays[key]
        more = stage - node.stage - 1
        planes, own = node.planes, (ONE, ONE)
        synapse = each_channel(each, own)
        if offset:
            synapse = _offset(synapse, planes, offset)
        relayed = self.add(
            self._relay_name(node, int(each.min()), stage),
            [node],
            [synapse],
            node.scale * (each / ONE),
            planes,
            delay=min(more, _LONGEST),
            rounds=False,
        )
        if more > _LONGEST:
            relayed = self.relay(relayed, ONE, stage)
        self._relays[key] = relayed
        return relayed

    def _relay_name(self, node: Node, weight: int, stage: int) -> str:
        """``enc0.conv2@21``: what is handed on, and when it leaves."""
        name = f"{node.name.split(HANDED_ON)[0]}{HANDED_ON}{stage}"
        name += "" if weight == ONE else f"x{weight}"
        taken = {layer.name for layer in self.layers}
        return name if name not in taken else f"{name}_{len(taken)}"

    def network(self, task: str, provenance: dict[str, object]) -> StockNetwork:
        """All layers, as long as one picture takes."""
        network = StockNetwork(
            input=self.input,
            layers=tuple(self.layers),
            num_steps=1,
            task=task,
            provenance=provenance,
        )
        return replace(network, num_steps=network.arrivals[network.output.name])

    def _shape(self, node: Node) -> Shape:
        return next(layer.shape for layer in self.layers if layer.name == node.name)


def sums(synapse: Conv | ConvTranspose, sent: Tensor) -> Tensor:
    """What arrives, (B, C, H, W), float64; exact, as sums stay far below 2**53."""
    weight = torch.from_numpy(np.array(synapse.weight)).to(sent)
    if isinstance(synapse, Conv):
        return functional.conv2d(
            sent,
            weight,
            None,
            synapse.stride,
            synapse.padding,
            synapse.dilation,
            synapse.groups,
        )
    return functional.conv_transpose2d(
        sent,
        weight,
        None,
        synapse.stride,
        synapse.padding,
        synapse.output_padding,
    )


def _delays(channels: int, delay: int) -> IntArray | None:
    return np.full(channels, delay, dtype=np.int32) if delay else None


def _offset(synapse: Conv, planes: Planes, offset: int) -> Conv:
    """The same, with a multiple of the fine plane added to every value."""
    count = len(synapse.weight) - 2
    wanted = np.full(count, float(offset << STATE_SHIFT))
    if abs(wanted).max() > planes.most:
        raise ConversionError(f"an offset of {offset}: beyond the planes' {planes}")
    added = planes.split(wanted)
    full = np.zeros((count + 2, count + 2, 1, 1), dtype=np.int64)
    rows = np.arange(count + 2)
    full[rows, rows] = synapse.weight[:, 0]
    full[:count, count:, 0, 0] = added
    return Conv(weight=full)
