# SPDX-License-Identifier: BSD-3-Clause
"""The same crops on several backends, each once, and what that proves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.network import Network
from loihi_unet.demo import crops, detail
from loihi_unet.demo.crops import FRAMES
from loihi_unet.demo.detail import Corner
from loihi_unet.demo.subject import Pixels, Subject
from sim.backend import BackendError, Simulator, create
from sim.coverage.counter import Coverage
from sim.recording import Payload, Recording
from sim.verify.comparison import Comparison, compare
from sim.verify.diagnose import explained

Bar = Callable[[str], Callable[[int, int], None]]


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Two backends on the same crops.

    Parameters
    ----------
    comparison : Comparison
        Every layer, step and the output.
    coverage : dict[str, Any]
        `CoverageReport.to_json` of these crops.
    corners : sequence of (int, int)
        Where they lie in the picture.
    side : int
        Of each crop.
    colour : str
        Of its frame in the picture.
    """

    comparison: Comparison
    coverage: dict[str, Any]
    corners: Sequence[Corner]
    side: int
    colour: str

    @property
    def title(self) -> str:
        """What a frame says."""
        crops_ = "crop" if len(self.corners) == 1 else "crops"
        size = f"{len(self.corners)} {crops_} of {self.side}x{self.side}"
        return f"{self.comparison.right}: {size}"

    def to_json(self) -> dict[str, Any]:
        """As `loihi_unet.report.schema.Compared`."""
        return self.comparison.to_json() | {
            "sizes": [[len(self.corners), self.side, self.side]],
            "coverage": self.coverage,
        }


class Backends:
    """Runs crops of a subject on every backend that there is.

    Attributes
    ----------
    seen : Recording
        The large crops on torch, of which the layers are described.
    skipped : list of str
        Why backends did not run.
    failed : tuple or None
        The first comparison that failed, with both recordings and the network.
    """

    def __init__(
        self, network: Network, subject: Subject, seconds: dict[str, float], bar: Bar
    ) -> None:
        self.network = network
        self.subject = subject
        self.seconds = seconds
        self.bar = bar
        self.skipped: list[str] = []
        self.failed: tuple[Comparison, Recording, Recording, Network] | None = None
        self._large = crops.crop_side(subject)
        self.seen = self._run(
            create("torch"), self._crops(self._large, subject.corners)
        )

    def compare_all(self) -> tuple[Proof, ...]:
        """Compare torch with each other backend, on crops that one can afford."""
        proofs = []
        sides = (detail.CROP, crops.REFERENCE_CROP, crops.STOCK_CROP)
        names = ("lava", "reference", "lava-stock")
        for name, side, colour in zip(names, sides, FRAMES, strict=True):
            try:
                backend = create(name)
            except BackendError as error:
                self.skipped.append(str(error))
                continue
            multiple = int(self.subject.multiple)
            side = min(self._large, max(multiple, side - side % multiple))
            proofs.append(self._compare(backend, side, colour))
        return tuple(proofs)

    def _compare(self, backend: Simulator, side: int, colour: str) -> Proof:
        corners: Sequence[Corner] = self.subject.corners
        left = self.seen
        if backend.name != "lava":
            corners = (crops.small_corner(self.subject, side),)
            left = self._run(create("torch"), self._crops(side, corners))
        right = self._run(backend, left.images)
        size = self.network.resized(side, side)
        comparison = explained(compare(left, right, size), left, right, size)
        if self.failed is None and not comparison.identical:
            self.failed = (comparison, left, right, size)
        coverage = Coverage(self.network)
        coverage.add(size, left)
        return Proof(
            comparison=comparison,
            coverage=coverage.report(self.network).to_json(),
            corners=corners,
            side=side,
            colour=colour,
        )

    def _crops(self, size: int, corners: Sequence[Corner]) -> Pixels:
        return np.stack(
            [self.subject.pixels[:, y : y + size, x : x + size] for y, x in corners]
        )

    def _run(self, backend: Simulator, images: Payload | Pixels) -> Recording:
        count, _, height, width = images.shape
        noun = "crop" if count == 1 else "crops"
        title = f"{backend.name}, {count} {noun} of {height}x{width}"
        network = self.network.resized(height, width)
        recording = backend.run(network, images, progress=self.bar(title))
        self.seconds[title] = recording.seconds
        return recording
