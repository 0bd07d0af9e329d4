# SPDX-License-Identifier: BSD-3-Clause
"""How multi-threshold neurons lie on a chip's compartments: three exact mappings.

`docs/mappings.md` proves them equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from export.errors import NetworkError
from export.facts import VTH_MANT

MappingName = Literal["graded", "parallel-if", "binary-if"]
MAPPINGS: tuple[MappingName, ...] = get_args(MappingName)


def mapping_named(name: str) -> MappingName:
    """Mapping of that name.

    Raises
    ------
    NetworkError
        If there is none.
    """
    for mapping in MAPPINGS:
        if mapping == name:
            return mapping
    raise NetworkError(f"mapping '{name}': {', '.join(MAPPINGS)} are allowed")


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """What stands for one neuron of N thresholds.

    Parameters
    ----------
    name : {"graded", "parallel-if", "binary-if"}
        ``graded``: one compartment that emits the payload.
        ``parallel-if``: ``2**N - 1`` staggered compartments of one threshold.
        ``binary-if``: one potential with N binary outputs, the payload's bits.
    num_thresholds : int
        N, also the payload's bits.
    """

    name: MappingName
    num_thresholds: int

    def __post_init__(self) -> None:
        mapping_named(self.name)

    @property
    def copies(self) -> int:
        """Independent compartments that all receive the whole input.

        They share one kernel, and their spikes one input axon at each target,
        because a target adds them up anyway.
        """
        return (1 << self.num_thresholds) - 1 if self.name == "parallel-if" else 1

    @property
    def planes(self) -> int:
        """Binary outputs that share one potential; plane i has weight ``2**i``.

        Each needs its own axon and its own weight exponent.
        """
        return self.num_thresholds if self.name == "binary-if" else 1

    @property
    def compartments(self) -> int:
        """Compartments per neuron on the chip."""
        return self.copies * self.planes

    @property
    def highest_threshold(self) -> int:
        """Largest threshold of a compartment, in units of the base threshold."""
        if self.name == "parallel-if":
            return self.copies
        return 1 << (self.num_thresholds - 1)

    @property
    def largest_base(self) -> int:
        """Largest base threshold that the chip can hold; 0 if there is none.

        Microcode makes the others of ``graded`` from it; elsewhere the highest one is
        a threshold mantissa itself.
        """
        if self.name == "graded":
            return VTH_MANT.maximum
        return VTH_MANT.maximum // self.highest_threshold
