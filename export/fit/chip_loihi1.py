# SPDX-License-Identifier: BSD-3-Clause
"""Loihi 1: binary spikes, a soft reset built of two compartments, published energy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from export import facts
from export.compartment import MTIF
from export.facts import BIAS_MANT, WEIGHT_EXP, IntRange
from export.fit import energy as energies
from export.fit import loihi1, timing
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
    "cores: the four limits of Davies et al. 2018 with NxTF's bit counts; "
    "they give the 157 cores that NxTF printed for its CIFAR-10 network"
)


class Loihi1:
    """`export.fit.chip.Chip` of Davies et al. 2018, as NxTF fills it."""

    name = "loihi1"
    cores = facts.L1_CORES
    compartments = facts.L1_COMPARTMENTS
    payload_bits = facts.L1_PAYLOAD_BITS
    graded = False
    reset_compartments = facts.L1_RESET_COMPARTMENTS.count
    image_is_bias = True

    def partition(
        self, structure: Structure, mapping: Mapping, most: int | None
    ) -> tuple[dict[str, CoreShare], dict[str, float]]:
        """See `Chip.partition`."""
        uses = loihi1.partition(structure, mapping, most=most)
        messages = loihi1.mean_targets(structure, mapping, uses)
        shares = {}
        for layer in structure.layers:
            use = uses[layer.name]
            shares[layer.name] = CoreShare(
                cores=use.cores,
                tile=use.tile,
                axons=_axons(layer, mapping, messages[layer.name]),
                uses=tuple(
                    Use(resource=resource, used=used, limit=limit)
                    for resource, used, limit in use.limits
                ),
            )
        return shares, messages

    def extrapolated(self, layer: LayerStructure, mapping: Mapping) -> list[str]:
        """See `Chip.extrapolated`."""
        delayed = [link for link in layer.links if link.delay]
        if not delayed:
            return []
        kind = "dense layer" if delayed[0].dense else "convolution"
        return [f"delayed {kind} (compartments x delay range taken as constant)"]

    def core_checks(
        self,
        place: str,
        layer: LayerStructure,
        mapping: Mapping,
        structure: Structure,
    ) -> Iterator[Check]:
        """Each source neuron is an input axon; so is each compartment's own reset."""
        on_chip = structure.on_chip(layer.links)
        axons = sum(link.fan_in() for link in on_chip) * mapping.planes
        resets = mapping.planes if layer.built_reset else 0
        allowed = IntRange(minimum=0, maximum=facts.L1_AXONS_IN.count - resets)
        advice = (
            "one neuron alone takes more input axons than a core has: fewer channels"
        )
        yield in_range(place, "fan-in", axons, axons, allowed, advice=advice)

    def spike_checks(
        self, place: str, compartment: MTIF, mapping: Mapping
    ) -> Iterator[Check]:
        """See `Chip.spike_checks`."""
        bits = mapping.num_thresholds if mapping.name == "graded" else 1
        allowed = IntRange(minimum=1, maximum=self.payload_bits.count)
        advice = "spikes are binary: mapping parallel-if"
        yield in_range(place, "payload bits", bits, bits, allowed, advice=advice)
        thetas = compartment.vth_mant.tolist()
        yield _reset_check(place, mapping.highest_threshold, thetas)

    def input_current_checks(self, network: Network) -> Iterator[Check]:
        """The image enters as a bias per compartment, computed off chip."""
        if not network.in_windows:
            return  # an injected bias has been checked by the StockNetwork
        for layer in network.layers:
            for c in layer.connections:
                if c.source != network.input.name:
                    continue
                bound = c.bound(network.input.magnitude)
                bound += int(np.abs(layer.compartment.bias.effective()).max())
                yield in_range(
                    f"layer '{layer.name}' <- '{c.source}'",
                    "current as a bias per compartment",
                    -bound,
                    bound,
                    BIAS_MANT,
                    blocking=False,
                    advice="a larger current is rounded to 13 bits << 0..7",
                )

    def timing(
        self, network: Network, placement: Placement, traffic: Traffic | None
    ) -> Timing:
        """See `Chip.timing`."""
        steps = network.num_steps
        synops, compartments = 0.0, 0
        for layer in placement.layers:
            if layer.cores:
                compartments = max(compartments, layer.uses[0].used)
                if traffic:
                    # The mean core of a layer: its busiest one has at least as much.
                    mean = traffic.synops[layer.name] / layer.cores / steps
                    synops = max(synops, mean)
        return timing.loihi1_timing(steps, network.latency, synops, compartments)

    def energy(self, traffic: Traffic, times: Timing, placement: Placement) -> Energy:
        """See `Chip.energy`."""
        if placement.chips is None:
            note = (
                f"Not placed ({placement.problem}): only the operations themselves, "
                f"without spikes between cores and static power. {energies.LOIHI1_NOTE}"
            )
            return energies.energy(traffic, energies.loihi1_operations(traffic), note)
        messages = sum(
            count * placement.messages[name] for name, count in traffic.spikes.items()
        )
        terms = energies.loihi1_energy(traffic, times, placement.chips, messages)
        return energies.energy(traffic, terms, energies.LOIHI1_NOTE)

    def notes(
        self, network: Network, structure: Structure, mapping: Mapping
    ) -> tuple[str, ...]:
        """See `Chip.notes`."""
        channels, height, width = network.input.shape
        neurons = sum(layer.neurons for layer in structure.layers if layer.spiking)
        compartments = neurons * mapping.compartments
        return (
            "soft reset is not native: NxTF's two-compartment neuron adds "
            f"{compartments:,} compartments to {compartments:,}, one synapse list and "
            "one axon to each, and rules out population axons",
            "the image enters as a bias per compartment of the first layer, computed "
            "off chip; so does the part of the output that reads the image "
            f"({channels * height * width:,} pixels)",
            CORES_NOTE,
        )

    def stock_notes(self) -> tuple[str, str]:
        """See `Chip.stock_notes`."""
        axons = "axons are counted as discrete; population axons would take fewer"
        return CORES_NOTE, axons


def _axons(layer: LayerStructure, mapping: Mapping, targets: float) -> int:
    """Output axons: one per target core of each compartment that spikes, one reset."""
    if not layer.spiking:
        return 0
    reset = 1 if layer.built_reset else 0
    return round(layer.neurons * mapping.compartments * (targets + reset))


def _reset_check(place: str, highest: int, thetas: list[int]) -> Check:
    """NxTF's soft reset subtracts one synaptic weight, mantissa << exponent."""
    bad = [theta for theta in thetas if not _one_weight(theta * highest)]
    theta = bad[0] if bad else thetas[0]
    fitting = (n for n in range(theta, 0, -1) if _one_weight(n * highest))
    best = next(fitting, None) if bad else None
    mantissa, exponent = facts.L1_RESET_MANT.count, WEIGHT_EXP.maximum
    return Check(
        place=place,
        quantity=f"soft reset by {highest} x theta",
        found=str(theta * highest),
        allowed=f"1..{mantissa} << 0..{exponent}",
        ok=not bad,
        advice=f"theta {theta} found, {best} fits" if best else "",
    )


def _one_weight(amount: int) -> bool:
    """Whether a reset synapse can hold the amount exactly."""
    mantissa, exponent = facts.L1_RESET_MANT.count, WEIGHT_EXP.maximum
    return any(
        amount % (1 << e) == 0 and amount >> e <= mantissa for e in range(exponent + 1)
    )
