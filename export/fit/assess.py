# SPDX-License-Identifier: BSD-3-Clause
"""The one function: a network, a chip, and what fits."""

from __future__ import annotations

import math
from dataclasses import replace

from export.compartment import MTIF
from export.errors import NetworkError
from export.facts import STATE
from export.fit.activity import Activity
from export.fit.checks import run_checks, stagger
from export.fit.chip import Chip
from export.fit.chips import chip_named
from export.fit.layers import place
from export.fit.report import FitReport, Headroom
from export.fit.structure import Structure, describe
from export.fit.suggest import suggest
from export.fit.systems import find_system, smallest_system
from export.fit.traffic import Traffic, count_traffic
from export.mapping import Mapping, mapping_named
from export.network import Network


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
    target = chip_named(chip)
    asked = find_system(system, chip) if system else None
    if activity and activity.network_sha256 != network.sha256:
        raise NetworkError(
            f"recording: of network {activity.network_sha256[:12]}, "
            f"this one is {network.sha256[:12]}"
        )
    used = Mapping(name=mapping_named(mapping), num_thresholds=most_thresholds(network))
    if not network.in_windows and used.name != "graded":
        raise NetworkError(
            f"mapping '{mapping}': a stock neuron is one compartment, which fit calls "
            "'graded'; no other is allowed"
        )
    structure = describe(network)
    placement = place(structure, used, target)
    chips = placement.chips
    chosen = asked or (None if chips is None else smallest_system(chip, chips))
    traffic = _traffic(activity, network, structure, used, target)
    times = target.timing(network, placement, traffic)
    report = FitReport(
        network_sha256=network.sha256,
        network_sha256_any_size=network.sha256_any_size,
        chip=chip,
        mapping=mapping,
        system=chosen.name if chosen else None,
        system_chips=chosen.chips.count if chosen else None,
        checks=run_checks(network, structure, used, target, activity),
        problem=placement.problem,
        layers=placement.layers,
        cores=placement.cores,
        chips=chips,
        timing=times,
        traffic=traffic,
        energy=target.energy(traffic, times, placement) if traffic else None,
        headroom=_headroom(activity, used, network),
        notes=_stock_notes(network, target)
        if not network.in_windows
        else target.notes(network, structure, used),
        suggestions=(),
    )
    if asked is None or not network.in_windows:  # of the size it was trained for
        return report
    return replace(
        report,
        suggestions=suggest(
            structure, used, target, asked.chips.count, fits=report.fits
        ),
    )


def most_thresholds(network: Network) -> int:
    """Return the largest N of a network's layers; 1 without any."""
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
    chip: Chip,
) -> Traffic | None:
    if activity is None:
        return None
    return count_traffic(
        activity,
        structure,
        used,
        reset_compartments=chip.reset_compartments,
        image_is_bias=chip.image_is_bias,
        num_steps=network.num_steps,
        input_name=network.input.name,
    )


def _headroom(
    activity: Activity | None, used: Mapping, network: Network
) -> Headroom | None:
    headrooms = []
    for seen in activity.layers if activity else ():
        if seen.potential_minimum is None or seen.potential_maximum is None:
            continue
        layer = next(x for x in network.layers if x.name == seen.name)
        low, high = seen.potential_minimum, seen.potential_maximum
        high += stagger(layer, used)
        largest = max(high / STATE.maximum, low / STATE.minimum, 1 / STATE.maximum)
        bits = -math.log2(largest)
        headrooms.append(
            Headroom(layer=seen.name, minimum=low, maximum=high, bits=bits)
        )
    return min(headrooms, key=lambda headroom: headroom.bits, default=None)


def _stock_notes(network: Network, chip: Chip) -> tuple[str, ...]:
    channels, height, width = network.input.shape
    values = f"{channels * height * width:,}"
    sends = (
        f"the host sends what is not zero of {values} values at each of "
        f"{network.num_steps} steps; a Delta encoder runs there and takes no core"
        if network.input.changes
        else f"the host writes {values} biases before each run of {network.num_steps} "
        "steps; the neurons that hold them take cores"
    )
    cores, assumed = chip.stock_notes()
    return cores, sends, assumed
