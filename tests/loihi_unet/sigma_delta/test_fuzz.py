# SPDX-License-Identifier: BSD-3-Clause
"""Random converted networks; `python -m benchmarks.torture sigma_delta` does more."""

import numpy as np
import pytest

from benchmarks.torture import sigma_delta_worker as worker


@pytest.mark.parametrize("number", range(1, 9))
def test_every_machine_says_the_same(number):
    survived, outcome, detail = worker.judge(number)
    assert survived, f"{outcome}: {detail}"


def test_a_payload_that_differs_is_found(monkeypatch):
    """The comparison can fail: one value of one layer is off by one."""
    right = worker.at_once

    def wrong(network, frames, backend):
        found = right(network, frames, backend)
        if backend == "torch" and not isinstance(found, str):
            changed = np.array(found["out"])
            changed[-1, 0, 0, 0] += 1
            found["out"] = changed
        return found

    monkeypatch.setattr(worker, "at_once", wrong)
    outcomes = [worker.judge(number)[:2] for number in range(1, 4)]
    assert (False, "torch differs") in outcomes
