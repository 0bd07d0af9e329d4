# SPDX-License-Identifier: BSD-3-Clause
"""Outcome of one torture test: tried, survived, failed, and what failed."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from export.files.atomic import write_text

MAX_EXAMPLES = 5
SAVE_SECONDS = 10


@dataclass(kw_only=True)
class Result:
    """Counts of one test; every case is either survived or failed.

    Parameters
    ----------
    name : str
        Key in docs/reliability.json.
    keep : Path or None
        File that holds the counts while the test runs; one that is there is taken
        up again.
    what : str
        What is done and what counts as survived, in one sentence.
    """

    name: str
    keep: Path | None = None
    what: str = ""
    done: int = 0
    seconds: float = 0.0
    survived: int = 0
    failed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.keep is not None and self.keep.exists():
            kept = json.loads(self.keep.read_text())
            self.outcomes.update(kept.pop("outcomes"))
            for name, value in kept.items():
                setattr(self, name, value)

    def cases(self, count: int) -> Iterator[int]:
        """Give the numbers of the cases that are still to be done, and keep counts."""
        saved = last = time.monotonic()
        for number in range(self.done, count):
            yield number
            self.done = number + 1
            now = time.monotonic()
            self.seconds += now - last
            last = now
            if self.keep is not None and now - saved > SAVE_SECONDS:
                write_text(self.keep, json.dumps(self._counts()))
                saved = now

    def good(self, outcome: str) -> None:
        """Count a case that ended as it should; ``outcome`` says how."""
        self.survived += 1
        self.outcomes[outcome] += 1

    def bad(self, outcome: str, example: str) -> None:
        """Count a failure and keep the first few as examples."""
        self.failed += 1
        self.outcomes[outcome] += 1
        if len(self.failures) < MAX_EXAMPLES:
            self.failures.append(f"{outcome}: {example}")

    def check(self, holds: bool, outcome: str, example: str) -> None:
        """Count ``outcome`` as survived if it holds, else as failed."""
        if holds:
            self.good(outcome)
        else:
            self.bad(f"not: {outcome}", example)

    def most(self, note: str, value: float) -> None:
        """Note the largest value of all cases."""
        self.notes[note] = max(round(value, 2), self.notes.get(note, 0))

    def add(self, note: str, value: int = 1) -> None:
        """Note the sum over all cases."""
        self.notes[note] = self.notes.get(note, 0) + value

    def to_json(self) -> dict[str, Any]:
        """As a JSON object with ``tried`` and sorted outcomes."""
        record = {"name": self.name, **self._counts()}
        record["tried"] = self.survived + self.failed
        record["outcomes"] = dict(self.outcomes.most_common())
        record["seconds"] = round(self.seconds, 1)
        del record["done"]
        return record

    def _counts(self) -> dict[str, Any]:
        hidden = ("name", "keep")
        return {k: v for k, v in vars(self).items() if k not in hidden}
