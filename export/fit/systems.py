# SPDX-License-Identifier: BSD-3-Clause
"""The systems that Intel built of its chips."""

from __future__ import annotations

from dataclasses import dataclass

from export import facts
from export.errors import NetworkError
from export.facts import Fact


@dataclass(frozen=True, kw_only=True)
class System:
    """Some chips that a network can be spread over.

    Parameters
    ----------
    name : str
        As the command line spells it.
    chip : str
        ``"loihi1"`` or ``"loihi2"``.
    chips : Fact
        How many.
    """

    name: str
    chip: str
    chips: Fact


SYSTEMS = tuple(
    System(name=name, chip=chip, chips=Fact(chips, "chips", source, confidence))
    for name, chip, chips, source, confidence in (
        ("kapoho-bay", "loihi1", 2, "Intel press material", "high"),
        ("nahuku", "loihi1", 32, "Intel press material", "high"),
        ("pohoiki-springs", "loihi1", 768, "Intel press material", "high"),
        ("oheo-gulch", "loihi2", 1, "Intel press material", "high"),
        ("kapoho-point", "loihi2", 8, "Intel press material", "high"),
        ("vpx", "loihi2", 16, "arXiv:2505.06417", "medium"),
        ("hala-point", "loihi2", 1152, facts.INTEL_2024, "high"),
    )
)


def find_system(name: str, chip: str) -> System:
    """Return the system of that name.

    Raises
    ------
    NetworkError
        If there is none, or it is built of another chip.
    """
    allowed = [system for system in SYSTEMS if system.chip == chip]
    for system in allowed:
        if system.name == name:
            return system
    names = ", ".join(system.name for system in allowed)
    raise NetworkError(f"system '{name}': {names} are allowed for {chip}")


def smallest_system(chip: str, chips: int) -> System | None:
    """Smallest system of that chip with so many chips; None if all are too small."""
    enough = [s for s in SYSTEMS if s.chip == chip and s.chips.count >= chips]
    return min(enough, key=lambda s: s.chips.count, default=None)
