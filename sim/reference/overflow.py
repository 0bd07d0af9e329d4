# SPDX-License-Identifier: BSD-3-Clause
"""The check that every sum and potential fits 24 bits signed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from export.facts import STATE
from sim.backend import OverflowLayerError


def check_state(
    values: npt.NDArray[np.int64], layer: str, step: int, what: str
) -> None:
    """Raise `OverflowLayerError` unless all ``values`` fit 24 bits signed."""
    low, high = int(values.min()), int(values.max())
    if not STATE.contains(low, high):
        worst = low if low < STATE.minimum else high
        raise OverflowLayerError(layer, step, f"{what} {worst}")
