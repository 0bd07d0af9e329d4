# SPDX-License-Identifier: BSD-3-Clause
"""Readers against damaged files, in child processes that may die."""

from __future__ import annotations

from typing import Any

from benchmarks.torture.child import Child
from benchmarks.torture.result import Result
from benchmarks.torture.subjects import SUBJECTS

HANG_SECONDS = 10  # of processor time: the machine may be shared
MEMORY_MB = 2048


def fuzz(kind: str, result: Result, count: int) -> None:
    """Read ``count`` damaged files of one kind.

    Survived: a valid object or one line of `UserError`, within 10 s and 2 GB.

    Parameters
    ----------
    kind : str
        Key of `SUBJECTS`.
    result : Result
        Takes the counts.
    count : int
        Number of cases; case n is the same in every run.
    """
    result.what = (
        f"{SUBJECTS[kind].what}: a valid object or one line of error, no crash, no "
        f"hang over {HANG_SECONDS} s of processor time, no memory over 2 GB"
    )
    damages = result.notes.setdefault("damage", {})
    child: Child | None = None
    try:
        for number in result.cases(count):
            child = child or Child("worker", kind, number, count, {})
            record = child.next()
            damage, peak = record["damage"], record.get("peak_mb", 0)
            damages[damage] = damages.get(damage, 0) + 1
            result.most("slowest processor seconds", record.get("cpu_seconds", 0.0))
            result.most("peak memory MB", peak)
            _count(result, record, f"case {number} ({damage}) {record['detail']}")
            if child.ended or peak > MEMORY_MB:
                child.end()  # a fresh one, also to measure its peak anew
                child = None
    finally:
        if child:
            child.end()


def _count(result: Result, record: dict[str, Any], example: str) -> None:
    if record.get("peak_mb", 0) > MEMORY_MB:
        result.bad("memory over 2 GB", example)
    elif record.get("cpu_seconds", 0.0) > HANG_SECONDS:
        result.bad("hang", example)
    elif record["survived"]:
        result.good(record["outcome"])
    else:
        result.bad(record["outcome"], example)
