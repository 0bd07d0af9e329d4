# SPDX-License-Identifier: BSD-3-Clause
"""Every value of a network against what a chip can hold: place, found, allowed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from export import facts
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
from export.fit.structure import LayerStructure, Structure
from export.mapping import Mapping
from export.network import Connection, Input, Layer, Network
from export.stock import (
    CUBA,
    STATE_SHIFT,
    Delta,
    Sigma,
    SigmaDelta,
    StockCompartment,
)
from export.stream import Stream
from export.synapse import AveragePool, Dense, Injection, StockSynapse, Synapse


@dataclass(frozen=True, kw_only=True)
class Check:
    """One value and its limit.

    Parameters
    ----------
    place : str
        Layer or connection.
    quantity : str
        What was checked.
    found, allowed : str
        Value or range, and what the chip holds.
    ok : bool
        Whether it fits.
    blocking : bool
        False for a worst case that images need not reach: a warning.
    advice : str
        What to change; empty if it fits.
    """

    place: str
    quantity: str
    found: str
    allowed: str
    ok: bool
    blocking: bool = True
    advice: str = ""

    def __str__(self) -> str:
        text = (
            f"{self.place}: {self.quantity} {self.found} found, {self.allowed} allowed"
        )
        return f"{text}; {self.advice}" if self.advice else text


def run_checks(
    network: Network,
    structure: Structure,
    mapping: Mapping,
    chip: str,
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
    chip : str
        ``"loihi1"`` or ``"loihi2"``.
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
            checks.append(_range(place, "measured potential", low, high, STATE))
        if chip == "loihi1" and layer.name in shapes:
            checks.append(_fan_in(place, shapes[layer.name], mapping, structure))
    if chip == "loihi1" and not isinstance(network, Stream):
        checks += _first_layer_checks(network)
    return tuple(checks)


def _range(
    place: str,
    quantity: str,
    low: int,
    high: int,
    allowed: IntRange,
    *,
    blocking: bool = True,
    advice: str = "",
) -> Check:
    ok = allowed.contains(low, high)
    return Check(
        place=place,
        quantity=quantity,
        found=f"{low}..{high}" if low != high else str(low),
        allowed=str(allowed),
        ok=ok,
        blocking=blocking,
        advice="" if ok else advice,
    )


def _input_checks(source: Input, chip: str) -> Iterator[Check]:
    if chip == "loihi2":
        bits = facts.L2_PAYLOAD_BITS.count
        needed = max((~source.minimum).bit_length(), source.maximum.bit_length()) + 1
        yield _range(
            f"'{source.name}'",
            "payload bits",
            needed,
            needed,
            IntRange(minimum=1, maximum=bits),
        )


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
    yield _range(where, "weight mantissa", low, high, WEIGHT_MANT)
    exponent, delay = connection.weight_exp, connection.delay
    if isinstance(synapse, Dense) and synapse.delay is not None:
        delay = int(synapse.delay.max())
    yield _range(where, "weight exponent", exponent, exponent, WEIGHT_EXP)
    yield _range(where, "delay", delay, delay, DELAY)
    bound = connection.bound(magnitude)
    compartment: Compartment | StockCompartment = layer.compartment
    if isinstance(compartment, CUBA):
        bound <<= STATE_SHIFT  # its u holds the sum shifted
    yield _range(
        where,
        "largest possible input sum",
        -bound,
        bound,
        STATE,
        blocking=False,
        advice="a run that reaches it stops with an overflow error",
    )


def _fan_in(
    place: str, layer: LayerStructure, mapping: Mapping, structure: Structure
) -> Check:
    """Each source neuron is an input axon; so is each compartment's own reset."""
    on_chip = structure.on_chip(layer.links)
    axons = sum(link.fan_in() for link in on_chip) * mapping.planes
    resets = mapping.planes if layer.built_reset else 0
    allowed = IntRange(minimum=0, maximum=facts.L1_AXONS_IN.count - resets)
    advice = "one neuron alone takes more input axons than a core has: fewer channels"
    return _range(place, "fan-in", axons, axons, allowed, advice=advice)


def _compartment_checks(
    place: str, layer: Layer, mapping: Mapping, chip: str
) -> Iterator[Check]:
    compartment: Compartment | StockCompartment = layer.compartment
    for bias in layer.biases:
        low, high = int(bias.mant.min()), int(bias.mant.max())
        yield _range(place, "bias mantissa", low, high, BIAS_MANT)
        yield _range(place, "bias exponent", bias.exp, bias.exp, BIAS_EXP)
    if not isinstance(compartment, MTIF):
        yield from _stock_checks(place, compartment, chip)
        return
    theta = int(compartment.vth_mant.max())
    highest = mapping.highest_threshold
    graded = mapping.name == "graded"
    allowed = IntRange(minimum=1, maximum=STATE.maximum if graded else VTH_MANT.maximum)
    largest = allowed.maximum // highest
    yield _range(
        place,
        f"highest threshold ({highest} x theta)",
        theta * highest,
        theta * highest,
        allowed,
        advice=f"theta {theta} found, up to {largest} fits: at most {largest // 2} "
        f"levels per threshold, {theta // 2} now",
    )
    if chip == "loihi1":
        bits = mapping.num_thresholds if graded else 1
        yield _range(
            place,
            "payload bits",
            bits,
            bits,
            IntRange(minimum=1, maximum=facts.L1_PAYLOAD_BITS.count),
            advice="spikes are binary: mapping parallel-if",
        )
        yield _reset_check(place, highest, compartment.vth_mant.tolist())
    else:
        bits = mapping.num_thresholds
        limit = IntRange(minimum=1, maximum=facts.L2_PAYLOAD_BITS.count)
        yield _range(place, "payload bits", bits, bits, limit)


def _stock_checks(
    place: str, compartment: Accumulator | StockCompartment, chip: str
) -> Iterator[Check]:
    if isinstance(compartment, CUBA):
        thresholds = np.asarray(compartment.vth_mant)
        low, high = int(thresholds.min()), int(thresholds.max())
        allowed = IntRange(minimum=0, maximum=VTH_MANT.maximum)
        # netx's and slayer's words for "never fires" lie above the register.
        advice = "stands for never; the largest mantissa does, unless v saturates"
        yield _range(
            place, "threshold", low, high, allowed, blocking=False, advice=advice
        )
    graded = isinstance(compartment, Delta | SigmaDelta | Sigma)
    if graded and chip == "loihi1":
        bits = STATE.maximum.bit_length() + 1
        allowed = IntRange(minimum=1, maximum=facts.L1_PAYLOAD_BITS.count)
        advice = "spikes are binary: sigma-delta neurons need a Loihi 2"
        yield _range(place, "payload bits", bits, bits, allowed, advice=advice)


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


def _state_checks(
    place: str, layer: Layer, network: Network, mapping: Mapping
) -> Iterator[Check]:
    if isinstance(network, Stream):
        return  # u wraps and v saturates: that is what stock neurons are
    low, high = potential_bounds(layer, network)
    high += stagger(layer, mapping)
    yield _range(
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


def _first_layer_checks(network: Network) -> Iterator[Check]:
    """The image enters Loihi 1 as a bias per compartment, computed off chip."""
    for layer in network.layers:
        for c in layer.connections:
            if c.source != network.input.name:
                continue
            bound = c.bound(network.input.magnitude)
            bound += int(np.abs(layer.compartment.bias.effective()).max())
            yield _range(
                f"layer '{layer.name}' <- '{c.source}'",
                "current as a bias per compartment",
                -bound,
                bound,
                BIAS_MANT,
                blocking=False,
                advice="a larger current is rounded to 13 bits << 0..7",
            )
