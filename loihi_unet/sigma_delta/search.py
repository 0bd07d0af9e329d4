# SPDX-License-Identifier: BSD-3-Clause
"""Thresholds of each layer for a video, under a budget of quality.

First one share of each layer's usual payload for all, the largest that keeps to the
budget. Then, from a share below, layer by layer: what saves most operations for the
quality it costs is raised first, as long as the budget holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from export.stock_network import StockNetwork
from loihi_unet.sigma_delta.thresholds import SHARES, at_shares

#: Shares that are tried, rising.
LADDER = (0.0, *reversed(SHARES), 0.7, 1.0)
#: How far below the common share the layers start, in places of the ladder.
BELOW = 2
#: How far a layer is raised at once.
RISE = 2


@dataclass(frozen=True)
class Measured:
    """What a network makes of the frames.

    Attributes
    ----------
    quality : float
        Higher is better.
    operations : float
        Synaptic operations of a frame.
    """

    quality: float
    operations: float


@dataclass(frozen=True)
class Found:
    """Thresholds that keep to the budget.

    Attributes
    ----------
    common : float
        The largest share that all layers may have.
    shares : dict of str to float
        Of each layer.
    network : StockNetwork
        With them.
    plain, at_common, measured : Measured
        At threshold 0, at the common share, and with what was found.
    """

    common: float
    shares: Mapping[str, float]
    network: StockNetwork
    plain: Measured
    at_common: Measured
    measured: Measured


def search(
    network: StockNetwork,
    usual: Mapping[str, float],
    budget: float,
    measure: Callable[[StockNetwork], Measured],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Found:
    """Search thresholds.

    Parameters
    ----------
    network : StockNetwork
        Of sigma-delta neurons.
    usual : mapping of str to float
        From `loihi_unet.sigma_delta.thresholds.usual_payloads`: its layers get
        thresholds.
    budget : float
        Quality that may be lost against thresholds of 0.
    measure : callable
        Runs a network on the calibration frames.
    progress : callable
        Called with (runs done, runs at most).
    """
    return _Search(network, usual, budget, measure, progress).run()


class _Search:
    def __init__(
        self,
        network: StockNetwork,
        usual: Mapping[str, float],
        budget: float,
        measure: Callable[[StockNetwork], Measured],
        progress: Callable[[int, int], None],
    ) -> None:
        self.network, self.usual, self.measure = network, usual, measure
        self.progress = progress
        rises = 1 + len(LADDER) // RISE
        self.done, self.most = 0, 1 + len(LADDER) + (1 + rises) * len(usual)
        self.plain = self._measured(dict.fromkeys(usual, 0))
        self.floor = self.plain.quality - budget

    def run(self) -> Found:
        place, at_common = self._common()
        shared = dict.fromkeys(self.usual, place)
        best, measured = shared, at_common
        start = dict.fromkeys(self.usual, max(0, place - BELOW))
        raised, found = self._raised(start)
        if found.quality >= self.floor and found.operations < measured.operations:
            best, measured = raised, found
        self.progress(self.most, self.most)
        return Found(
            common=LADDER[place],
            shares={name: LADDER[n] for name, n in best.items()},
            network=self._at(best),
            plain=self.plain,
            at_common=at_common,
            measured=measured,
        )

    def _common(self) -> tuple[int, Measured]:
        """Highest place that all layers may have."""
        for place in reversed(range(1, len(LADDER))):
            found = self._measured(dict.fromkeys(self.usual, place))
            if found.quality >= self.floor:
                return place, found
        return 0, self.plain

    def _raised(self, start: dict[str, int]) -> tuple[dict[str, int], Measured]:
        """Layers raised one after the other, those that pay first."""
        present, now = dict(start), self._measured(start)
        worth = {}
        for name in start:
            found = self._measured(self._higher(start, name))
            lost = max(now.quality - found.quality, 1e-6)
            worth[name] = (now.operations - found.operations) / lost
        for name in sorted(worth, key=lambda one: -worth[one]):
            while present[name] < len(LADDER) - 1:
                tried = self._higher(present, name)
                found = self._measured(tried)
                if found.quality < self.floor or found.operations >= now.operations:
                    break
                present, now = tried, found
        return present, now

    def _higher(self, places: Mapping[str, int], name: str) -> dict[str, int]:
        return {**places, name: min(places[name] + RISE, len(LADDER) - 1)}

    def _measured(self, places: Mapping[str, int]) -> Measured:
        found = self.measure(self._at(places))
        self.done += 1
        self.progress(self.done, self.most)
        return found

    def _at(self, places: Mapping[str, int]) -> StockNetwork:
        shares = {name: LADDER[n] for name, n in places.items()}
        return at_shares(self.network, self.usual, shares)
