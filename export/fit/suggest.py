# SPDX-License-Identifier: BSD-3-Clause
"""The largest image and the largest width of a network that fit some chips."""

from __future__ import annotations

from dataclasses import dataclass, replace

from export.errors import NetworkError
from export.fit.chip import Chip
from export.fit.layers import place
from export.fit.report import Suggestion
from export.fit.structure import Structure
from export.fit.traffic import total_compartments
from export.mapping import MAPPINGS, Mapping
from export.synapse import Pair

LARGEST_SIDE = 1024
LARGEST_BASE = 256


def suggest(
    structure: Structure, used: Mapping, chip: Chip, chips: int, *, fits: bool
) -> tuple[Suggestion, ...]:
    """Say what fits so many chips.

    Parameters
    ----------
    structure : Structure
        The network.
    used : Mapping
        Its mapping.
    chip : Chip
        The chips' kind.
    chips : int
        Chips there are.
    fits : bool
        Whether the network itself fits.

    Returns
    -------
    tuple of Suggestion
        Largest image at this width and largest width at this image size; for a
        network that does not fit also another mapping and the most thresholds. Each
        only if something fits.
    """
    search = Search(structure=structure, used=used, chip=chip, chips=chips)
    suggestions = []
    if possible(used, chip):
        suggestions += [search.largest_image(), search.largest_width()]
    if not fits:
        suggestions += [search.other_mapping(), search.most_thresholds()]
    return tuple(suggestion for suggestion in suggestions if suggestion)


def possible(used: Mapping, chip: Chip) -> bool:
    """Whether the mapping's spikes are of a kind that the chip has."""
    return chip.graded or used.name != "graded" or used.num_thresholds == 1


@dataclass(frozen=True, kw_only=True)
class Search:
    """What of one network fits so many chips.

    Descends from sizes that are too large to the first that fits.

    Cores do not grow evenly with size (tiles are powers of two), so every size is
    tried; those with too many compartments for the chips are passed over.
    """

    structure: Structure
    used: Mapping
    chip: Chip
    chips: int

    def suggestion(self, change: str, structure: Structure) -> Suggestion | None:
        """The change, if the structure fits."""
        cores = self.chips * self.chip.cores.count
        resets = self.chip.reset_compartments
        compartments = total_compartments(structure, self.used, resets)
        if compartments > cores * self.chip.compartments.count:
            return None
        placement = place(structure, self.used, self.chip, most=cores)
        needed = placement.chips
        if placement.cores is None or needed is None or needed > self.chips:
            return None
        return Suggestion(change=change, cores=placement.cores, chips=needed)

    def largest_image(self) -> Suggestion | None:
        """Largest image of the same aspect ratio at the same width."""
        suggestion = self.largest_size(LARGEST_SIDE)
        return None if suggestion is None else suggestion[1]

    def largest_size(self, most: int) -> tuple[Pair, Suggestion] | None:
        """Its (H, W), no higher than ``most``, and what it takes."""
        _, height, width = self.structure.layers[0].links[0].source_shape
        step = _granularity(self.structure)
        for n in range(most // step, 0, -1):
            size = (n * step, max(1, round(n * width / height)) * step)
            found = self.suggestion(
                f"images or tiles of {size[0]}x{size[1]} at this width",
                self.structure.rebuilt({}, *size),
            )
            if found:
                return size, found
        return None

    def largest_width(self) -> Suggestion | None:
        """Largest number of base channels at the same image size."""
        _, height, width = self.structure.layers[0].links[0].source_shape
        spiking = [layer for layer in self.structure.layers if layer.spiking]
        base = spiking[0].shape[0]
        if any(layer.shape[0] % base for layer in spiking):
            return None
        for n in range(LARGEST_BASE, 0, -1):
            channels = {layer.name: layer.shape[0] // base * n for layer in spiking}
            suggestion = self.suggestion(
                f"{n} base channels at this image size",
                self.structure.rebuilt(channels, height, width),
            )
            if suggestion:
                return suggestion
        return None

    def other_mapping(self) -> Suggestion | None:
        """Mapping with the fewest cores."""
        suggestions = []
        for name in MAPPINGS:
            other = replace(self.used, name=name)
            if other.name != self.used.name and possible(other, self.chip):
                at_once = replace(self, used=other)
                suggestions.append(
                    at_once.suggestion(f"mapping {name}", self.structure)
                )
        return min((s for s in suggestions if s), key=lambda s: s.cores, default=None)

    def most_thresholds(self) -> Suggestion | None:
        """Most thresholds, fewer than now, with which the network itself fits."""
        for n in range(self.used.num_thresholds - 1, 0, -1):
            fewer = replace(self.used, num_thresholds=n)
            if fewer.compartments == self.used.compartments or not possible(
                fewer, self.chip
            ):
                continue
            suggestion = replace(self, used=fewer).suggestion(
                f"N = {n} thresholds, mapping {fewer.name}", self.structure
            )
            if suggestion:
                return suggestion
        return None


def _granularity(structure: Structure) -> int:
    """Smallest power of two whose multiples are all possible image sides."""
    step = 1
    while step < LARGEST_SIDE:
        try:
            structure.rebuilt({}, step, step)
            structure.rebuilt({}, 3 * step, 3 * step)
        except NetworkError:
            step *= 2
        else:
            break
    return step
