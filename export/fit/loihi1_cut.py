# SPDX-License-Identifier: BSD-3-Clause
"""One image axis of a layer cut into equal parts: what the worst part needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.fit.link import Bools, Link
from export.fit.structure import LayerStructure

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Cut:
    """One image axis of a layer cut into parts of one size; the worst part counts.

    ``sources[i]`` and ``synapses[i]`` belong to link i: sources that reach a part, and
    synapses of one source into it. ``lists[i]`` has, per part, the synapse counts of
    the sources whose lists differ. ``targets[j]`` belongs to reader j: target cores
    along this axis, summed over the part.
    """

    parts: int
    size: int
    sources: tuple[int, ...]
    synapses: tuple[int, ...]
    lists: tuple[tuple[tuple[int, ...], ...], ...]
    targets: tuple[int, ...]


def cut_axis(
    layer: LayerStructure,
    links: tuple[Link, ...],
    axis: int,
    size: int,
    hits: list[Ints],
) -> Cut:
    """Cut one axis of a layer.

    Parameters
    ----------
    layer : LayerStructure
        The layer.
    links : tuple of Link
        Its connections from the chip.
    axis : int
        0 for rows, 1 for columns.
    size : int
        Rows or columns of a part.
    hits : list of ndarray, shape (rows or columns,)
        For each reader of the layer, what `target_parts` gives.
    """
    length = layer.shape[1 + axis]
    starts = np.arange(0, length, size)
    sources, synapses, lists = [], [], []
    for link in links:
        reach = link.reach(axis)
        counts = np.add.reduceat(reach.astype(np.int64), starts, axis=1)
        sources.append(int((counts > 0).sum(axis=0).max()))
        synapses.append(int(counts.max()))
        # Parts between the borders look alike, but for their phase in the stride.
        shown = {*starts[: 2 + link.stride[axis]], starts[-1]}
        lists.append(
            tuple({_lists(link, axis, reach[:, s : s + size], s) for s in shown})
        )
    return Cut(
        parts=len(starts),
        size=size,
        sources=tuple(sources),
        synapses=tuple(synapses),
        lists=tuple(lists),
        targets=tuple(int(np.add.reduceat(h, starts).max()) for h in hits),
    )


def _lists(link: Link, axis: int, reach: Bools, start: int) -> tuple[int, ...]:
    """Synapse counts of the sources of one part whose lists differ.

    Sources that meet their targets through the same taps share one list by means of
    its base address (weight sharing along x).
    """
    rows = np.flatnonzero(reach.any(axis=1))
    first = start + reach[rows].argmax(axis=1)
    stride, padding = link.stride[axis], link.padding[axis]
    tap = (
        first + padding - rows * stride
        if link.transposed
        else rows + padding - first * stride
    )
    lists = set(zip(tap.tolist(), reach[rows].sum(axis=1).tolist(), strict=True))
    return tuple(sorted(count for _, count in lists))


def target_parts(reader: LayerStructure, link: Link, axis: int, size: int) -> Ints:
    """Parts of the reader that each source row or column must reach."""
    starts = np.arange(0, reader.shape[1 + axis], size)
    reach = link.reach(axis).astype(np.int64)
    hits: Ints = (np.add.reduceat(reach, starts, axis=1) > 0).sum(axis=1)
    return hits
