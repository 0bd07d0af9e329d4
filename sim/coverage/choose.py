# SPDX-License-Identifier: BSD-3-Clause
"""Choose pictures that exercise a network, until its coverage no longer grows."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping
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

#: Pictures of a round: one of every kind.
ROUND = len(KINDS)
#: Rounds before the pictures climb: the whole range, and parts of it, twice each.
PLAIN_ROUNDS = 4
#: Small pictures have few neurons, each of which sees little: so many pixels at least.
LEAST_PIXELS = 2**14
#: Pictures that climb towards a channel at once; half of them came closest so far.
CLIMBERS = 8
#: Climbs in vain after which a channel is given up, and after which all are.
GIVE_UP, GIVE_ALL_UP = 2, 32
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
        self.vain: Counter[Target] = Counter()  # climbs
        self.places: Places = {}
        self.heights: list[tuple[Picture, Heights]] = []

    def run(self, count: int | None, progress: Progress | None) -> Chosen:
        for stimulus in itertools.islice(self._all(endless=count is not None), count):
            self._try(stimulus)
            if progress:
                weights = self.coverage.report(self.network).weights
                progress(weights.met, weights.total)
        flips = None
        if count is None and self._is_small():
            flips = self._give_flips_away()
        return Chosen(
            pictures=tuple(self.pictures),
            overflowing=frozenset(self.overflowing),
            coverage=self.coverage,
            flips=flips,
        )

    def _all(self, *, endless: bool) -> Iterator[Stimulus]:
        """Plain pictures, those that climbed, and plain ones again."""
        _, height, width = self.network.input.shape
        enough = max(PLAIN_ROUNDS * ROUND, math.ceil(LEAST_PIXELS / (height * width)))
        yield from itertools.islice(self.plain, enough)
        yield from self._climbed()
        if endless:
            yield from self.plain

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

    def _climbed(self) -> Iterator[Stimulus]:
        """Pictures that climbed towards channels that no other made fire.

        Channels come in network order, those that were tried in vain last: one that
        fires drives those behind it.
        """
        depth = {layer.name: i for i, layer in enumerate(self.network.layers)}
        while self.vain.total() < GIVE_ALL_UP:
            before = self.coverage.report(self.network).weights.met
            least = self.coverage.least_met(self.network)
            missing = [channel for channel, count in least.items() if not count]
            targets, self.places = self._before_pools(missing)
            targets = [c for c in targets if self.vain[c] < GIVE_UP]
            if not targets:
                return
            target = min(targets, key=lambda c: (self.vain[c], depth[c[0]], c[1]))
            levels = self.climber.climb(
                self._begin(target), target, self.places.get(target)
            )
            if levels is not None:
                yield Stimulus(name=f"{len(self.pictures)}-climbed", levels=levels)
            if self.coverage.report(self.network).weights.met == before:
                self.vain[target] += 1

    def _begin(self, target: Target) -> npt.NDArray[np.int32]:
        """Known pictures, half of them those that bring a channel closest to firing."""
        name, channel = target
        known = sorted(self.heights, key=lambda k: -k[1][name][channel])
        best, others = known[: CLIMBERS // 2], known[CLIMBERS // 2 :]
        drawn = self.rng.permutation(len(others))[: CLIMBERS - len(best)]
        return np.stack([k[0] for k in [*best, *(others[i] for i in drawn)]])

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
