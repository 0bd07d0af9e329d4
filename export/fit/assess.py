# SPDX-License-Identifier: BSD-3-Clause
"""The one function: a network, a chip, and what fits."""

from __future__ import annotations

import math
from dataclasses import replace

from export import facts
from export.compartment import MTIF
from export.errors import NetworkError
from export.facts import STATE
from export.fit import energy as energies
from export.fit import timing
from export.fit.activity import Activity
from export.fit.checks import run_checks, stagger
from export.fit.energy import Energy
from export.fit.layers import Placement, place
from export.fit.report import FitReport, Headroom
from export.fit.structure import Structure, describe
from export.fit.suggest import suggest
from export.fit.systems import check_chip, find_system, smallest_system
from export.fit.timing import Timing
from export.fit.traffic import Traffic, count_traffic
from export.mapping import Mapping, mapping_named
from export.network import Network
from export.stock_network import Stream


def fit(
    network: Network,
    *,
    chip: str,
    system: str | None = None,
    mapping: str = "graded",
    activity: Activity | None = None,
) -> FitReport:
    """Check a network against a chip and put it on cores.

    Parameters
    ----------
    network : Network
        What to fit.
    chip : str
        ``"loihi1"`` or ``"loihi2"``.
    system : str or None
        A name of `export.fit.systems.SYSTEMS`; None for the smallest large enough.
    mapping : str
        ``"graded"``, ``"parallel-if"`` or ``"binary-if"``.
    activity : Activity or None
        Counts of a recording (`sim.statistics.activity`); without it no operations,
        no energy and no measured potentials.

    Returns
    -------
    FitReport
        What was found.

    Raises
    ------
    NetworkError
        If chip, system or mapping do not exist, or the activity is of another
        network.
    """
    check_chip(chip)
    asked = find_system(system, chip) if system else None
    if activity and activity.network_sha256 != network.sha256:
        raise NetworkError(
            f"recording: of network {activity.network_sha256[:12]}, "
            f"this one is {network.sha256[:12]}"
        )
    used = Mapping(name=mapping_named(mapping), num_thresholds=_thresholds(network))
    stock = isinstance(network, Stream)
    if stock and used.name != "graded":
        raise NetworkError(
            f"mapping '{mapping}': a stock neuron is one compartment, which fit calls "
            "'graded'; no other is allowed"
        )
    structure = describe(network)
    placement = place(structure, used, chip)
    chips = placement.chips(chip)
    chosen = asked or (None if chips is None else smallest_system(chip, chips))
    traffic = _traffic(activity, network, structure, used, chip)
    times = _timing(network, placement, traffic, chip)
    report = FitReport(
        network_sha256=network.sha256,
        chip=chip,
        mapping=mapping,
        system=chosen.name if chosen else None,
        system_chips=chosen.chips.count if chosen else None,
        checks=run_checks(network, structure, used, chip, activity),
        problem=placement.problem,
        layers=placement.layers,
        cores=placement.cores,
        chips=chips,
        timing=times,
        traffic=traffic,
        energy=_energy(traffic, times, placement, chip),
        headroom=_headroom(activity, used, network),
        notes=_stock_notes(network, chip)
        if stock
        else _notes(network, structure, used, chip),
        suggestions=(),
    )
    if asked is None or stock:  # a stock network has the size it was trained for
        return report
    return replace(
        report,
        suggestions=suggest(structure, used, chip, asked.chips.count, fits=report.fits),
    )


def _thresholds(network: Network) -> int:
    """Largest N of the network."""
    return max(
        (
            layer.compartment.num_thresholds
            for layer in network.layers
            if isinstance(layer.compartment, MTIF)
        ),
        default=1,
    )


def _traffic(
    activity: Activity | None,
    network: Network,
    structure: Structure,
    used: Mapping,
    chip: str,
) -> Traffic | None:
    if activity is None:
        return None
    return count_traffic(
        activity,
        structure,
        used,
        chip,
        num_steps=network.num_steps,
        input_name=network.input.name,
    )


def _timing(
    network: Network, placement: Placement, traffic: Traffic | None, chip: str
) -> Timing:
    steps, latency = network.num_steps, network.latency
    if chip == "loihi2":
        return timing.loihi2_timing(steps, latency)
    synops, compartments = 0.0, 0
    for layer in placement.layers:
        if layer.cores:
            compartments = max(compartments, layer.uses[0].used)
            if traffic:
                # The mean core of a layer: its busiest one has at least as much.
                synops = max(synops, traffic.synops[layer.name] / layer.cores / steps)
    return timing.loihi1_timing(steps, latency, synops, compartments)


def _energy(
    traffic: Traffic | None, times: Timing, placement: Placement, chip: str
) -> Energy | None:
    if traffic is None:
        return None
    if chip == "loihi2":
        return energies.energy(traffic, (), energies.LOIHI2_NOTE)
    chips = placement.chips(chip)
    if chips is None:
        note = (
            f"Not placed ({placement.problem}): only the operations themselves, "
            f"without spikes between cores and static power. {energies.LOIHI1_NOTE}"
        )
        return energies.energy(traffic, energies.loihi1_operations(traffic), note)
    messages = sum(
        count * placement.messages[name] for name, count in traffic.spikes.items()
    )
    terms = energies.loihi1_energy(traffic, times, chips, messages)
    return energies.energy(traffic, terms, energies.LOIHI1_NOTE)


def _headroom(
    activity: Activity | None, used: Mapping, network: Network
) -> Headroom | None:
    found = []
    for seen in activity.layers if activity else ():
        if seen.potential_minimum is None or seen.potential_maximum is None:
            continue
        layer = next(x for x in network.layers if x.name == seen.name)
        low, high = seen.potential_minimum, seen.potential_maximum
        high += stagger(layer, used)
        largest = max(high / STATE.maximum, low / STATE.minimum, 1 / STATE.maximum)
        bits = -math.log2(largest)
        found.append(Headroom(layer=seen.name, minimum=low, maximum=high, bits=bits))
    return min(found, key=lambda headroom: headroom.bits, default=None)


CORES_NOTES = {
    "loihi1": "cores: the four limits of Davies et al. 2018 with NxTF's bit counts; "
    "they give the 157 cores that NxTF printed for its CIFAR-10 network",
    "loihi2": "cores: rules inferred from tables that Intel's compiler printed, which "
    "they reproduce; Intel documents none of them (docs/fit.md)",
}
WEIGHTS_NOTE = "weights counted with 8 bits, which no printed allocation exceeds"


def _stock_notes(network: Network, chip: str) -> tuple[str, ...]:
    channels, height, width = network.input.shape
    values = f"{channels * height * width:,}"
    sends = (
        f"the host sends what is not zero of {values} values at each of "
        f"{network.num_steps} steps; a Delta encoder runs there and takes no core"
        if network.input.changes
        else f"the host writes {values} biases before each run of {network.num_steps} "
        "steps; the neurons that hold them take cores"
    )
    if chip == "loihi2":
        return CORES_NOTES[chip], sends, WEIGHTS_NOTE
    axons = "axons are counted as discrete; population axons would take fewer"
    return CORES_NOTES[chip], sends, axons


def _notes(
    network: Network, structure: Structure, used: Mapping, chip: str
) -> tuple[str, ...]:
    channels, height, width = network.input.shape
    pixels = channels * height * width
    if chip == "loihi1":
        neurons = sum(layer.neurons for layer in structure.layers if layer.spiking)
        compartments = neurons * used.compartments
        return (
            "soft reset is not native: NxTF's two-compartment neuron adds "
            f"{compartments:,} compartments to {compartments:,}, one synapse list and "
            "one axon to each, and rules out population axons",
            "the image enters as a bias per compartment of the first layer, computed "
            "off chip; so does the part of the output that reads the image "
            f"({pixels:,} pixels)",
            CORES_NOTES[chip],
        )
    rate = facts.L2_HOST_MESSAGES
    seconds = pixels * network.num_steps / rate.value
    return (
        CORES_NOTES[chip],
        f"the host sends {pixels:,} pixels at each of {network.num_steps} steps: "
        f"{seconds * 1e3:.2f} ms per image at {rate.value:.0f} messages/s "
        f"({rate.source})",
        WEIGHTS_NOTE,
    )
