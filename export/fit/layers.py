# SPDX-License-Identifier: BSD-3-Clause
"""Put every layer on a chip's cores, and say what that extrapolates."""

from __future__ import annotations

from math import ceil

from export.errors import RangeError
from export.fit.chip import Chip, CoreShare, Placement
from export.fit.report import LayerFit
from export.fit.structure import LayerStructure, Structure
from export.fit.traffic import layer_compartments
from export.mapping import Mapping


def place(
    structure: Structure, mapping: Mapping, chip: Chip, *, most: int | None = None
) -> Placement:
    """Partition a structure; a layer that fits no core is reported, not raised.

    Parameters
    ----------
    structure : Structure
        Layers.
    mapping : Mapping
        Compartments per neuron.
    chip : Chip
        To put it on.
    most : int or None
        Cores at which a partition of Loihi 1, which takes seconds, stops.
    """
    shares: dict[str, CoreShare] = {}
    messages: dict[str, float] = {}
    problem = ""
    try:
        shares, messages = chip.partition(structure, mapping, most)
    except RangeError as error:
        problem = str(error)
    cores = sum(share.cores for share in shares.values())
    return Placement(
        layers=tuple(
            _layer(layer, mapping, chip, shares.get(layer.name))
            for layer in structure.layers
        ),
        problem=problem,
        messages=messages,
        chips=None if problem else ceil(cores / chip.cores.count),
    )


def _layer(
    layer: LayerStructure,
    mapping: Mapping,
    chip: Chip,
    placed: CoreShare | None,
) -> LayerFit:
    return LayerFit(
        name=layer.name,
        shape=layer.shape,
        neurons=layer.neurons,
        compartments=layer_compartments(layer, mapping, chip.reset_compartments),
        synapses=sum(link.synapses for link in layer.links),
        cores=placed.cores if placed else None,
        axons=placed.axons if placed else None,
        tile=placed.tile if placed else None,
        uses=placed.uses if placed else (),
        extrapolated=_extrapolated(layer, mapping, chip),
    )


def _extrapolated(
    layer: LayerStructure, mapping: Mapping, chip: Chip
) -> tuple[str, ...]:
    lines = []
    if len(layer.links) > 1:
        lines.append("skip join")
    if any(link.transposed for link in layer.links):
        lines.append("transposed convolution")
    lines += chip.extrapolated(layer, mapping)
    if layer.spiking and layer.multi_threshold:
        lines.append(_mapping_line(mapping, chip))
    return tuple(lines)


def _mapping_line(mapping: Mapping, chip: Chip) -> str:
    if mapping.name == "parallel-if":
        return f"{mapping.copies} copies share one kernel and one input axon"
    if mapping.name == "binary-if":
        return "residual handed from compartment to compartment within a step: unproven"
    if not chip.graded:
        return "graded spikes do not exist on this chip: counted for comparison only"
    return "multi-threshold state in microcode, one word per neuron"
