# SPDX-License-Identifier: BSD-3-Clause
"""Compare what two backends gave: equal integers or the first that differs.

EXACT is said of everything that the network sends: every layer, step and image, and
the output. What was not compared makes it PARTIAL; what differs, FAIL.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from export.network import Network
from export.synapse import Shape
from sim.recording import Payload, Recording, hashes_of, identity, layer_of
from sim.verify.scope import (
    Scope,
    at_size,
    check_network,
    common_images,
    cut,
    not_compared,
    same_network,
    scope,
)

OUTPUT = "output accumulator"
Verdict = Literal["EXACT", "PARTIAL", "FAIL"]


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """The first value that differs, in order of image, step, c, y, x.

    Parameters
    ----------
    image, step, c, y, x : int
        Where; ``step`` is the algorithm step, T - 1 for the output.
    left, right : int
        What the two backends gave.
    """

    image: int
    step: int
    c: int
    y: int
    x: int
    left: int
    right: int


@dataclass(frozen=True, kw_only=True)
class LayerComparison:
    """One layer over all images and steps that both recordings hold.

    Parameters
    ----------
    name : str
        Layer, or ``"output accumulator"``.
    compared : int
        Number of values.
    mismatches : int
        How many differ.
    first : Mismatch or None
        The first that differs.
    output : bool
        Whether it is the output accumulator, not the payloads of a layer.
    """

    name: str
    compared: int
    mismatches: int
    first: Mismatch | None
    output: bool = False


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Verdict over two recordings.

    Parameters
    ----------
    left, right : str
        Backends.
    images, steps : int
        How many were compared.
    same_network : bool
        False if both recordings name a network and these differ.
    layers : tuple of LayerComparison
        In network order, the output last; of the images that both hold.
    reasons : tuple of str
        Why it fails, beside values that differ: another network, other images,
        another T, other shapes, or nothing to compare.
    not_compared : tuple of str
        What the network has and was not compared, or why one cannot tell.
    causes : tuple of str
        What would explain a failure; filled in by `sim.verify.diagnose.explained`.
    """

    left: str
    right: str
    images: int
    steps: int
    same_network: bool
    layers: tuple[LayerComparison, ...]
    reasons: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()

    @property
    def compared(self) -> int:
        """Number of values compared."""
        return sum(layer.compared for layer in self.layers)

    @property
    def mismatches(self) -> int:
        """Number of values that differ."""
        return sum(layer.mismatches for layer in self.layers)

    @property
    def verdict(self) -> Verdict:
        """EXACT, PARTIAL (nothing differs, but not all was compared) or FAIL."""
        if self.mismatches or self.reasons or not self.compared:
            return "FAIL"
        return "PARTIAL" if self.not_compared else "EXACT"

    @property
    def identical(self) -> bool:
        """EXACT: one network, everything of it compared, nothing different."""
        return self.verdict == "EXACT"

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts and lists, with the verdict and the totals."""
        record = asdict(self)
        record["layers"] = [asdict(layer) for layer in self.layers]
        totals = {"compared": self.compared, "mismatches": self.mismatches}
        said = {"verdict": self.verdict, "identical": self.identical}
        return {**said, **totals, **record}


def compare(
    left: Recording, right: Recording, network: Network | None = None
) -> Comparison:
    """Compare every value that both recordings hold.

    Parameters
    ----------
    left, right : Recording
        Layers, steps and images may be any subsets.
    network : Network or None
        What both are said to have run, at any image size. It tells what has to be
        compared; None: the recordings' own lists of layers tell.

    Returns
    -------
    Comparison
        Verdict and first mismatch per layer. If one side's images are some of the
        other's, ``image`` counts those that both hold.

    Raises
    ------
    RecordingError
        If a recording is not of ``network``.
    """
    if network is not None:
        for side in (left, right):
            check_network(at_size(network, side), side)
        network = at_size(network, left)
    needed = scope(left, right, network)
    steps = [t for t in left.steps if t in right.steps]
    layers: list[LayerComparison] = []
    reasons = list(_strangers(left, right))
    places = common_images(left, right)
    both = None
    if places is not None and left.num_steps == right.num_steps:
        both = cut(left, places[0]), cut(right, places[1])
    if both is not None:
        listed = None if network is None else identity(network)["layers"]
        values = _Values(*both, steps, listed)
        layers = list(values.layers())
        reasons += values.reasons
    if not reasons and not layers:
        reasons.append("nothing to compare: no layer, step, image or output in common")
    return Comparison(
        left=left.backend,
        right=right.backend,
        images=0 if both is None else len(both[0].images),
        steps=len(steps),
        same_network=same_network(left, right) is not False,
        layers=tuple(layers),
        reasons=tuple(reasons),
        not_compared=tuple(_left_out(needed, left, right, layers)),
    )


def worst(comparisons: Sequence[Comparison]) -> Verdict | None:
    """Verdict of all together: FAIL if one fails; None if there are none."""
    verdicts = {comparison.verdict for comparison in comparisons}
    ordered: tuple[Verdict, ...] = ("FAIL", "PARTIAL", "EXACT")
    return next((verdict for verdict in ordered if verdict in verdicts), None)


def _strangers(left: Recording, right: Recording) -> Iterator[str]:
    """Why two recordings are not of one run."""
    if left.num_steps != right.num_steps:
        yield f"another T: {left.num_steps} left, {right.num_steps} right"
    if same_network(left, right) is False:
        a, b = (
            " and ".join(sorted(h[:12] for h in hashes_of(side)))
            for side in (left, right)
        )
        yield f"another network: sha256 {a} left, {b} right"
    if common_images(left, right) is None:
        yield (
            f"other images: shapes {left.images.shape} left, {right.images.shape} right"
            if left.images.shape[1:] != right.images.shape[1:]
            else f"other images: {_differing(left.images, right.images)}"
        )


def _differing(a: Payload, b: Payload) -> str:
    if len(a) != len(b):
        return f"the {len(a)} left are not among the {len(b)} right, nor these there"
    number = sum(not np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    return f"{number} of {len(a)} differ"


def _left_out(
    needed: Scope, left: Recording, right: Recording, layers: list[LayerComparison]
) -> Iterator[str]:
    output = bool(layers) and layers[-1].output
    return not_compared(
        needed,
        left,
        right,
        payloads=[layer.name for layer in layers if not layer.output],
        output=output,
    )


class _Values:
    """The values that two recordings of the same images hold in common."""

    def __init__(
        self,
        left: Recording,
        right: Recording,
        steps: list[int],
        listed: Mapping[str, Shape] | None,
    ) -> None:
        self._left, self._right, self._steps = left, right, steps
        self._listed = [listed or side.layers or {} for side in (left, right)]
        self.reasons: list[str] = []

    def layers(self) -> Iterator[LayerComparison]:
        """Compare layer by layer; ``reasons`` collects what cannot be compared."""
        left, right, steps = self._left, self._right, self._steps
        places = [[side.steps.index(t) for t in steps] for side in (left, right)]
        for name, a in left.payloads.items():
            b = right.payloads.get(name)
            needed = [
                shapes.get(layer_of(name, shapes) or "") for shapes in self._listed
            ]
            if b is None or not self._comparable(f"layer '{name}'", a, b, needed):
                continue
            a, b = (
                v if at == list(range(v.shape[1])) else v[:, at]
                for v, at in zip((a, b), places, strict=True)
            )
            if a.size:
                yield _layer(name, a, b, steps.__getitem__)
        if left.output is None or right.output is None:
            return
        a, b = left.output, right.output
        needed = [([None, *shapes.values()])[-1] for shapes in self._listed]
        if self._comparable("the output", a, b, needed):
            last = left.num_steps - 1
            yield replace(
                _layer(OUTPUT, a[:, None], b[:, None], lambda _: last), output=True
            )

    def _comparable(
        self, what: str, a: Payload, b: Payload, needed: list[Shape | None]
    ) -> bool:
        """Whether each has the shape it should; without values it counts as nothing."""
        if not a.size or not b.size:
            return False
        shapes = [side.shape[side.ndim - 3 :] for side in (a, b)]
        if shapes[0] != shapes[1]:
            self.reasons.append(
                f"{what} has another shape: {a.shape} left, {b.shape} right"
            )
            return False
        for shape in needed:
            if shape not in (None, shapes[0]):
                self.reasons.append(
                    f"{what} has another shape: {a.shape} left and right, (C, H, W) = "
                    f"{shape} in the list of layers"
                )
                return False
        return True


def merge(comparisons: Sequence[Comparison]) -> Comparison:
    """Make one verdict of those over parts of a stream of images.

    Parameters
    ----------
    comparisons : sequence of Comparison
        Of the same backends, network and layers, in the order of their images.

    Returns
    -------
    Comparison
        Of all images together; the first mismatch counts them through.
    """
    before = [0, *itertools.accumulate(c.images for c in comparisons)]
    parts: dict[tuple[str, bool], list[tuple[LayerComparison, int]]] = {}
    for comparison, images in zip(comparisons, before, strict=False):
        for layer in comparison.layers:
            parts.setdefault((layer.name, layer.output), []).append((layer, images))
    # Layers that one part lacks, for a reason that it states, come last but one.
    ordered = sorted(parts.values(), key=lambda found: found[0][0].output)
    failed = next((c for c in comparisons if c.verdict == "FAIL"), comparisons[0])
    return replace(
        comparisons[0],
        images=before[-1],
        steps=min(c.steps for c in comparisons),
        same_network=all(c.same_network for c in comparisons),
        layers=tuple(_merged(found) for found in ordered),
        reasons=_unique(c.reasons for c in comparisons),
        not_compared=_unique(c.not_compared for c in comparisons),
        causes=failed.causes,
    )


def _unique(phrases: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(itertools.chain.from_iterable(phrases)))


def _merged(parts: Sequence[tuple[LayerComparison, int]]) -> LayerComparison:
    different = [
        replace(part.first, image=part.first.image + images)
        for part, images in parts
        if part.first
    ]
    return replace(
        parts[0][0],
        compared=sum(part.compared for part, _ in parts),
        mismatches=sum(part.mismatches for part, _ in parts),
        first=different[0] if different else None,
    )


def _layer(
    name: str, a: Payload, b: Payload, step_of: Callable[[int], int]
) -> LayerComparison:
    """Compare arrays of shape (images, steps, C, H, W)."""
    differ = a != b
    mismatches = int(np.count_nonzero(differ))
    first = None
    if mismatches:
        at = np.unravel_index(int(differ.argmax()), differ.shape)
        image, step, c, y, x = (int(i) for i in at)
        first = Mismatch(
            image=image,
            step=step_of(step),
            c=c,
            y=y,
            x=x,
            left=int(a[at]),
            right=int(b[at]),
        )
    return LayerComparison(
        name=name, compared=int(a.size), mismatches=mismatches, first=first
    )
