# SPDX-License-Identifier: BSD-3-Clause
"""Energy of one image, from counted activity.

Loihi 1 is an interval: its low end takes the smallest and its high end the largest
published number of each operation. Nobody has published the energy of an operation
on Loihi 2, so there is none here; what Intel measured is quoted instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from export import facts
from export.facts import Fact
from export.fit.timing import Timing
from export.fit.traffic import Traffic

PICO, MILLI = 1e-12, 1e-3


@dataclass(frozen=True, kw_only=True)
class EnergyTerm:
    """One line of the energy interval.

    Parameters
    ----------
    what : str
        Which operations.
    count : float
        How many per image.
    low, high : float
        Joules per image.
    source : str
        Where the two numbers come from.
    """

    what: str
    count: float
    low: float
    high: float
    source: str


LOIHI1_NOTE = (
    "Davies et al. 2018 is pre-silicon simulation at 0.75 V; SANA-FE's numbers are "
    "fits to runs on Nahuku (error up to 11.7 % energy, 24.3 % time). Nothing here was "
    "measured with this network."
)
LOIHI2_NOTE = (
    "No energy: nobody has published the energy of an operation on Loihi 2. Measured "
    f"by Intel ({facts.NETX_RUNS}): PilotNet LIF, 74 cores of one chip, 16 steps: "
    f"{facts.L2_MJ_PILOTNET_TOTAL.value} mJ per inference, "
    f"{facts.L2_MJ_PILOTNET_DYNAMIC.value} mJ of it dynamic. Hala Point: at most "
    f"{facts.L2_W_CHIP_MAX.value:.2f} W per chip, whole system ({facts.INTEL_2024})."
)
PAPER_NOTE = (
    "arXiv 2307.10974, eq. 13, as its authors' code computes it: 0.9 pJ for each "
    "emitted spike and 4.6 pJ for each multiply-accumulate of the first layer. A spike "
    "costs one accumulation in each of its synapses, so the formula leaves out the "
    "fan-out; the figure 'with fan-out' has it. The code also leaves out the spikes of "
    "pools; they are counted here."
)


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Energy of one image.

    Parameters
    ----------
    terms : tuple of EnergyTerm
        Empty for Loihi 2.
    paper_snn, paper_ann : float
        Joules after the paper's eq. 13: emitted spikes and the first layer, and the
        multiply-accumulates of the network without spikes.
    paper_snn_synops : float
        The same with 0.9 pJ for each synaptic operation of those spikes.
    note, paper_note : str
        What the numbers are worth.
    """

    terms: tuple[EnergyTerm, ...]
    paper_snn: float
    paper_ann: float
    paper_snn_synops: float
    note: str
    paper_note: str = PAPER_NOTE

    @property
    def low(self) -> float:
        """Sum of the low ends, joules."""
        return sum(term.low for term in self.terms)

    @property
    def high(self) -> float:
        """Sum of the high ends, joules."""
        return sum(term.high for term in self.terms)


def loihi1_operations(traffic: Traffic) -> tuple[EnergyTerm, ...]:
    """Energy interval of the operations of one image, wherever their cores lie.

    Parameters
    ----------
    traffic : Traffic
        Operations of one image.
    """
    return (
        _term(
            "synaptic operations",
            sum(traffic.synops.values()),
            facts.L1_PJ_SYNAPSE,
            facts.L1_PJ_FIT_SYNAPSE_MIN,
            facts.L1_PJ_FIT_SYNAPSE_MAX,
        ),
        _term(
            "compartment updates",
            traffic.updates,
            facts.L1_PJ_NEURON_INACTIVE,
            facts.L1_PJ_NEURON_ACTIVE,
            facts.L1_PJ_FIT_INACTIVE,
            facts.L1_PJ_FIT_ACTIVE,
        ),
    )


def loihi1_energy(
    traffic: Traffic, timing: Timing, chips: int, messages: float
) -> tuple[EnergyTerm, ...]:
    """Energy interval of one image on the cores of a Loihi 1.

    Parameters
    ----------
    traffic : Traffic
        Operations of one image.
    timing : Timing
        Bounds of a step.
    chips : int
        Chips that are powered.
    messages : float
        Spikes of one image times the cores that each goes to.
    """
    across = (
        facts.L1_HOPS_EW.value * facts.L1_PJ_FIT_HOP_EW.value
        + facts.L1_HOPS_NS.value * facts.L1_PJ_FIT_HOP_NS.value
    )
    spikes = sum(traffic.spikes.values())
    high = spikes * facts.L1_PJ_FIT_SPIKE.value
    high += messages * (facts.L1_PJ_FIT_MESSAGE.value + across)
    power = chips * (facts.L1_STATIC_MW.value + facts.L1_X86_MW.value) * MILLI
    steps = timing.steps_per_image
    return (
        *loihi1_operations(traffic),
        EnergyTerm(
            what="spikes to other cores",
            count=messages,
            low=messages * facts.L1_PJ_TILE.value * PICO,
            high=high * PICO,
            source="low: within a tile (Davies 2018); high: across the mesh (SANA-FE); "
            "links between chips are not published",
        ),
        EnergyTerm(
            what=f"static and x86 power of {chips} chips",
            count=float(steps),
            low=power * steps * timing.step_low,
            high=power * steps * timing.step_high,
            source=facts.FRADY_2020,
        ),
    )


def _term(what: str, count: float, *published: Fact) -> EnergyTerm:
    """Interval from the smallest to the largest published number."""
    low = min(published, key=lambda fact: fact.value)
    high = max(published, key=lambda fact: fact.value)
    return EnergyTerm(
        what=what,
        count=count,
        low=count * low.value * PICO,
        high=count * high.value * PICO,
        source=f"{low.value} pJ: {low.source}; {high.value} pJ: {high.source}",
    )


def energy(traffic: Traffic, terms: tuple[EnergyTerm, ...], note: str) -> Energy:
    """Put the interval beside the paper's own formula."""
    spike, mac = facts.PAPER_PJ_SPIKE.value, facts.PAPER_PJ_MAC.value
    first = traffic.first_macs * mac * PICO
    return Energy(
        terms=terms,
        paper_snn=traffic.threshold_spikes * spike * PICO + first,
        paper_ann=traffic.macs * mac * PICO,
        paper_snn_synops=traffic.threshold_synops * spike * PICO + first,
        note=note,
    )
