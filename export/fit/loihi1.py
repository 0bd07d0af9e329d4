# SPDX-License-Identifier: BSD-3-Clause
"""Cores of a Loihi 1: the four limits of Davies et al. 2018 with NxTF's bit counts.

As NxTF does (nxsdk_modules_ncl/dnn/src/optimization.py): layers from the output back,
each cut into equal tiles along (C, H, W), the first cut with the fewest cores that
keeps every limit.

Soft reset is not native. NxTF's neuron is two compartments, a dendrite and a soma,
with a recurrent inhibitory synapse from the soma that subtracts the threshold. It
doubles the compartments, adds one synapse list and one axon per neuron, and rules out
population axons: every axon is discrete, one input axon per source neuron and core,
one output axon per target core. Neurons that are reset to zero could share population
axons; they are counted with discrete ones too, so theirs is an upper bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import ceil

from export import facts
from export.errors import RangeError
from export.fit.link import Link
from export.fit.loihi1_cut import Cut, cut_axis, target_parts
from export.fit.structure import LayerStructure, Structure
from export.mapping import Mapping


@dataclass(frozen=True, kw_only=True)
class CoreUse:
    """Cores of one layer and what its fullest core holds.

    Parameters
    ----------
    cores : int
        Cores, all copies of the layer together.
    tile : tuple of int
        Neurons along (C, H, W) on one core.
    compartments, available : int
        Compartments on a core, and how many it offers to this layer.
    synapse_words, list_words, axons_in, axons_out : int
        Largest use over the cores of the layer; ``list_words`` of one input axon.
    """

    cores: int
    tile: tuple[int, int, int]
    compartments: int
    available: int
    synapse_words: int
    list_words: int
    axons_in: int
    axons_out: int

    @property
    def limits(self) -> tuple[tuple[str, int, int], ...]:
        """Resource, how much is used, how much there is."""
        # NxTF leaves the last synapse word free.
        return (
            ("compartments", self.compartments, self.available),
            ("synapse words", self.synapse_words, facts.L1_SYNAPSE_WORDS.count - 1),
            ("words of one list", self.list_words, facts.L1_WORDS_PER_AXON.count),
            ("input axons", self.axons_in, facts.L1_AXONS_IN.count),
            ("output axons", self.axons_out, facts.L1_AXONS_OUT.count),
        )

    @property
    def fits(self) -> bool:
        """Whether every limit is kept."""
        return all(used <= limit for _, used, limit in self.limits)


@cache
def word_count(synapses: int, bits: int) -> int:
    """64-bit words of one source's list (NxTF, SynapseGroup._updateCost).

    A list whose last word is full or has fewer than six bits left takes one more.
    """
    entries = ceil(synapses / facts.L1_SYNAPSES_PER_ENTRY.count)
    total = synapses * bits + facts.L1_ENTRY_BITS.count * entries
    word = facts.WORD_BITS.count
    remainder = total % word
    return ceil(total / word) + (remainder == 0 or remainder >= word - 5)


def delay_bits(delay: int) -> int:
    """Bits of a synaptic delay: 0, or 3..6 (NxTF, SynapseEncoder)."""
    return max(facts.L1_DELAY_BITS.count, delay.bit_length()) if delay else 0


def core_compartments(layer: LayerStructure) -> int:
    """Compartments that a core offers to a layer with delays.

    Davies et al. 2018 give 1,024 compartments at delays below 8 and up to 62 "when
    fewer compartments are mapped"; that their product is constant is assumed here.
    """
    longest = max((link.delay for link in layer.links), default=0)
    extra = delay_bits(longest) - facts.L1_DELAY_BITS.count if longest else 0
    return facts.L1_COMPARTMENTS.count >> extra


def partition(
    structure: Structure, mapping: Mapping, *, most: int | None = None
) -> dict[str, CoreUse]:
    """Cut every layer into tiles, from the output back.

    Connections from the image are left out: its currents are constant over a window
    and enter as a bias per compartment, computed off chip.

    Parameters
    ----------
    structure : Structure
        Layers.
    mapping : Mapping
        Compartments per neuron.
    most : int or None
        Cores at which to stop.

    Returns
    -------
    dict of str to CoreUse
        By layer name.

    Raises
    ------
    RangeError
        If a layer fits no tile, or more cores than ``most`` are needed.
    """
    uses: dict[str, CoreUse] = {}
    for layer in reversed(structure.layers):
        uses[layer.name] = _LayerSearch(structure, layer, mapping, uses).best()
        if most is not None and sum(use.cores for use in uses.values()) > most:
            raise RangeError(f"layer '{layer.name}': {most} cores are used up")
    return {layer.name: uses[layer.name] for layer in structure.layers}


class _LayerSearch:
    """Tiles of one layer, given the tiles of the layers that read it.

    Among the tiles that keep every limit the one with the fewest cores wins, those
    that it forces on its sources counted in: cutting a layer into many parts makes
    every source neuron send to many cores, and output axons are few.
    """

    def __init__(
        self,
        structure: Structure,
        layer: LayerStructure,
        mapping: Mapping,
        uses: dict[str, CoreUse],
    ) -> None:
        self.layer = layer
        self.links = structure.on_chip(layer.links)
        self.sources = {node.name: node for node in structure.layers}
        self.readers = structure.readers[layer.name]
        self.uses = uses
        self.mapping = mapping
        self.copies = mapping.copies if layer.spiking else 1
        self.planes = mapping.planes if layer.spiking else 1
        self.per_neuron = self.planes * _reset_compartments(layer)
        self.available = core_compartments(layer)

    def best(self) -> CoreUse:
        """Return the cut with the fewest cores that keeps every limit."""
        channels = sorted({ceil(self.layer.shape[0] / n) for n in self._counts(0)})
        cuts = [self._cuts(0), self._cuts(1)]
        candidates = sorted(
            (ceil(self.layer.shape[0] / c) * rows.parts * columns.parts, -c, h, w)
            for c in channels
            for h, rows in enumerate(cuts[0])
            for w, columns in enumerate(cuts[1])
            if c * rows.size * columns.size * self.per_neuron <= self.available
        )
        cheapest: CoreUse | None = None
        least = float("inf")
        for cores, minus_c, h, w in candidates:
            if cores * self.copies >= least:
                break
            use = self._use(-minus_c, cuts[0][h], cuts[1][w])
            if use.fits:
                cost = use.cores + self._forced(use)
                if cost < least:
                    cheapest, least = use, cost
        if cheapest is None:
            alone = self._use(1, cuts[0][-1], cuts[1][-1])
            needed = ", ".join(
                f"{used} {resource} of {limit}"
                for resource, used, limit in alone.limits
                if used > limit
            )
            raise RangeError(
                f"layer '{self.layer.name}': no tile fits a core; one neuron alone "
                f"needs {needed}"
            )
        return cheapest

    def _forced(self, use: CoreUse) -> float:
        """Cores by which this tile's fan-in makes its sources grow."""
        total = 0.0
        for link in self.links:
            source = self.sources.get(link.source)
            if source is None:
                continue  # the host
            reached = 1
            for axis in (0, 1):
                reached *= int(
                    target_parts(self.layer, link, axis, use.tile[1 + axis]).sum()
                )
            parts = 1 if link.depthwise else ceil(self.layer.shape[0] / use.tile[0])
            entries = reached * link.source_shape[0] * parts * self.copies
            entries *= self.mapping.compartments * 2
            compartments = source.neurons * self.mapping.compartments
            compartments *= _reset_compartments(source)
            minimum = compartments / facts.L1_COMPARTMENTS.count
            total += max(0.0, entries / facts.L1_AXONS_OUT.count - minimum)
        return total

    def _counts(self, axis: int) -> range:
        return range(1, self.layer.shape[axis] + 1)

    def _cuts(self, axis: int) -> list[Cut]:
        length = self.layer.shape[1 + axis]
        sizes = sorted({ceil(length / n) for n in self._counts(1 + axis)}, reverse=True)
        cuts = []
        for size in sizes:
            hits = [
                target_parts(reader, link, axis, self._side(reader, axis, size))
                for reader, link in self.readers
            ]
            cuts.append(cut_axis(self.layer, self.links, axis, size, hits))
        return cuts

    def _side(self, reader: LayerStructure, axis: int, size: int) -> int:
        """Side of a reader's tile; ``size`` where the layer reads itself."""
        if reader.name == self.layer.name:
            return size
        return self.uses[reader.name].tile[1 + axis]

    def _use(self, channels: int, rows: Cut, columns: Cut) -> CoreUse:
        neurons = channels * rows.size * columns.size
        cores = ceil(self.layer.shape[0] / channels) * rows.parts * columns.parts
        cores *= self.copies
        index = (neurons * self.per_neuron - 1).bit_length()
        bits = facts.WEIGHT_BITS.count + max(facts.L1_INDEX_BITS.count, index)
        # The reset of every neuron: a list of one synapse, an axon out and in.
        resets = neurons * self.planes if self.layer.built_reset else 0
        axons_in, words, longest = resets, resets * word_count(1, bits), 0
        for i, link in enumerate(self.links):
            sources = channels if link.depthwise else link.source_shape[0]
            targets = 1 if link.depthwise else channels
            per_column = rows.sources[i] * sources * self.mapping.planes
            axons_in += per_column * columns.sources[i]
            of_columns = [
                [self._words(rows.synapses[i] * n * targets, bits, link) for n in part]
                for part in columns.lists[i]
            ]
            words += per_column * max(sum(part) for part in of_columns)
            longest = max(longest, *(max(part) for part in of_columns))
        return CoreUse(
            cores=cores,
            tile=(channels, rows.size, columns.size),
            compartments=neurons * self.per_neuron,
            available=self.available,
            synapse_words=words,
            list_words=longest,
            axons_in=axons_in,
            axons_out=resets + self._axons_out(channels, rows, columns, cores),
        )

    def _axons_out(self, channels: int, rows: Cut, columns: Cut, cores: int) -> int:
        total = 0
        for j, (reader, link) in enumerate(self.readers):
            recurrent = reader.name == self.layer.name
            tile = channels if recurrent else self.uses[reader.name].tile[0]
            others = 0 if recurrent else self.uses[reader.name].cores
            parts = 1 if link.depthwise else ceil(reader.shape[0] / tile)
            copies = self.mapping.copies if reader.spiking else 1
            # An entry to another chip takes two; layers that do not fit one chip
            # together are counted so.
            entry = 1 if cores + others <= facts.L1_CORES.count else 2
            reached = rows.targets[j] * columns.targets[j] * parts
            total += channels * reached * copies * self.planes * entry
        return total

    def _words(self, synapses: int, bits: int, link: Link) -> int:
        return word_count(synapses, bits + delay_bits(link.delay))


def _reset_compartments(layer: LayerStructure) -> int:
    """Compartments of each potential, that of a built soft reset included."""
    return facts.L1_RESET_COMPARTMENTS.count if layer.built_reset else 1


def mean_targets(
    structure: Structure, mapping: Mapping, uses: dict[str, CoreUse]
) -> dict[str, float]:
    """Cores that a spike of each layer goes to, the mean over its neurons.

    Parameters
    ----------
    structure : Structure
        Layers.
    mapping : Mapping
        Compartments per neuron.
    uses : dict of str to CoreUse
        What `partition` returned.

    Returns
    -------
    dict of str to float
        By layer name; 0 for the output.
    """
    result = dict.fromkeys(uses, 0.0)
    for name in uses:
        for reader, link in structure.readers[name]:
            tile = uses[reader.name].tile
            parts = 1 if link.depthwise else ceil(reader.shape[0] / tile[0])
            rows, columns = (
                float(target_parts(reader, link, axis, tile[1 + axis]).mean())
                for axis in (0, 1)
            )
            copies = mapping.copies if reader.spiking else 1
            result[name] += rows * columns * parts * copies
    return result
