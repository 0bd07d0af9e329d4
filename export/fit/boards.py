# SPDX-License-Identifier: BSD-3-Clause
"""Which of a chip's systems hold a network, and up to which picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from export.fit.assess import most_thresholds
from export.fit.chips import chip_named
from export.fit.report import FitReport
from export.fit.structure import describe
from export.fit.suggest import LARGEST_SIDE, Search, possible
from export.fit.systems import SYSTEMS
from export.mapping import Mapping, mapping_named
from export.network import Network
from export.synapse import Pair


@dataclass(frozen=True, kw_only=True)
class Board:
    """A system, and what of a network it holds.

    Parameters
    ----------
    system : str
        Its name.
    chips : int
        How many it has.
    fits : bool
        Whether it holds the network at its own picture size.
    largest : tuple of int or None
        (H, W) of the largest picture, or tile of a larger one, at the network's aspect
        ratio; 1,024 rows are the most that is tried. None: no picture fits, or the
        network takes one size only and that one does not.
    needed_cores, needed_chips : int or None
        What the largest picture takes.
    """

    system: str
    chips: int
    fits: bool
    largest: Pair | None
    needed_cores: int | None
    needed_chips: int | None


def boards(network: Network, report: FitReport) -> tuple[Board, ...]:
    """Try a network on every system of a chip, smallest first.

    Parameters
    ----------
    network : Network
        In windows (`Network.in_windows`).
    report : FitReport
        What `export.fit.fit` said of it, for a chip and a mapping.

    Returns
    -------
    tuple of Board
        None of which fits where a value breaks a limit, for that is so at any size.
    """
    return tuple(reversed([*_boards(network, report)]))


def _boards(network: Network, report: FitReport) -> Iterator[Board]:
    """Largest first: what fits a smaller system fits these as well."""
    chip = chip_named(report.chip)
    used = Mapping(
        name=mapping_named(report.mapping), num_thresholds=most_thresholds(network)
    )
    broken = any(not check.ok and check.blocking for check in report.checks)
    structure = describe(network)
    size, fixed = network.input.shape[1:], network.provenance.get("fixed_size")
    systems = [system for system in SYSTEMS if system.chip == report.chip]
    most: int | None = LARGEST_SIDE
    for system in sorted(systems, key=lambda system: -system.chips.count):
        count = system.chips.count
        search = Search(structure=structure, used=used, chip=chip, chips=count)
        here = report.chips is not None and report.chips <= count and not broken
        found: tuple[Pair, Any] | None = None
        if fixed and here:
            found = (size[0], size[1]), report
        elif not fixed and most and not broken and possible(used, chip):
            found = search.largest_size(most)
            most = found[0][0] if found else None
        yield Board(
            system=system.name,
            chips=count,
            fits=here,
            largest=found[0] if found else None,
            needed_cores=found[1].cores if found else None,
            needed_chips=found[1].chips if found else None,
        )
