# SPDX-License-Identifier: BSD-3-Clause
"""What pictures climb towards."""

import numpy as np

from sim.coverage.choose import _Chooser
from sim.selftest import small_network

WANTED = np.array([[0, 1, 0, 0]] + 3 * [[0, 0, 0, 0]], dtype=bool)


def targets(monkeypatch, missing, places):
    chooser = _Chooser(small_network(), 0)
    monkeypatch.setattr(chooser.coverage, "places", lambda network: places)
    return chooser._before_pools(missing)


def test_what_a_pool_reads_is_wanted_in_its_stead(monkeypatch):
    missing, places = targets(monkeypatch, [("pool", 2)], {("pool", 2): WANTED})
    assert missing == [("down", 2)]
    (where,) = places.values()
    assert [*places] == [("down", 2)]
    # The window of 2x2 that the pool's second value is of.
    assert np.argwhere(where).tolist() == [[0, 2], [0, 3], [1, 2], [1, 3]]


def test_a_pool_that_never_fired_is_wanted_itself(monkeypatch):
    missing, places = targets(monkeypatch, [("pool", 0), ("mid", 1)], {})
    assert (missing, places) == ([("pool", 0), ("mid", 1)], {})


def test_what_its_source_lacks_itself_comes_first(monkeypatch):
    own = np.ones((8, 8), dtype=bool)
    both = {("pool", 2): WANTED, ("down", 2): own}
    missing, places = targets(monkeypatch, [("down", 2), ("pool", 2)], both)
    assert missing == [("down", 2)]
    assert places == {("down", 2): own}
