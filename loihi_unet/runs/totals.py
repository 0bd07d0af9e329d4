# SPDX-License-Identifier: BSD-3-Clause
"""What a run has come to: sums over its parts, and what `simulate` says of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.network import Network
from loihi_unet.runs.hashes import hashes
from sim.coverage.counter import Coverage
from sim.coverage.rerun import recorded_coverage, records_all
from sim.recording import Recording


class Totals:
    """Sums over the parts of a run.

    Parameters
    ----------
    network : Network
        What runs.
    layers : tuple of str or None
        Layers that are recorded; None means all.
    """

    def __init__(self, network: Network, layers: tuple[str, ...] | None) -> None:
        self.network = network
        self.layers = layers
        self.images = 0
        self.seconds = 0.0
        self.spikes: Counter[str] = Counter()
        self.values: Counter[str] = Counter()
        self.coverage = Coverage(network)
        self._first: dict[str, NDArray[np.int64]] = {}  # step of the first payload

    def add(self, part: Recording) -> None:
        """Count a part of the run."""
        self.images += len(part.images)
        self.seconds += part.seconds
        for name, payload in part.payloads.items():
            if ":" in name:  # a stock neuron's state
                continue
            self.spikes[name] += int(np.count_nonzero(payload))
            self.values[name] += payload.size
        if records_all(self.network, self.layers):
            self.coverage.add(self.network, part)

    def add_step(self, part: Recording) -> None:
        """Count a step of one run, of its ``num_steps``."""
        [t] = part.steps
        self.images = 1
        self.seconds += part.seconds
        shown = {self.network.input.name: part.images, **part.payloads}
        for name, payload in shown.items():
            if ":" in name:  # a stock neuron's state
                continue
            values = payload[0, 0]
            if name in part.payloads:
                self.spikes[name] += int(np.count_nonzero(values))
                self.values[name] += values.size
            first = self._first.setdefault(
                name, np.full(values.shape, self.network.num_steps)
            )
            np.minimum(first, t, out=first, where=values != 0)

    def result(
        self, backend: str, recording: Path, *, note: str = "", **more: Any
    ) -> dict[str, Any]:
        """Return what the command says.

        Parameters
        ----------
        backend : str
            What ran.
        recording : Path
            The file that was written.
        note : str
            Where the size is not the file's.
        **more
            Further values.

        Returns
        -------
        dict[str, Any]
            ``backend, network_sha256, network_sha256_any_size, size, note, images,
            num_steps, seconds, out, spike_rate, coverage``, and ``more``.
        """
        network = self.network
        if self._first and records_all(network, self.layers):
            self.coverage.add_first(network, self._first)
        return {
            "backend": backend,
            **hashes(network),
            "size": network.input.shape[1:],
            "note": note,
            "images": self.images,
            "num_steps": network.num_steps,
            "seconds": self.seconds,
            "out": str(recording),
            "spike_rate": {
                name: self.spikes[name] / n for name, n in self.values.items()
            },
            "coverage": recorded_coverage(network, self.coverage, self.layers),
            **more,
        }
