# SPDX-License-Identifier: BSD-3-Clause
"""Choose pictures that exercise a network, until its coverage no longer grows."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass

import numpy as np

from export.network import Network
from sim.backend import OverflowLayerError, Progress, create
from sim.coverage.counter import Coverage
from sim.coverage.stimuli import KINDS, Stimulus, stimuli

#: Pictures between two looks at the coverage: one of every kind.
ROUND = len(KINDS)
#: Rounds before the pictures climb: the whole range, and parts of it, twice each.
PLAIN_ROUNDS = 4
#: It no longer grows if this many rounds brought less than this share of the weights.
PATIENCE, GROWTH = 4, 0.001
#: Small pictures have few neurons, each of which sees little: so many pixels at least.
LEAST_PIXELS = 2**15
#: Tries that a channel which has fired somewhere is ahead of a silent one.
AHEAD = 2


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
    """

    pictures: tuple[Stimulus, ...]
    overflowing: frozenset[str]
    coverage: Coverage


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
        self.tried: Counter[tuple[str, int]] = Counter()
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
        return Chosen(
            pictures=tuple(self.pictures),
            overflowing=frozenset(self.overflowing),
            coverage=self.coverage,
        )

    def _round(self) -> list[Stimulus]:
        plain = list(itertools.islice(self.plain, ROUND))
        targets = self._targets() if len(self.grown) >= PLAIN_ROUNDS else []
        if not targets:
            return plain
        begin = np.stack([stimulus.levels for stimulus in plain[: len(targets)]])
        climbed = self.climber.climb(begin, targets)
        return [
            Stimulus(name=f"{stimulus.name}-climbed", levels=levels)
            for stimulus, levels in zip(plain, climbed, strict=False)
        ] + plain[len(targets) :]

    def _targets(self) -> list[tuple[str, int]]:
        """Channels to climb towards."""
        least = self.coverage.least_met(self.network)
        missing = [channel for channel, count in least.items() if not count]
        self.rng.shuffle(missing)
        missing.sort(
            key=lambda c: self.tried[c] + (0 if self.coverage.fired(*c) else AHEAD)
        )
        targets = missing[:ROUND]
        if self._pixels() < LEAST_PIXELS:
            # Nothing grows any more, but what was met seldom was seen by few neurons.
            # Half of the pictures stay as they are: others see more in those.
            seldom = sorted(set(least) - set(missing), key=least.__getitem__)
            targets = (targets + seldom)[: ROUND // 2]
        self.tried.update(targets)
        return targets

    def _try(self, stimulus: Stimulus) -> None:
        self.pictures.append(stimulus)
        try:
            recording = self.scout.run(self.network, stimulus.levels[None])
        except OverflowLayerError:
            self.overflowing.add(stimulus.name)
        else:
            self.coverage.add(self.network, recording)

    def _pixels(self) -> int:
        _, height, width = self.network.input.shape
        return height * width * len(self.pictures)

    def _stalled(self, total: int) -> bool:
        if len(self.grown) < PLAIN_ROUNDS + PATIENCE or self._pixels() < LEAST_PIXELS:
            return False
        return self.grown[-1] - self.grown[-1 - PATIENCE] < GROWTH * total
