# SPDX-License-Identifier: BSD-3-Clause
"""What is said of coverage: shares of numbers, channels that never fired."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class Share:
    """How many of some numbers had a say.

    Parameters
    ----------
    met : int
        How many had.
    total : int
        How many there are.
    """

    met: int
    total: int

    def __str__(self) -> str:
        """As ``"57 of 60 (95.0 %)"``; never rounded up to 100 %."""
        tenths = 1000 * self.met // self.total if self.total else 1000
        return f"{self.met:,} of {self.total:,} ({tenths / 10} %)"


@dataclass(frozen=True, kw_only=True)
class LayerCoverage:
    """One layer's numbers that had a say.

    Parameters
    ----------
    name : str
        Layer.
    weights : Share
        Of all connections into it.
    biases, thresholds : Share or None
        None for stock neurons, where they are not counted.
    """

    name: str
    weights: Share
    biases: Share | None
    thresholds: Share | None


@dataclass(frozen=True, kw_only=True)
class SilentChannels:
    """Channels of one source that never sent anything.

    Parameters
    ----------
    source : str
        Layer, or the input.
    channels : tuple of int
        Which.
    of : int
        How many channels the source has.
    weights : int
        Weights that read them, and so met nothing.
    """

    source: str
    channels: tuple[int, ...]
    of: int
    weights: int


@dataclass(frozen=True, kw_only=True)
class CoverageReport:
    """What `Coverage` found.

    Parameters
    ----------
    images : int
        How many were counted.
    layers : tuple of LayerCoverage
        In network order.
    silent : tuple of SilentChannels
        Sources with channels that never fired, in network order.
    out_of_reach : int
        Weights whose source channel fired and which meet nothing all the same, whatever
        the picture: at its size they read the padding alone, or are cut away.
    """

    images: int
    layers: tuple[LayerCoverage, ...]
    silent: tuple[SilentChannels, ...]
    out_of_reach: int

    @property
    def weights(self) -> Share:
        """Of all layers."""
        return _together([layer.weights for layer in self.layers])

    @property
    def biases(self) -> Share | None:
        """Of all layers; None where they are not counted."""
        return _together_if_counted([layer.biases for layer in self.layers])

    @property
    def thresholds(self) -> Share | None:
        """Of all layers; None where they are not counted."""
        return _together_if_counted([layer.thresholds for layer in self.layers])

    @property
    def weights_of_firing(self) -> Share:
        """Of the weights within reach whose source channel fired in any image."""
        unread = sum(source.weights for source in self.silent) + self.out_of_reach
        return Share(met=self.weights.met, total=self.weights.total - unread)

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts and lists."""
        totals = {
            name: None if share is None else asdict(share)
            for name, share in (
                ("weights", self.weights),
                ("weights_of_firing", self.weights_of_firing),
                ("biases", self.biases),
                ("thresholds", self.thresholds),
            )
        }
        return {
            **totals,
            "out_of_reach": self.out_of_reach,
            "images": self.images,
            "layers": [asdict(layer) for layer in self.layers],
            "silent": [
                asdict(source) | {"channels": list(source.channels)}
                for source in self.silent
            ],
        }


def _together(shares: list[Share]) -> Share:
    return Share(met=sum(s.met for s in shares), total=sum(s.total for s in shares))


def _together_if_counted(shares: list[Share | None]) -> Share | None:
    counted = [share for share in shares if share is not None]
    return _together(counted) if counted else None
