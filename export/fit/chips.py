# SPDX-License-Identifier: BSD-3-Clause
"""The chips that `fit` knows, by name."""

from __future__ import annotations

from export.errors import NetworkError
from export.fit.chip import Chip
from export.fit.chip_loihi1 import Loihi1
from export.fit.chip_loihi2 import Loihi2

CHIPS: dict[str, Chip] = {"loihi1": Loihi1(), "loihi2": Loihi2()}


def chip_named(name: str) -> Chip:
    """Return the chip of that name.

    Raises
    ------
    NetworkError
        If there is none.
    """
    if name not in CHIPS:
        raise NetworkError(f"chip '{name}': {', '.join(CHIPS)} are allowed")
    return CHIPS[name]
