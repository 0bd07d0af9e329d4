# SPDX-License-Identifier: BSD-3-Clause
"""A question about a chip, and what the chip would record for each answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np

from export.network import Network
from export.stock_network import StockNetwork
from export.synapse import IntArray
from sim.probes.rules import Int64, StockRules, WindowRules
from sim.probes.stock import run_stock
from sim.probes.windows import run_windows


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One way in which a chip may work.

    Parameters
    ----------
    text : str
        What it does.
    rules : StockRules or WindowRules
        The same, as this project simulates it.
    then : str
        What that means for whoever exports a network; empty where the answer is
        what all backends of this project do.
    """

    text: str
    rules: StockRules | WindowRules
    then: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Probe:
    """A tiny network whose recording answers a question.

    Parameters
    ----------
    name : str
        Of its files.
    question : str
        One sentence.
    reason : str
        Why simulators leave it open.
    network : Network or StockNetwork
        What runs.
    images : ndarray, shape (images, C, 1, 1), or (T, C, 1, 1) for stock neurons
        What enters.
    layer : str
        The layer that is recorded.
    answers : tuple of Answer
        The first is what this project's backends do; no two give one recording.
    """

    name: str
    question: str
    reason: str
    network: Network
    images: IntArray
    layer: str
    answers: tuple[Answer, ...]

    @cached_property
    def recordings(self) -> tuple[Int64, ...]:
        """What the chip records for each answer, (steps, neurons)."""
        return tuple(self._run(answer.rules) for answer in self.answers)

    def _run(self, rules: StockRules | WindowRules) -> Int64:
        if isinstance(rules, StockRules):
            network = cast(StockNetwork, self.network)
            return run_stock(network, self.images, rules)
        return run_windows(self.network, self.images, self.layer, rules)

    @property
    def shape(self) -> tuple[int, int]:
        """Steps and neurons of a recording."""
        images = len(self.images) if self.network.in_windows else 1
        return (
            images * self.network.num_steps,
            self.network.nodes[self.layer].shape[0],
        )

    def answered(self, recorded: Int64) -> int | None:
        """Index of the answer that a chip has given; None if it is none of these.

        Parameters
        ----------
        recorded : ndarray, shape (steps, neurons)
            What the chip sent.
        """
        for index, recording in enumerate(self.recordings):
            if np.array_equal(recording, recorded):
                return index
        return None
