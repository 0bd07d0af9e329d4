# SPDX-License-Identifier: BSD-3-Clause
"""All questions, in the order in which a chip should be asked."""

from __future__ import annotations

from sim.probes import stock_probes, window_probes
from sim.probes.probe import Probe

_QUESTIONS = (
    stock_probes.threshold,
    stock_probes.current_decay,
    stock_probes.potential_decay,
    stock_probes.order,
    stock_probes.spike_reset,
    stock_probes.step_reset,
    stock_probes.overflow,
    stock_probes.synaptic_delay,
    window_probes.soft_reset,
    window_probes.residual,
    window_probes.window_start,
    window_probes.graded,
    window_probes.weight_exponent,
    window_probes.skip_delay,
)


def probes() -> dict[str, Probe]:
    """Every probe by its name."""
    return {probe.name: probe for probe in (question() for question in _QUESTIONS)}
