# SPDX-License-Identifier: BSD-3-Clause
"""Cores of a Loihi 2, by rules inferred from tables that Intel's compiler printed.

Intel documents none of these rules. They reproduce the core counts of every
convolution printed in lava-dl 0.6.0's netx notebooks (`docs/fit.md`):

* a layer's output is cut into equal tiles of ``tx * ty * tc`` neurons, one per core,
  with ``tx = 2**i``, ``ty = ceil(H / 2**j)``, ``tc = ceil(C / 2**k)``; tc is the
  largest whose kernel fits the synapse memory, tx and ty give the fewest cores;
* a kernel is stored once per core: per tap and input channel one list of tc weights;
* the words of all uses of a core add up to at most 20,000, each use to 16,000.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from export import facts
from export.errors import RangeError
from export.fit.link import Link
from export.fit.structure import LayerStructure, Structure
from export.mapping import Mapping


@dataclass(frozen=True, kw_only=True)
class CompilerRules:
    """What differs between the two compiler versions whose tables are known.

    Parameters
    ----------
    synapse_words : int
        Synapse memory of a core.
    halves_dense : bool
        True if a dense layer that does not fit is cut into
        ``ceil(words / synapse_words)`` parts and these into twice as many until they
        fit; False if it is cut into the fewest parts that fit.
    """

    synapse_words: int
    halves_dense: bool


NEWER = CompilerRules(
    synapse_words=facts.L2_PART_WORDS.count,
    halves_dense=False,
)
OLDER = CompilerRules(
    synapse_words=facts.L2_PART_WORDS_OLD.count,
    halves_dense=True,
)


@dataclass(frozen=True, kw_only=True)
class CoreUse:
    """Cores of one layer and what its fullest core holds.

    Parameters
    ----------
    cores : int
        Cores.
    tile : tuple of int
        Neurons along (C, H, W) on one core.
    neurons, synapse_words, axons_in, axon_map, axon_memory : int
        Words of each use on a full core; one word per neuron.
    """

    cores: int
    tile: tuple[int, int, int]
    neurons: int
    synapse_words: int
    axons_in: int
    axon_map: int
    axon_memory: int

    @property
    def words(self) -> int:
        """All words of the core; one more for the neuron group."""
        return (
            self.neurons
            + self.synapse_words
            + self.axons_in
            + self.axon_map
            + self.axon_memory
            + 1
        )

    def fits(self, rules: CompilerRules) -> bool:
        """Whether every use and their sum stay within a core."""
        part = facts.L2_PART_WORDS.count
        return (
            self.neurons <= facts.L2_NEURONS.count
            and self.synapse_words <= rules.synapse_words
            and max(self.axons_in, self.axon_map, self.axon_memory) <= part
            and self.words <= facts.L2_CORE_WORDS.count
        )


def list_words(synapses: int, bits: int) -> int:
    """64-bit words of one list of synapses: ``bits`` each, 10 more per 60 of them."""
    entries = ceil(synapses / facts.L2_ENTRY_SYNAPSES.count)
    total = synapses * bits + facts.L2_ENTRY_BITS.count * entries
    return ceil(total / facts.WORD_BITS.count)


def kernel_words(link: Link, channels: int, weight_bits: int) -> int:
    """Synapse words of one connection on a core that holds ``channels`` outputs.

    Parameters
    ----------
    link : Link
        The connection.
    channels : int
        Output channels on the core.
    weight_bits : int
        Bits of a weight.
    """
    delay_bits = facts.L2_DELAY_BITS.count if link.delay else 0
    bits = weight_bits + delay_bits
    taps = link.kernel[0] * link.kernel[1]
    if link.dense:
        bits = weight_bits + facts.L2_DENSE_INDEX_BITS.count
        return taps * link.source_shape[0] * list_words(channels, bits)
    if link.depthwise:
        return taps * channels * list_words(1, bits)
    return taps * link.source_shape[0] // link.groups * list_words(channels, bits)


def partition(
    structure: Structure,
    mapping: Mapping,
    *,
    weight_bits: int = facts.WEIGHT_BITS.count,
    rules: CompilerRules = NEWER,
) -> dict[str, CoreUse]:
    """Cut every layer into tiles, from the output back as the compiler does.

    Parameters
    ----------
    structure : Structure
        Layers.
    mapping : Mapping
        Compartments per neuron.
    weight_bits : int
        Bits of a weight; 8 is the safe bound for any kernel.
    rules : CompilerRules
        Compiler version.

    Returns
    -------
    dict of str to CoreUse
        By layer name.

    Raises
    ------
    RangeError
        If a layer fits no tile.
    """
    uses: dict[str, CoreUse] = {}
    for layer in reversed(structure.layers):
        readers = structure.readers[layer.name]
        tiled = {name: use.tile[0] for name, use in uses.items()}
        # One map entry per position for each convolution that reads the layer, one
        # per neuron for a dense layer or a read-out.
        positional = bool(readers) and not any(link.dense for _, link in readers)
        for tiles in _tiles(layer, mapping, weight_bits, rules):
            tried = []
            for tile in tiles:
                # A layer that reads itself is cut by the very tile that is tried.
                cut = {**tiled, layer.name: tile[0]}
                splits = [ceil(r.shape[0] / cut[r.name]) for r, _ in readers]
                use = _use(layer, tile, mapping, weight_bits, splits, positional)
                tried.append(use)
            fitting = [use for use in tried if use.fits(rules)]
            if fitting:
                uses[layer.name] = min(fitting, key=lambda use: use.cores)
                break
        else:
            raise RangeError(
                f"layer '{layer.name}': no tile fits a core; one neuron needs "
                f"{_kernel(layer, 1, mapping, weight_bits)} synapse words, "
                f"{rules.synapse_words} allowed"
            )
    return {layer.name: uses[layer.name] for layer in structure.layers}


def _kernel(
    layer: LayerStructure, channels: int, mapping: Mapping, weight_bits: int
) -> int:
    words = sum(kernel_words(link, channels, weight_bits) for link in layer.links)
    return words * mapping.planes


def _tiles(
    layer: LayerStructure, mapping: Mapping, weight_bits: int, rules: CompilerRules
) -> Iterator[list[tuple[int, int, int]]]:
    """Tiles (C, H, W) to try, in groups; the first group with a fit has the best."""
    channels, height, width = layer.shape
    if any(link.dense for link in layer.links):
        parts = 1
        if rules.halves_dense:
            words = _kernel(layer, channels, mapping, weight_bits)
            parts = ceil(words / rules.synapse_words)
        while parts <= 2 * channels:
            yield [(ceil(channels / parts), 1, 1)]
            parts = parts * 2 if rules.halves_dense else parts + 1
        return
    for k in range(channels.bit_length() + 1):
        count = ceil(channels / 2**k)
        if _kernel(layer, count, mapping, weight_bits) <= rules.synapse_words:
            yield [
                (count, ceil(height / 2**j), 2**i)
                for i in range(width.bit_length() + 1)
                for j in range(height.bit_length() + 1)
            ]


def _use(
    layer: LayerStructure,
    tile: tuple[int, int, int],
    mapping: Mapping,
    weight_bits: int,
    splits: list[int],
    positional: bool,
) -> CoreUse:
    counts = [ceil(n / t) for n, t in zip(layer.shape, tile, strict=True)]
    neurons = tile[0] * tile[1] * tile[2]
    compartments = neurons * (mapping.compartments if layer.spiking else 1)
    sources = neurons // tile[0] if positional else neurons
    planes = mapping.compartments if layer.spiking else 1
    dense = [link for link in layer.links if link.dense]
    convolutions = len(layer.links) - len(dense)
    return CoreUse(
        cores=counts[0] * counts[1] * counts[2],
        tile=(tile[0], tile[1], min(tile[2], layer.shape[2])),
        neurons=compartments,
        synapse_words=_kernel(layer, tile[0], mapping, weight_bits),
        axons_in=convolutions * facts.L2_CONV_AXONS_IN.count * mapping.planes
        + sum(link.source_shape[0] * link.kernel[0] * link.kernel[1] for link in dense),
        axon_map=sources * planes * max(1, len(splits)),
        axon_memory=sources * planes * sum(splits) if positional else 0,
    )
