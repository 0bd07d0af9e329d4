# SPDX-License-Identifier: BSD-3-Clause
"""Pictures that give flipped bits away, searched one flip at a time.

A flip shows where it lifts a potential over a threshold, or keeps it below one. How
much is missing for that can be told from a recording (`sim.coverage.noticing`), so the
pictures that miss least are changed a little, and the best of the changed ones again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from export.network import Network
from sim.backend import OverflowLayerError
from sim.coverage.flips import Flip
from sim.coverage.noticing import Noticing, Sums
from sim.coverage.stimuli import Picture
from sim.recording import Recording

#: Pictures that go on, and how many are made of them.
PARENTS, CHILDREN = 8, 64
#: Rounds of one search.
ROUNDS = 60


def search(
    sums: Sums,
    flip: Flip,
    known: Sequence[Picture],
    rng: np.random.Generator,
) -> Picture | None:
    """Look for a picture that gives a flip away.

    Parameters
    ----------
    sums : Sums
        Of the right network.
    flip : Flip
        What no known picture gives away.
    known : sequence of ndarray, shape (C, H, W), int32
        Pictures to begin with; none of them overflows.
    rng : Generator
        Decides the changes.

    Returns
    -------
    ndarray, shape (C, H, W), int32, or None
        None if there was none within `ROUNDS`.
    """
    network = sums.network
    parents = np.stack(known)
    distance = Noticing(network, record(network, parents), sums).distance(flip)
    for _ in range(ROUNDS):
        best = np.argsort(distance, kind="stable")[:PARENTS]
        parents, distance = parents[best], distance[best]
        children = np.stack([_changed(network, parents, rng) for _ in range(CHILDREN)])
        try:
            recording = record(network, children)
        except OverflowLayerError:
            continue
        noticing = Noticing(network, recording, sums)
        nearer = noticing.distance(flip)
        likely = int(nearer.argmin())
        if nearer[likely] <= 0:
            return children[likely].astype(np.int32)  # type: ignore[no-any-return]
        parents = np.concatenate([parents, children])
        distance = np.concatenate([distance, nearer])
    return None


def record(network: Network, pictures: Picture) -> Recording:
    """Run pictures on torch, many at once."""
    from sim.torch.simulator import TorchSimulator

    return TorchSimulator(batch=len(pictures)).run(network, pictures)


def _changed(network: Network, parents: Picture, rng: np.random.Generator) -> Picture:
    """One of the pictures, with a few pixels changed or a part of another."""
    source = network.input
    child = parents[rng.integers(len(parents))].copy()
    _, height, width = child.shape
    top, left = rng.integers(height), rng.integers(width)
    bottom, right = rng.integers(top, height) + 1, rng.integers(left, width) + 1
    area = np.s_[:, top:bottom, left:right]
    match rng.integers(4):
        case 0:
            child[area] = parents[rng.integers(len(parents))][area]
        case 1:
            child[area] += rng.integers(-8, 9)
        case 2:
            child[area] = rng.integers(source.minimum, source.maximum + 1)
        case _:
            channel = rng.integers(len(child), size=4)
            rows, columns = rng.integers(height, size=4), rng.integers(width, size=4)
            child[channel, rows, columns] = rng.integers(
                source.minimum, source.maximum + 1, size=4
            )
    changed: Picture = child.clip(source.minimum, source.maximum)
    return changed
