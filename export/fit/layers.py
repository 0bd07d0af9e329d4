# SPDX-License-Identifier: BSD-3-Clause
"""Put every layer on cores of either chip, and say what that extrapolates."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from export import facts
from export.errors import RangeError
from export.fit import loihi1, loihi2
from export.fit.report import LayerFit, Use
from export.fit.structure import LayerStructure, Structure
from export.fit.systems import CHIPS
from export.fit.traffic import layer_compartments
from export.mapping import Mapping


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Layers on cores.

    Parameters
    ----------
    layers : tuple of LayerFit
        Layer by layer.
    problem : str
        Why it failed; empty if it did not.
    messages : dict of str to float
        Loihi 1: cores that a spike of each layer goes to; empty otherwise.
    """

    layers: tuple[LayerFit, ...]
    problem: str
    messages: dict[str, float]

    @property
    def cores(self) -> int | None:
        """All cores; None if the partition failed."""
        return None if self.problem else sum(x.cores or 0 for x in self.layers)

    def chips(self, chip: str) -> int | None:
        """Chips for these cores; None if the partition failed."""
        return None if self.cores is None else ceil(self.cores / CHIPS[chip].count)


@dataclass(frozen=True, kw_only=True)
class _Cores:
    """What either chip's partition says about a layer."""

    cores: int
    tile: tuple[int, int, int]
    axons: int
    uses: tuple[Use, ...]


def place(
    structure: Structure, mapping: Mapping, chip: str, *, most: int | None = None
) -> Placement:
    """Partition a structure; a layer that fits no core is reported, not raised.

    Parameters
    ----------
    structure : Structure
        Layers.
    mapping : Mapping
        Compartments per neuron.
    chip : str
        ``"loihi1"`` or ``"loihi2"``.
    most : int or None
        Cores at which a partition of Loihi 1, which takes seconds, stops.
    """
    cores: dict[str, _Cores] = {}
    messages: dict[str, float] = {}
    problem = ""
    try:
        if chip == "loihi1":
            first = loihi1.partition(structure, mapping, most=most)
            messages = loihi1.mean_targets(structure, mapping, first)
            for layer in structure.layers:
                one = first[layer.name]
                cores[layer.name] = _Cores(
                    cores=one.cores,
                    tile=one.tile,
                    axons=_loihi1_axons(layer, mapping, messages[layer.name]),
                    uses=tuple(
                        Use(resource=resource, used=used, limit=limit)
                        for resource, used, limit in one.limits
                    ),
                )
        else:
            for name, two in loihi2.partition(structure, mapping).items():
                cores[name] = _Cores(
                    cores=two.cores,
                    tile=two.tile,
                    axons=two.cores * two.axon_map,
                    uses=_loihi2_uses(two),
                )
    except RangeError as error:
        problem = str(error)
    return Placement(
        layers=tuple(
            _layer(layer, mapping, chip, cores.get(layer.name))
            for layer in structure.layers
        ),
        problem=problem,
        messages=messages,
    )


def _layer(
    layer: LayerStructure,
    mapping: Mapping,
    chip: str,
    placed: _Cores | None,
) -> LayerFit:
    return LayerFit(
        name=layer.name,
        shape=layer.shape,
        neurons=layer.neurons,
        compartments=layer_compartments(layer, mapping, chip),
        synapses=sum(link.synapses for link in layer.links),
        cores=placed.cores if placed else None,
        axons=placed.axons if placed else None,
        tile=placed.tile if placed else None,
        uses=placed.uses if placed else (),
        extrapolated=_extrapolated(layer, mapping, chip),
    )


def _loihi1_axons(layer: LayerStructure, mapping: Mapping, targets: float) -> int:
    """Output axons: one per target core of each compartment that spikes, one reset."""
    if not layer.spiking:
        return 0
    reset = 1 if layer.built_reset else 0
    return round(layer.neurons * mapping.compartments * (targets + reset))


def _loihi2_uses(use: loihi2.CoreUse) -> tuple[Use, ...]:
    part = facts.L2_PART_WORDS.count
    limits = (
        ("neurons", use.neurons, facts.L2_NEURONS.count),
        ("synapse words", use.synapse_words, part),
        ("input axons", use.axons_in, part),
        ("axon map", use.axon_map, part),
        ("axon memory", use.axon_memory, part),
        ("all words", use.words, facts.L2_CORE_WORDS.count),
    )
    return tuple(Use(resource=r, used=u, limit=n) for r, u, n in limits)


def _extrapolated(
    layer: LayerStructure, mapping: Mapping, chip: str
) -> tuple[str, ...]:
    lines = []
    if len(layer.links) > 1:
        lines.append("skip join")
    if any(link.transposed for link in layer.links):
        lines.append("transposed convolution")
    delayed = [link for link in layer.links if link.delay]
    if chip == "loihi1" and delayed:
        kind = "dense layer" if delayed[0].dense else "convolution"
        lines.append(f"delayed {kind} (compartments x delay range taken as constant)")
    elif any(not link.dense for link in delayed):  # its dense synapses have delay bits
        lines.append("delayed convolution")
    if chip == "loihi2" and any(link.depthwise for link in layer.links):
        lines.append("pool as grouped convolution")
    if layer.spiking and layer.multi_threshold:
        lines.append(_mapping_line(mapping, chip))
    return tuple(lines)


def _mapping_line(mapping: Mapping, chip: str) -> str:
    if mapping.name == "parallel-if":
        return f"{mapping.copies} copies share one kernel and one input axon"
    if mapping.name == "binary-if":
        return "residual handed from compartment to compartment within a step: unproven"
    if chip == "loihi1":
        return "graded spikes do not exist on this chip: counted for comparison only"
    return "multi-threshold state in microcode, one word per neuron"
