# SPDX-License-Identifier: BSD-3-Clause
"""Windows: which time step belongs to which image."""

import pytest

from sim.lava.window import Windows


@pytest.mark.parametrize(
    ("time_step", "expected"),
    [
        (0, None),
        (2, None),
        (3, (0, 0)),
        (12, (0, 9)),
        (13, (1, 0)),
        (22, (1, 9)),
        (23, None),
    ],
)
def test_window_and_step(time_step, expected):
    assert Windows(interval=10, offset=3, count=2).at(time_step) == expected


def test_windows_without_end():
    assert Windows(interval=10, offset=3).at(1003) == (100, 0)
