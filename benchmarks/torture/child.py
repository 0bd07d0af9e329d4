# SPDX-License-Identifier: BSD-3-Clause
"""A child process that does cases, and may die of one."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from typing import Any

from benchmarks.torture.result import Result

WALL_SECONDS = 120
# At the lowest priority of a busy machine the libraries take minutes to load.
START_SECONDS = 600


def in_children(
    result: Result,
    count: int,
    module: str,
    kind: str,
    environment: Mapping[str, str],
) -> None:
    """Do all cases in workers, a fresh one after each that died.

    Parameters
    ----------
    result : Result
        Takes the counts.
    count : int
        Number of cases; case n is the same in every run.
    module, kind, environment
        As for `Child`.
    """
    child: Child | None = None
    try:
        for number in result.cases(count):
            child = child or Child(module, kind, number, count, environment)
            record = child.next()
            if record["survived"]:
                result.good(record["outcome"])
            else:
                result.bad(record["outcome"], f"case {number} {record['detail']}")
            if child.ended:
                child.end()
                child = None
    finally:
        if child:
            child.end()


class Child:
    """One worker and the lines that it prints.

    Parameters
    ----------
    module : str
        Of this package.
    kind, first, end : str, int, int
        What it does, and the numbers of its cases.
    environment : mapping
        What it has besides that of this process.
    """

    def __init__(
        self,
        module: str,
        kind: str,
        first: int,
        end: int,
        environment: Mapping[str, str],
    ) -> None:
        self.ended = False
        # Made here: a worker that is killed cannot remove it.
        self._folder = tempfile.TemporaryDirectory(dir="/dev/shm")
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                f"benchmarks.torture.{module}",
                kind,
                str(first),
                str(end),
                self._folder.name,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._pump, daemon=True).start()
        self._errors: list[str] = []
        threading.Thread(target=self._drain, daemon=True).start()
        self._fresh = True

    def _pump(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def _drain(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors = [*self._errors[-20:], line]

    def next(self) -> dict[str, Any]:
        """Result of the next case; also of one that killed or hung the worker."""
        damage = "?"
        limit = START_SECONDS if self._fresh else WALL_SECONDS
        deadline = time.monotonic() + limit
        while True:
            try:
                line = self._lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                self.ended = True
                return _failure("hang", "", damage)
            if line is None:
                self.ended = True
                code = self._process.wait()
                how = f"signal {-code}" if code < 0 else f"status {code}"
                tail = " | ".join(x.strip() for x in self._errors[-2:])
                return _failure("crash", f"{how} {tail}", damage)
            if line.startswith("begin "):
                damage = line.split()[2].replace("_bytes", " bytes")
                self._fresh = False
                deadline = time.monotonic() + WALL_SECONDS
            else:
                record: dict[str, Any] = json.loads(line)
                return record

    def end(self) -> None:
        """Kill it, and remove its folder."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._folder.cleanup()


def _failure(outcome: str, detail: str, damage: str) -> dict[str, Any]:
    return {
        "survived": False,
        "outcome": outcome,
        "detail": detail,
        "damage": damage,
    }
