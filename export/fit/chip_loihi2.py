# SPDX-License-Identifier: BSD-3-Clause
"""Loihi 2: graded spikes, neurons in microcode, core counts inferred from Intel's."""

from __future__ import annotations

from collections.abc import Iterator

from export import facts
from export.compartment import MTIF
from export.facts import IntRange
from export.fit import energy as energies
from export.fit import loihi2, timing
from export.fit.check import Check, in_range
from export.fit.chip import CoreShare, Placement
from export.fit.energy import Energy
from export.fit.report import Use
from export.fit.structure import LayerStructure, Structure
from export.fit.timing import Timing
from export.fit.traffic import Traffic
from export.mapping import Mapping
from export.network import Network

CORES_NOTE = (
    "cores: rules inferred from tables that Intel's compiler printed, which "
    "they reproduce; Intel documents none of them (docs/fit.md)"
)
WEIGHTS_NOTE = "weights counted with 8 bits, which no printed allocation exceeds"


class Loihi2:
    """`export.fit.chip.Chip` as Intel's compiler fills it."""

    name = "loihi2"
    cores = facts.L2_CORES
    compartments = facts.L2_NEURONS
    payload_bits = facts.L2_PAYLOAD_BITS
    graded = True
    reset_compartments = 1
    image_is_bias = False

    def partition(
        self, structure: Structure, mapping: Mapping, most: int | None
    ) -> tuple[dict[str, CoreShare], dict[str, float]]:
        """See `Chip.partition`."""
        shares = {
            name: CoreShare(
                cores=use.cores,
                tile=use.tile,
                axons=use.cores * use.axon_map,
                uses=_uses(use),
            )
            for name, use in loihi2.partition(structure, mapping).items()
        }
        return shares, {}

    def extrapolated(self, layer: LayerStructure, mapping: Mapping) -> list[str]:
        """See `Chip.extrapolated`."""
        lines = []
        # Dense synapses have delay bits.
        if any(link.delay and not link.dense for link in layer.links):
            lines.append("delayed convolution")
        if any(link.depthwise for link in layer.links):
            lines.append("pool as grouped convolution")
        return lines

    def core_checks(
        self,
        place: str,
        layer: LayerStructure,
        mapping: Mapping,
        structure: Structure,
    ) -> tuple[Check, ...]:
        """No limit of a single neuron is known."""
        return ()

    def spike_checks(
        self, place: str, compartment: MTIF, mapping: Mapping
    ) -> Iterator[Check]:
        """See `Chip.spike_checks`."""
        bits = mapping.num_thresholds
        allowed = IntRange(minimum=1, maximum=self.payload_bits.count)
        yield in_range(place, "payload bits", bits, bits, allowed)

    def input_current_checks(self, network: Network) -> tuple[Check, ...]:
        """Pixels enter as graded spikes: nothing but their bits to check."""
        return ()

    def timing(
        self, network: Network, placement: Placement, traffic: Traffic | None
    ) -> Timing:
        """See `Chip.timing`."""
        return timing.loihi2_timing(network.num_steps, network.latency)

    def energy(self, traffic: Traffic, times: Timing, placement: Placement) -> Energy:
        """See `Chip.energy`."""
        return energies.energy(traffic, (), energies.LOIHI2_NOTE)

    def notes(
        self, network: Network, structure: Structure, mapping: Mapping
    ) -> tuple[str, ...]:
        """See `Chip.notes`."""
        channels, height, width = network.input.shape
        pixels = channels * height * width
        rate = facts.L2_HOST_MESSAGES
        seconds = pixels * network.num_steps / rate.value
        return (
            CORES_NOTE,
            f"the host sends {pixels:,} pixels at each of {network.num_steps} steps: "
            f"{seconds * 1e3:.2f} ms per image at {rate.value:.0f} messages/s "
            f"({rate.source})",
            WEIGHTS_NOTE,
        )

    def stock_notes(self) -> tuple[str, str]:
        """See `Chip.stock_notes`."""
        return CORES_NOTE, WEIGHTS_NOTE


def _uses(use: loihi2.CoreUse) -> tuple[Use, ...]:
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
