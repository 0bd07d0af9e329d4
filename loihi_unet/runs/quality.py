# SPDX-License-Identifier: BSD-3-Clause
"""Where the quality of a converted network went: stage by stage, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from export.facts import STATE
from export.fit.bounds import potential_bounds
from export.lowering import lower
from export.network import Network
from export.theta import settle
from loihi_unet.finetuning.flow import IntegerUNet
from loihi_unet.networks.neuron import multi_threshold_if
from loihi_unet.networks.topology import INPUT
from loihi_unet.spiking.graph import Graph
from loihi_unet.spiking.run_float import current, run
from loihi_unet.spiking.spiking_unet import SpikingUNet
from sim.backend import OverflowLayerError

#: Bits between the largest potential on calibration pictures and 24 bits signed.
HEADROOM = 1.0
#: Factors that weights may lose of their levels.
SAFETIES = (1, 2, 4, 8, 16)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """How far an output is from the float network's.

    Attributes
    ----------
    name : str
        What gave it.
    error : float
        Root of the mean squared difference, as a share of the range of the float
        network's output.
    correlation : float
        Pearson's, over all values; 1 for two constant outputs that agree.
    """

    name: str
    error: float
    correlation: float


@dataclass(frozen=True, kw_only=True)
class LayerLoss:
    """What one layer alone costs.

    Attributes
    ----------
    name : str
        The layer.
    error : float
        Of its mean value when all before it are float: root of the mean squared
        difference, as a share of the root of its mean square.
    num_thresholds : int
        N.
    headroom : float
        Bits between its largest potential on these pictures and 24 bits signed.
    certain : float
        Bits between what its potential can reach on any picture, as
        `export.fit.bounds.potential_bounds` proves, and 24 bits signed. Below 0 there
        may be a picture whose run ends with an overflow error.
    """

    name: str
    error: float
    num_thresholds: int
    headroom: float
    certain: float


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Where the quality went.

    Attributes
    ----------
    stages : tuple[Stage, ...]
        Float network with the replacements, float SNN, integers.
    layers : tuple[LayerLoss, ...]
        Spiking layers.
    """

    stages: tuple[Stage, ...]
    layers: tuple[LayerLoss, ...]

    @property
    def may_overflow(self) -> tuple[str, ...]:
        """Layers of which no proof says that they stay within 24 bits."""
        return tuple(layer.name for layer in self.layers if layer.certain < 0)

    def as_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


@torch.no_grad()
def quality(
    module: Callable[[Tensor], Tensor], graph: Graph, snn: SpikingUNet, x: Tensor
) -> Quality:
    """Compare a converted network with the one it came from.

    Parameters
    ----------
    module : callable
        The float network, from pixels divided by 255 to its output.
    graph : Graph
        Its layers.
    snn : SpikingUNet
        What it was converted to.
    x : Tensor, shape (B, C, H, W), float32
        Pictures, integer gray levels divided by 255.

    Returns
    -------
    Quality
        On these pictures.

    Raises
    ------
    OverflowLayerError
        If a potential leaves 24 bits signed.
    """
    wanted = module(x)
    settled = settle(snn)
    integers = IntegerUNet(settled)
    outputs = {
        "float network with the replacements": graph(x),
        "float SNN": run(snn, x).output,
        "integers": integers(x),
    }
    stages = tuple(_stage(name, y, wanted) for name, y in outputs.items())
    network = lower(settled, *x.shape[2:])
    layers = _layers(graph, snn, x, integers.peaks, network)
    return Quality(stages=stages, layers=layers)


def with_headroom(
    module: Callable[[Tensor], Tensor], graph: Graph, snn: SpikingUNet, x: Tensor
) -> tuple[SpikingUNet, Quality]:
    """Choose the finest levels that leave potentials `HEADROOM` on some pictures.

    Parameters
    ----------
    module, graph, snn, x
        As in `quality`.

    Returns
    -------
    SpikingUNet, Quality
        With that safety; what it gives.

    Raises
    ------
    OverflowLayerError
        If a potential leaves 24 bits signed whatever the levels.
    """
    for safety in SAFETIES:
        tried = replace(snn, frame=replace(snn.frame, safety=safety))
        try:
            measured = quality(module, graph, tried, x)
        except OverflowLayerError:
            if safety == SAFETIES[-1]:
                raise
            continue
        if all(item.headroom >= HEADROOM for item in measured.layers):
            break
    return tried, measured


def _stage(name: str, output: Tensor, wanted: Tensor) -> Stage:
    output = output.reshape(wanted.shape)
    difference = float((output - wanted).square().mean().sqrt())
    span = float(wanted.max() - wanted.min()) or 1.0
    return Stage(
        name=name, error=difference / span, correlation=correlation(output, wanted)
    )


def correlation(output: Tensor, wanted: Tensor) -> float:
    """Return Pearson's correlation; of two constants whether they agree."""
    a, b = (t.flatten().double() - t.double().mean() for t in (output, wanted))
    norm = float(a.norm() * b.norm())
    if norm == 0:
        return float(torch.allclose(output, wanted))
    return float(a @ b) / norm


def _layers(
    graph: Graph,
    snn: SpikingUNet,
    x: Tensor,
    peaks: dict[str, int],
    network: Network,
) -> tuple[LayerLoss, ...]:
    q = snn.base_threshold
    sent = {INPUT: graph.frame.completed(x, graph.in_channels)[None]}
    losses = []
    activations = dict(graph.activations(x))
    lowered = {layer.name: layer for layer in network.layers}
    for layer in snn.layers[:-1]:
        scale = torch.tensor(layer.scale).reshape(-1, 1, 1)
        drive = current(layer, sent)
        payload = multi_threshold_if(
            drive.expand(snn.num_steps, *drive.shape[1:]),
            base_threshold=q,
            num_thresholds=snn.thresholds(layer),
        )
        wanted = activations[layer.name]
        error = payload.mean(dim=0) * q * scale - wanted
        size = float(wanted.square().mean().sqrt()) or 1.0
        losses.append(
            LayerLoss(
                name=layer.name,
                error=float(error.square().mean().sqrt()) / size,
                num_thresholds=snn.thresholds(layer),
                headroom=_bits_left(peaks[layer.name]),
                certain=_bits_left(*potential_bounds(lowered[layer.name], network)),
            )
        )
        sent[layer.name] = (wanted / scale)[None]
    return tuple(losses)


def _bits_left(*potentials: int) -> float:
    return math.log2(STATE.maximum / max(1, *map(abs, potentials)))
