# SPDX-License-Identifier: BSD-3-Clause
"""Operations of one image: what a recording's counts become under a mapping."""

from __future__ import annotations

from collections.abc import Mapping as Table
from dataclasses import dataclass

from export.fit.activity import Activity
from export.fit.structure import LayerStructure, Structure
from export.mapping import Mapping


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Operations of one image, the mean over a recording.

    Parameters
    ----------
    effective_synops : float
        Synaptic operations after NeuroBench: payloads and weights not zero.
    dense_synops : float
        Synapses times steps.
    synops : mapping of str to float
        Synaptic operations that the chip executes with this mapping, by target layer.
    spikes : mapping of str to float
        Spikes that the compartments of each layer emit with this mapping.
    updates : float
        Compartment updates: compartments times steps.
    threshold_spikes, threshold_synops : float
        Spikes of the single thresholds, as the paper counts them, and these times
        their synapses.
    first_macs : float
        Multiply-accumulates and biases of the first layer's current, which is
        computed once per image; padding counted in, as the paper's code does.
    macs : float
        Multiply-accumulates of the network without spikes.
    """

    effective_synops: float
    dense_synops: float
    synops: Table[str, float]
    spikes: Table[str, float]
    updates: float
    threshold_spikes: float
    threshold_synops: float
    first_macs: float
    macs: float


def count_traffic(
    activity: Activity,
    structure: Structure,
    mapping: Mapping,
    *,
    reset_compartments: int,
    image_is_bias: bool,
    num_steps: int,
    input_name: str,
) -> Traffic:
    """Operations of one image under a mapping.

    Parameters
    ----------
    activity : Activity
        Counts of a recording.
    structure : Structure
        The network's structure.
    mapping : Mapping
        Compartments per neuron.
    reset_compartments, image_is_bias
        As in `export.fit.chip.Chip`: a constant input that is a bias costs nothing.
    num_steps : int
        T.
    input_name : str
        Name of the input.
    """
    images = activity.images
    spiking = {layer.name: layer.spiking for layer in structure.layers}
    synops = dict.fromkeys(spiking, 0.0)
    for link in activity.links:
        count = _by_mapping(link.messages, link.payload, link.bits, mapping)
        if link.source == input_name:
            # Graded pixels, also where the layers' spikes are binary.
            free = image_is_bias and structure.image_as_bias
            count = 0 if free else link.messages
        copies = mapping.copies if spiking[link.target] else 1
        synops[link.target] += count * copies / images
    synapses = sum(link.synapses for layer in structure.layers for link in layer.links)
    return Traffic(
        effective_synops=sum(link.effective for link in activity.links) / images,
        dense_synops=float(synapses * num_steps),
        synops=synops,
        spikes={
            node.name: _by_mapping(node.messages, node.payload, node.bits, mapping)
            / images
            for node in activity.layers
            if node.name in spiking
        },
        updates=float(
            total_compartments(structure, mapping, reset_compartments) * num_steps
        ),
        threshold_spikes=sum(node.bits for node in activity.layers) / images,
        threshold_synops=sum(link.bits for link in activity.links) / images,
        first_macs=float(_first_macs(structure, input_name)),
        macs=float(synapses),
    )


def _first_macs(structure: Structure, input_name: str) -> int:
    if not structure.image_as_bias:
        return 0  # spikes enter, and cost what spikes cost
    total = 0
    for layer in structure.layers:
        for link in layer.links:
            if link.source == input_name and layer.spiking:
                taps = link.kernel[0] * link.kernel[1]
                per_neuron = taps * link.source_shape[0] // link.groups
                total += layer.neurons * (per_neuron + 1)
    return total


def _by_mapping(messages: int, payload: int, bits: int, mapping: Mapping) -> int:
    return {"graded": messages, "parallel-if": payload, "binary-if": bits}[mapping.name]


def total_compartments(
    structure: Structure, mapping: Mapping, reset_compartments: int
) -> int:
    """Compartments on the chip, those of a soft reset included."""
    return sum(
        layer_compartments(layer, mapping, reset_compartments)
        for layer in structure.layers
    )


def layer_compartments(
    layer: LayerStructure, mapping: Mapping, reset_compartments: int
) -> int:
    """Compartments of one layer, those of a soft reset included.

    Parameters
    ----------
    layer : LayerStructure
        The layer.
    mapping : Mapping
        Compartments per neuron.
    reset_compartments : int
        `Chip.reset_compartments`.
    """
    per_neuron = mapping.compartments if layer.spiking else 1
    if layer.built_reset:
        per_neuron *= reset_compartments
    return layer.neurons * per_neuron
