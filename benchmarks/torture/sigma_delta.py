# SPDX-License-Identifier: BSD-3-Clause
"""Random networks of sigma-delta neurons, converted and streamed, in children."""

from __future__ import annotations

from benchmarks.torture.child import in_children
from benchmarks.torture.result import Result


def sigma_delta(result: Result, count: int) -> None:
    """U-Nets of random size and weights, whose frames are of any kind.

    Parameters
    ----------
    result : Result
        Takes the counts.
    count : int
        Number of networks; case n is the same in every run.
    """
    result.what = (
        "random U-Nets, converted to sigma-delta neurons with random thresholds, a few "
        "frames of noise, patterns or extremes: all at once on reference and torch, "
        "step by step on both, every tenth in Lava: the same integers or the same "
        "overflow; the file says the same network; no crash"
    )
    in_children(result, count, "sigma_delta_worker", "sigma_delta", {})
