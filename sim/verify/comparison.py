# SPDX-License-Identifier: BSD-3-Clause
"""Compare what two machines gave: equal integers or the first that differs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from sim.recording import Payload, Recording, RecordingError

OUTPUT = "output accumulator"


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """The first value that differs, in order of image, step, c, y, x.

    Parameters
    ----------
    image, step, c, y, x : int
        Where; ``step`` is the algorithm step, T - 1 for the output.
    left, right : int
        What the two machines gave.
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
    """

    name: str
    compared: int
    mismatches: int
    first: Mismatch | None


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
        In network order, the output last.
    """

    left: str
    right: str
    images: int
    steps: int
    same_network: bool
    layers: tuple[LayerComparison, ...]

    @property
    def compared(self) -> int:
        """Number of values compared."""
        return sum(layer.compared for layer in self.layers)

    @property
    def mismatches(self) -> int:
        """Number of values that differ."""
        return sum(layer.mismatches for layer in self.layers)

    @property
    def identical(self) -> bool:
        """EXACT: one network, something compared, nothing different."""
        return self.same_network and self.compared > 0 and self.mismatches == 0

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts and lists, with ``identical`` and the totals."""
        record = asdict(self)
        record["layers"] = [asdict(layer) for layer in self.layers]
        totals = {"compared": self.compared, "mismatches": self.mismatches}
        return {"identical": self.identical, **totals, **record}


def compare(left: Recording, right: Recording) -> Comparison:
    """Compare every value that both recordings hold.

    Parameters
    ----------
    left, right : Recording
        Of the same images. Layers and steps may be any subsets.

    Returns
    -------
    Comparison
        Verdict and first mismatch per layer.

    Raises
    ------
    RecordingError
        If the two cannot be compared: other images, other T, other shapes, or
        no layer and no output in common.
    """
    if left.num_steps != right.num_steps:
        raise RecordingError(
            f"verify: T = {left.num_steps} left, {right.num_steps} right; equal needed"
        )
    if not np.array_equal(left.images, right.images):
        raise RecordingError(
            f"verify: the input images differ (shapes {left.images.shape} left, "
            f"{right.images.shape} right); equal needed"
        )
    steps = [t for t in left.steps if t in right.steps]
    at_left = [left.steps.index(t) for t in steps]
    at_right = [right.steps.index(t) for t in steps]
    layers = []
    common = [n for n in left.payloads if n in right.payloads] if steps else []
    for name in common:
        a, b = left.payloads[name], right.payloads[name]
        _same_shape(name, a[:, :0], b[:, :0])
        a = a if at_left == list(range(a.shape[1])) else a[:, at_left]
        b = b if at_right == list(range(b.shape[1])) else b[:, at_right]
        layers.append(_layer(name, a, b, steps.__getitem__))
    if left.output is not None and right.output is not None:
        _same_shape(OUTPUT, left.output, right.output)
        a, b = left.output[:, None], right.output[:, None]
        layers.append(_layer(OUTPUT, a, b, lambda _: left.num_steps - 1))
    if not layers:
        raise RecordingError(
            "verify: the recordings have no layer, step or output in common"
        )
    hashes = {left.network_sha256, right.network_sha256} - {None}
    return Comparison(
        left=left.backend,
        right=right.backend,
        images=len(left.images),
        steps=len(steps),
        same_network=len(hashes) < 2,
        layers=tuple(layers),
    )


def merge(comparisons: Sequence[Comparison]) -> Comparison:
    """Make one verdict of those over parts of a stream of images.

    Parameters
    ----------
    comparisons : sequence of Comparison
        Of the same machines, network and layers, in the order of their images.

    Returns
    -------
    Comparison
        Of all images together; the first mismatch counts them through.
    """
    before = [0, *itertools.accumulate(c.images for c in comparisons)]
    layers = []
    for parts in zip(*(c.layers for c in comparisons), strict=True):
        different = [
            replace(part.first, image=part.first.image + images)
            for part, images in zip(parts, before, strict=False)
            if part.first
        ]
        layers.append(
            LayerComparison(
                name=parts[0].name,
                compared=sum(part.compared for part in parts),
                mismatches=sum(part.mismatches for part in parts),
                first=different[0] if different else None,
            )
        )
    return replace(
        comparisons[0],
        images=before[-1],
        same_network=all(c.same_network for c in comparisons),
        layers=tuple(layers),
    )


def _same_shape(name: str, a: Payload, b: Payload) -> None:
    if a.shape != b.shape:
        raise RecordingError(
            f"verify: '{name}' has shape {a.shape} left, {b.shape} right; equal needed"
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
