# SPDX-License-Identifier: BSD-3-Clause
"""Random networks of stock neurons on every backend, in child processes."""

from __future__ import annotations

from benchmarks.torture.child import in_children
from benchmarks.torture.result import Result


def stock(result: Result, count: int) -> None:
    """Networks of every kind of layer, of any size of their numbers.

    Parameters
    ----------
    result : Result
        Takes the counts.
    count : int
        Number of networks; case n is the same in every run.
    """
    result.what = (
        "random networks of stock neurons (CUBA, sigma-delta; Conv, ConvT, Pool, "
        "Unpool, Dense; several sources, recurrence, delays, resets) on reference and "
        "torch, and every tenth in Lava: the same spikes and states, or the same "
        "overflow, no crash"
    )
    in_children(result, count, "stock_worker", "stock", {})
