# SPDX-License-Identifier: BSD-3-Clause
"""What a child process does with random networks: a line of JSON for each."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable


def judge_cases(judge: Callable[[int], tuple[bool, str, str]]) -> None:
    """Judge the cases that the command line names, and print what came out.

    Parameters
    ----------
    judge : callable
        Takes a case's number; returns whether it survived, the outcome and a detail.
    """
    first, end = int(sys.argv[2]), int(sys.argv[3])
    for number in range(first, end):
        print("begin", number, "network", flush=True)
        started = time.process_time()
        survived, outcome, detail = judge(number)
        record = {
            "number": number,
            "damage": "network",
            "survived": survived,
            "outcome": outcome,
            "detail": detail,
            "cpu_seconds": time.process_time() - started,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        print(json.dumps(record), flush=True)
