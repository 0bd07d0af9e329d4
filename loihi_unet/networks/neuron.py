# SPDX-License-Identifier: BSD-3-Clause
"""The multi-threshold integrate-and-fire neuron in floating point."""

import torch


def multi_threshold_if(
    current: torch.Tensor, *, base_threshold: float, num_thresholds: int
) -> torch.Tensor:
    """Run neurons over all steps from a membrane potential of 0.

    arXiv 2307.10974, eq. (4)-(6): thresholds ``q * 2**i``, each tried once per step
    from the highest down, reset by subtraction. For every step, in closed form::

        v = v + current[t]
        g = clamp(floor(v / q), 0, 2**N - 1)
        v = v - g * q

    Parameters
    ----------
    current : Tensor, shape (T, ...), float
        Input of each step.
    base_threshold : float
        q, in the unit of `current`.
    num_thresholds : int
        N.

    Returns
    -------
    Tensor, shape (T, ...), dtype of `current`
        Payloads g, whole numbers 0 .. 2**N - 1; the emitted value is ``g * q``.
    """
    top = 2**num_thresholds - 1
    v = torch.zeros_like(current[0])
    payloads = torch.empty_like(current)
    for payload, drive in zip(payloads, current, strict=True):
        v += drive
        torch.div(v, base_threshold, out=payload).floor_().clamp_(0, top)
        v.sub_(payload, alpha=base_threshold)
    return payloads
