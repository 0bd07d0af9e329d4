# SPDX-License-Identifier: BSD-3-Clause
"""Every value of a network against what a chip can hold: place, found, allowed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from export.compartment import MTIF, Accumulator, Compartment
from export.facts import (
    BIAS_EXP,
    BIAS_MANT,
    DELAY,
    STATE,
    VTH_MANT,
    WEIGHT_EXP,
    WEIGHT_MANT,
    IntRange,
)
from export.fit.activity import Activity
from export.fit.bounds import potential_bounds
from export.fit.check import Check, in_range
from export.fit.chip import Chip
from export.fit.structure import Structure
from export.mapping import Mapping
from export.network import Connection, Input, Layer, Network
from export.stock_compartment import (
    CUBA,
    STATE_SHIFT,
    Delta,
    Sigma,
    SigmaDelta,
    StockCompartment,
)
from export.synapse import AveragePool, Dense, Injection, StockSynapse, Synapse


def run_checks(
    network: Network,
    structure: Structure,
    mapping: Mapping,
    chip: Chip,
    activity: Activity | None,
) -> tuple[Check, ...]:
    """Check every value of a network.

    Parameters
    ----------
    network : Network
        What to check.
    structure : Structure
        Its structure.
    mapping : Mapping
        Compartments per neuron.
    chip : Chip
        Whose limits count.
    activity : Activity or None
        Adds measured potentials.

    Returns
    -------
    tuple of Check
        In network order.
    """
    measured = {a.name: a for a in activity.layers} if activity else {}
    checks: list[Check] = list(_input_checks(network.input, chip))
    shapes = {shape.name: shape for shape in structure.layers}
    for layer in network.layers:
        place = f"layer '{layer.name}'"
        for connection in layer.connections:
            where = f"{place} <- '{connection.source}'"
            source = network.nodes[connection.source]
            checks += _connection_checks(where, connection, layer, source.magnitude)
        checks += _compartment_checks(place, layer, mapping, chip)
        checks += _state_checks(place, layer, network, mapping)
        seen = measured.get(layer.name)
        if seen and seen.potential_maximum is not None:
            low = seen.potential_minimum or 0
            high = seen.potential_maximum + stagger(layer, mapping)
            checks.append(in_range(place, "measured potential", low, high, STATE))
        if layer.name in shapes:
            checks += chip.core_checks(place, shapes[layer.name], mapping, structure)
    checks += chip.input_current_checks(network)
    return tuple(checks)


def _input_checks(source: Input, chip: Chip) -> Iterator[Check]:
    if chip.graded:
        bits = chip.payload_bits.count
        needed = max((~source.minimum).bit_length(), source.maximum.bit_length()) + 1
        allowed = IntRange(minimum=1, maximum=bits)
        yield in_range(f"'{source.name}'", "payload bits", needed, needed, allowed)


def _connection_checks(
    where: str, connection: Connection, layer: Layer, magnitude: int
) -> Iterator[Check]:
    synapse: Synapse | StockSynapse = connection.synapse
    if isinstance(synapse, Injection):
        return
    weight = (
        np.array([synapse.weight_mant])
        if isinstance(synapse, AveragePool)
        else synapse.weight
    )
    low, high = int(weight.min()), int(weight.max())
    yield in_range(where, "weight mantissa", low, high, WEIGHT_MANT)
    exponent, delay = connection.weight_exp, connection.delay
    if isinstance(synapse, Dense) and synapse.delay is not None:
        delay = int(synapse.delay.max())
    yield in_range(where, "weight exponent", exponent, exponent, WEIGHT_EXP)
    yield in_range(where, "delay", delay, delay, DELAY)
    bound = connection.bound(magnitude)
    compartment: Compartment | StockCompartment = layer.compartment
    if isinstance(compartment, CUBA):
        bound <<= STATE_SHIFT  # its u holds the sum shifted
    yield in_range(
        where,
        "largest possible input sum",
        -bound,
        bound,
        STATE,
        blocking=False,
        advice="a run that reaches it stops with an overflow error",
    )


def _compartment_checks(
    place: str, layer: Layer, mapping: Mapping, chip: Chip
) -> Iterator[Check]:
    compartment: Compartment | StockCompartment = layer.compartment
    for bias in layer.biases:
        low, high = int(bias.mant.min()), int(bias.mant.max())
        yield in_range(place, "bias mantissa", low, high, BIAS_MANT)
        yield in_range(place, "bias exponent", bias.exp, bias.exp, BIAS_EXP)
    if not isinstance(compartment, MTIF):
        yield from _stock_checks(place, compartment, chip)
        return
    theta = int(compartment.vth_mant.max())
    highest = mapping.highest_threshold
    graded = mapping.name == "graded"
    allowed = IntRange(minimum=1, maximum=STATE.maximum if graded else VTH_MANT.maximum)
    largest = allowed.maximum // highest
    yield in_range(
        place,
        f"highest threshold ({highest} x theta)",
        theta * highest,
        theta * highest,
        allowed,
        advice=f"theta {theta} found, up to {largest} fits: at most {largest // 2} "
        f"levels per threshold, {theta // 2} now",
    )
    yield from chip.spike_checks(place, compartment, mapping)


def _stock_checks(
    place: str, compartment: Accumulator | StockCompartment, chip: Chip
) -> Iterator[Check]:
    if isinstance(compartment, CUBA):
        thresholds = np.asarray(compartment.vth_mant)
        low, high = int(thresholds.min()), int(thresholds.max())
        allowed = IntRange(minimum=0, maximum=VTH_MANT.maximum)
        # netx's and slayer's words for "never fires" lie above the register.
        advice = "stands for never; the largest mantissa does, unless v saturates"
        yield in_range(
            place, "threshold", low, high, allowed, blocking=False, advice=advice
        )
    graded = isinstance(compartment, Delta | SigmaDelta | Sigma)
    if graded and not chip.graded:
        bits = STATE.maximum.bit_length() + 1
        allowed = IntRange(minimum=1, maximum=chip.payload_bits.count)
        advice = "spikes are binary: sigma-delta neurons need a Loihi 2"
        yield in_range(place, "payload bits", bits, bits, allowed, advice=advice)


def _state_checks(
    place: str, layer: Layer, network: Network, mapping: Mapping
) -> Iterator[Check]:
    if not network.in_windows:
        return  # u wraps and v saturates: that is what stock neurons are
    low, high = potential_bounds(layer, network)
    high += stagger(layer, mapping)
    yield in_range(
        place,
        "largest possible potential",
        low,
        high,
        STATE,
        blocking=False,
        advice="a run that reaches it stops with an overflow error",
    )


def stagger(layer: Layer, mapping: Mapping) -> int:
    """Copies of parallel-if hold v + theta * (0 .. copies - 1)."""
    if not isinstance(layer.compartment, MTIF):
        return 0
    return (mapping.copies - 1) * int(layer.compartment.vth_mant.max())
