# SPDX-License-Identifier: BSD-3-Clause
"""Choose pictures that exercise a network, until its coverage no longer grows."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.network import Network
from export.synapse import AveragePool
from sim.backend import OverflowLayerError, Progress, create
from sim.coverage.bounds import Bounds
from sim.coverage.counter import Coverage
from sim.coverage.flips import Flip, FlipReport, count_flips, every_flip
from sim.coverage.noticing import Sums, unnoticed
from sim.coverage.search import record, search
from sim.coverage.stimuli import KINDS, Picture, Stimulus, stimuli

#: Pictures between two looks at the coverage: one of every kind.
ROUND = len(KINDS)
#: Rounds before the pictures climb: the whole range, and parts of it, twice each.
PLAIN_ROUNDS = 4
#: It no longer grows if this many rounds brought less than this share of the weights.
PATIENCE, GROWTH = 4, 0.001
#: Small pictures have few neurons, each of which sees little: so many pixels at least.
LEAST_PIXELS = 2**14
#: Tries that a channel which has fired somewhere is ahead of a silent one.
AHEAD = 2
#: Every so many tries at a channel, one begins at a new picture.
FRESH = 3
#: Channels that a picture climbs towards beside its own.
COMPANIONS = 6
#: Flipped bits are looked at one by one up to so many, and so many neurons in a layer;
#: so many searches may be in vain.
FEW_FLIPS, FEW_NEURONS, SEARCHES = 2**13, 2**9, 32

Target = tuple[str, int]  # (layer, channel)
Places = Mapping[Target, npt.NDArray[np.bool_]]
Heights = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Chosen:
    """Pictures, and what torch found that they exercise.

    Parameters
    ----------
    pictures : tuple of Stimulus
        In the order in which they were made.
    overflowing : frozenset of str
        Names of those that overflow.
    coverage : Coverage
        Of all others.
    flips : FlipReport or None
        What becomes of every flipped bit; None where the network is not small, or the
        number of pictures was given.
    """

    pictures: tuple[Stimulus, ...]
    overflowing: frozenset[str]
    coverage: Coverage
    flips: FlipReport | None = None


def choose(
    network: Network,
    *,
    count: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Chosen:
    """Make pictures, and count on torch what they exercise.

    First come pictures of all kinds (`sim.coverage.stimuli`), which are the same
    everywhere. The later ones begin as such and climb towards channels that no picture
    has made fire where it takes (`sim.torch.climb`).

    Parameters
    ----------
    network : Network
        In windows, at the size of the pictures.
    count : int or None
        How many; None: until coverage no longer grows.
    seed : int
        Decides the pictures.
    progress : callable or None
        Called with (weights met, all weights).
    """
    return _Chooser(network, seed).run(count, progress)


class _Chooser:
    def __init__(self, network: Network, seed: int) -> None:
        from sim.torch.climb import Climber

        self.network = network
        self.rng = np.random.default_rng(seed)
        self.plain = stimuli(network.input, seed)
        self.climber = Climber(network)
        self.scout = create("torch")
        self.coverage = Coverage(network)
        self.pictures: list[Stimulus] = []
        self.overflowing: set[str] = set()
        self.tried: Counter[Target] = Counter()
        self.missing: list[Target] = []
        self.places: Places = {}
        self.heights: list[tuple[Picture, Heights]] = []
        self.grown: list[int] = []  # weights met after each round

    def run(self, count: int | None, progress: Progress | None) -> Chosen:
        while count is None or len(self.pictures) < count:
            made = self._round()
            for stimulus in made[
                : None if count is None else count - len(self.pictures)
            ]:
                self._try(stimulus)
            weights = self.coverage.report(self.network).weights
            self.grown.append(weights.met)
            if progress:
                progress(weights.met, weights.total)
            if count is None and self._stalled(weights.total):
                break
        flips = None
        if count is None and self._is_small():
            flips = self._give_flips_away()
        return Chosen(
            pictures=tuple(self.pictures),
            overflowing=frozenset(self.overflowing),
            coverage=self.coverage,
            flips=flips,
        )

    def _is_small(self) -> bool:
        sizes = [math.prod(node.shape) for node in self.network.nodes.values()]
        return max(sizes) <= FEW_NEURONS and count_flips(self.network) <= FEW_FLIPS

    def _give_flips_away(self) -> FlipReport:
        """Search pictures for flipped bits that none has given away yet."""
        network, sums = self.network, Sums(self.network)
        calm = [p.levels for p in self.pictures if p.name not in self.overflowing]
        every = list(every_flip(network))
        left = every
        if calm:
            left = unnoticed(network, record(network, np.stack(calm)), left, sums)
        bounds = Bounds(network)
        proved = [flip for flip in left if bounds.changes_nothing(flip)]
        left = [flip for flip in left if flip not in set(proved)]
        given_up: list[Flip] = []
        while left and calm and len(given_up) < SEARCHES:
            flip, *rest = left
            levels = search(sums, flip, calm, self.rng)
            if levels is None:
                given_up.append(flip)
                left = rest
                continue
            name = f"{len(self.pictures)}-{flip.layer}-{flip.what}-bit-{flip.bit}"
            self._try(Stimulus(name=name.replace(" ", "-"), levels=levels))
            calm.append(levels)
            recording = record(network, levels[None])
            left = unnoticed(network, recording, left, sums)
            given_up = unnoticed(network, recording, given_up, sums)
        left = given_up + left
        return FlipReport(
            noticed=len(every) - len(proved) - len(left),
            proved=len(proved),
            left=tuple(left),
        )

    def _round(self) -> list[Stimulus]:
        plain = list(itertools.islice(self.plain, ROUND))
        targets = self._targets() if len(self.grown) >= PLAIN_ROUNDS else []
        if not targets:
            return plain
        begin = [
            self._begin(target, stimulus)
            for target, stimulus in zip(targets, plain, strict=False)
        ]
        wanted = [
            self._together(target, heights)
            for target, (_, heights) in zip(targets, begin, strict=True)
        ]
        climbed = self.climber.climb(
            np.stack([levels for levels, _ in begin]), wanted, self.places
        )
        return [
            Stimulus(name=f"{stimulus.name.split('-')[0]}-climbed", levels=levels)
            for stimulus, levels in zip(plain, climbed, strict=False)
        ] + plain[len(targets) :]

    def _begin(self, target: Target, plain: Stimulus) -> tuple[Picture, Heights]:
        """Where a picture begins to climb, and how high all channels are there."""
        if self.tried[target] % FRESH == 0 or not self.heights:
            return plain.levels, self.climber.heights(plain.levels, self.places)
        name, channel = target
        best = max(self.heights, key=lambda known: known[1][name][channel])
        return best

    def _together(self, target: Target, heights: Heights) -> list[Target]:
        """The channel, and those of its layer that miss little in this picture."""
        name, _ = target
        near = [c for c in self.missing if c[0] == name and c != target]
        near.sort(key=lambda c: -heights[name][c[1]])
        return [target, *near[:COMPANIONS]]

    def _targets(self) -> list[Target]:
        """Channels to climb towards."""
        least = self.coverage.least_met(self.network)
        missing = [channel for channel, count in least.items() if not count]
        self.missing, self.places = self._before_pools(missing)
        targets = list(self.missing)
        self.rng.shuffle(targets)
        # Layer by layer: what stands behind the deepest of a round is not computed.
        depth = {layer.name: i for i, layer in enumerate(self.network.layers)}
        targets.sort(
            key=lambda c: (
                self.tried[c] + (0 if self.coverage.fired(*c) else AHEAD),
                depth[c[0]],
            )
        )
        targets = targets[:ROUND]
        if self._pixels() < LEAST_PIXELS:
            # Nothing grows any more, but what was met seldom was seen by few neurons.
            # Half of the pictures stay as they are: others see more in those.
            seldom = sorted(set(least) - set(self.missing), key=least.__getitem__)
            targets = (targets + seldom)[: ROUND // 2]
        self.tried.update(targets)
        return targets

    def _before_pools(self, missing: list[Target]) -> tuple[list[Target], Places]:
        """Name what a pool reads in its stead, with the places that it reads.

        A pool of silent neurons is equally far from firing everywhere.
        """
        places = self.coverage.places(self.network)
        wanted = dict.fromkeys(missing)
        for layer in self.network.layers:
            (first, *others) = layer.connections
            if others or not isinstance(first.synapse, AveragePool):
                continue
            rows, columns = first.synapse.kernel_size
            for name, channel in [c for c in places if c[0] == layer.name]:
                where = places.pop((name, channel))
                wanted.pop((name, channel), None)
                if (first.source, channel) not in wanted:
                    wanted[first.source, channel] = None
                    read = where.repeat(rows, axis=0).repeat(columns, axis=1)
                    places[first.source, channel] = read
        return list(wanted), places

    def _try(self, stimulus: Stimulus) -> None:
        self.pictures.append(stimulus)
        try:
            recording = self.scout.run(self.network, stimulus.levels[None])
        except OverflowLayerError:
            self.overflowing.add(stimulus.name)
        else:
            self.coverage.add(self.network, recording)
            heights = self.climber.heights(stimulus.levels, self.places)
            self.heights.append((stimulus.levels, heights))

    def _pixels(self) -> int:
        _, height, width = self.network.input.shape
        return height * width * len(self.pictures)

    def _stalled(self, total: int) -> bool:
        if len(self.grown) < PLAIN_ROUNDS + PATIENCE or self._pixels() < LEAST_PIXELS:
            return False
        return self.grown[-1] - self.grown[-1 - PATIENCE] < GROWTH * total
