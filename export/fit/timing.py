# SPDX-License-Identifier: BSD-3-Clause
"""Steps and time of one image."""

from __future__ import annotations

from dataclasses import dataclass

from export import facts

NANO, MICRO = 1e-9, 1e-6


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Steps and, as far as known, seconds of one image.

    Parameters
    ----------
    steps_per_image : int
        T: in a stream one image is complete every T steps.
    latency_steps : int
        T plus the stages of the network.
    step_low, step_high : float
        Seconds per step: a floor that the chip cannot beat, and the longest step
        that was measured with another network.
    note : str
        Where the two come from.
    """

    steps_per_image: int
    latency_steps: int
    step_low: float
    step_high: float
    note: str

    @property
    def images_per_second(self) -> tuple[float, float]:
        """Throughput at the longest and at the shortest step."""
        steps = self.steps_per_image
        return 1 / (steps * self.step_high), 1 / (steps * self.step_low)


def loihi1_timing(
    steps: int, latency: int, busiest_synops: float, busiest_compartments: int
) -> Timing:
    """Floor of a step from its busiest core, and what NxTF measured."""
    core = (
        busiest_synops * facts.L1_NS_SYNAPSE.value
        + busiest_compartments * facts.L1_NS_NEURON.value
    )
    floor = max(core, facts.L1_NS_BARRIER.value) * NANO
    return Timing(
        steps_per_image=steps,
        latency_steps=latency,
        step_low=floor,
        step_high=max(floor, facts.L1_US_STEP_MEASURED_MAX.value * MICRO),
        note="low: floor of the busiest core by Davies 2018; high: longest step "
        f"measured with NxTF ({facts.L1_US_STEP_MEASURED_MIN.value} us with one chip, "
        f"{facts.L1_US_STEP_MEASURED_MAX.value} us with 157 cores on two); more chips "
        "may take longer",
    )


def loihi2_timing(steps: int, latency: int) -> Timing:
    """Shortest step that Intel states, and what it measured with PilotNet."""
    return Timing(
        steps_per_image=steps,
        latency_steps=latency,
        step_low=facts.L2_NS_STEP.value * NANO,
        step_high=facts.L2_US_STEP_PILOTNET.value * MICRO,
        note="low: shortest chip-wide step that Intel states; high: measured by Intel "
        "with PilotNet LIF on 74 cores of one chip, not with this network",
    )
