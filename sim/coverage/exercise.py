# SPDX-License-Identifier: BSD-3-Clause
"""Two backends on pictures that were made to exercise a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from export.network import Network
from sim.backend import OverflowLayerError, Progress, Simulator, create
from sim.coverage.choose import Chosen
from sim.coverage.flips import FlipReport
from sim.coverage.report import CoverageReport
from sim.coverage.stimuli import Stimulus
from sim.recording import Recording
from sim.streaming import stream
from sim.verify.comparison import Comparison, Verdict, compare, merge

Place = tuple[str, int]  # (layer, step)
Result = Recording | OverflowLayerError


@dataclass(frozen=True, kw_only=True)
class Overflow:
    """A picture at which a backend refused.

    Parameters
    ----------
    picture : str
        Its name.
    left, right : (str, int) or None
        Layer and step; None if the backend ran through.
    """

    picture: str
    left: Place | None
    right: Place | None

    @property
    def same(self) -> bool:
        """Whether both backends refused at the same place."""
        return self.left == self.right


@dataclass(frozen=True, kw_only=True, eq=False)
class Exercise:
    """Verdict over made pictures.

    Parameters
    ----------
    comparison : Comparison or None
        Over all pictures that both backends ran through; None if there was none.
    pictures : tuple of Stimulus
        Those, in the order in which the comparison counts them.
    overflows : tuple of Overflow
        The others.
    coverage : CoverageReport
        What the pictures exercised.
    flips : FlipReport or None
        As in `Chosen`.
    """

    comparison: Comparison | None
    pictures: tuple[Stimulus, ...]
    overflows: tuple[Overflow, ...]
    coverage: CoverageReport
    flips: FlipReport | None = None

    @property
    def verdict(self) -> Verdict:
        """That over the payloads; FAIL where an overflow is not at the same place."""
        if self.comparison is None or not all(o.same for o in self.overflows):
            return "FAIL"
        return self.comparison.verdict

    @property
    def identical(self) -> bool:
        """EXACT: something was compared, all is equal, each overflow included."""
        return self.verdict == "EXACT"

    @property
    def to_show(self) -> Stimulus | None:
        """The first picture with a mismatch, else the first that was compared."""
        layers = self.comparison.layers if self.comparison else ()
        different = [layer.first.image for layer in layers if layer.first]
        return self.pictures[min(different, default=0)] if self.pictures else None

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts and lists."""
        compared = self.comparison.to_json() if self.comparison else {}
        return compared | {
            "verdict": self.verdict,
            "identical": self.identical,
            "pictures": [picture.name for picture in self.pictures],
            "overflows": [asdict(o) | {"same": o.same} for o in self.overflows],
            "coverage": self.coverage.to_json(),
            "flips": self.flips.to_json() if self.flips else None,
        }


def exercise(
    network: Network,
    chosen: Chosen,
    backends: tuple[str, str],
    *,
    progress: Progress | None = None,
) -> Exercise:
    """Run two backends on chosen pictures and compare all that they record.

    Parameters
    ----------
    network : Network
        What the pictures were chosen for.
    chosen : Chosen
        The pictures. A backend that overflows has to do so where the other does.
    backends : tuple of str
        Left and right.
    progress : callable or None
        Called with (pictures done, all pictures).
    """
    pair = (create(backends[0]), create(backends[1]))
    calm = [p for p in chosen.pictures if p.name not in chosen.overflowing]
    wild = [p for p in chosen.pictures if p.name in chosen.overflowing]
    comparisons: list[Comparison] = []
    pictures: list[Stimulus] = []
    overflows: list[Overflow] = []
    for stimulus, left, right in _results(network, pair, calm, wild):
        if isinstance(left, Recording) and isinstance(right, Recording):
            comparisons.append(compare(left, right, network))
            pictures.append(stimulus)
        else:
            overflows.append(
                Overflow(picture=stimulus.name, left=_place(left), right=_place(right))
            )
        if progress:
            progress(len(pictures) + len(overflows), len(chosen.pictures))
    return Exercise(
        comparison=merge(comparisons) if comparisons else None,
        pictures=tuple(pictures),
        overflows=tuple(overflows),
        coverage=chosen.coverage.report(network),
        flips=chosen.flips,
    )


def _results(
    network: Network,
    backends: tuple[Simulator, Simulator],
    calm: Sequence[Stimulus],
    wild: Sequence[Stimulus],
) -> Iterator[tuple[Stimulus, Result, Result]]:
    """What both backends gave for each picture.

    Calm pictures run as one stream, which Lava's runtime stays up for. Where a backend
    overflows all the same, the rest run one by one, to tell which picture it was.
    """
    done = 0
    streams = [
        stream(network, (p.levels for p in calm), backend=backend, layers=None)
        for backend in backends
    ]
    try:
        for left, right in zip(*streams, strict=True):
            yield calm[done], left, right
            done += 1
    except OverflowLayerError:
        pass
    for stimulus in [*calm[done:], *wild]:
        left_alone, right_alone = (
            _alone(backend, network, stimulus) for backend in backends
        )
        yield stimulus, left_alone, right_alone


def _alone(backend: Simulator, network: Network, stimulus: Stimulus) -> Result:
    try:
        return backend.run(network, stimulus.levels[None])
    except OverflowLayerError as error:
        return error


def _place(result: Result) -> Place | None:
    if isinstance(result, OverflowLayerError):
        return (result.layer, result.step)
    return None
