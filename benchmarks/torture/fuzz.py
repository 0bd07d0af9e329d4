# SPDX-License-Identifier: BSD-3-Clause
"""Readers against damaged files, in child processes that may die."""

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
from typing import Any

from benchmarks.torture.result import Result
from benchmarks.torture.subjects import SUBJECTS

HANG_SECONDS = 10  # of processor time: the machine may be shared
WALL_SECONDS = 120
START_SECONDS = 120
MEMORY_MB = 2048


def fuzz(kind: str, result: Result, count: int) -> None:
    """Read ``count`` damaged files of one kind.

    Survived: a valid object or one line of `UserError`, within 10 s and 2 GB.

    Parameters
    ----------
    kind : str
        Key of `SUBJECTS`.
    result : Result
        Takes the counts.
    count : int
        Number of cases; case n is the same in every run.
    """
    result.what = (
        f"{SUBJECTS[kind].what}: a valid object or one line of error, no crash, no "
        f"hang over {HANG_SECONDS} s of processor time, no memory over 2 GB"
    )
    damages = result.notes.setdefault("damage", {})
    child: _Child | None = None
    try:
        for number in result.cases(count):
            child = child or _Child(kind, number, count)
            record = child.next()
            damage, peak = record["damage"], record.get("peak_mb", 0)
            damages[damage] = damages.get(damage, 0) + 1
            result.most("slowest processor seconds", record.get("cpu_seconds", 0.0))
            result.most("peak memory MB", peak)
            _count(result, record, f"case {number} ({damage}) {record['detail']}")
            if child.ended or peak > MEMORY_MB:
                child.end()  # a fresh one, also to measure its peak anew
                child = None
    finally:
        if child:
            child.end()


def _count(result: Result, record: dict[str, Any], example: str) -> None:
    if record.get("peak_mb", 0) > MEMORY_MB:
        result.bad("memory over 2 GB", example)
    elif record.get("cpu_seconds", 0.0) > HANG_SECONDS:
        result.bad("hang", example)
    elif record["survived"]:
        result.good(record["outcome"])
    else:
        result.bad(record["outcome"], example)


class _Child:
    """One worker and the lines that it prints."""

    def __init__(self, kind: str, first: int, end: int) -> None:
        self.ended = False
        # Made here: a worker that is killed cannot remove it.
        self._folder = tempfile.TemporaryDirectory(dir="/dev/shm")
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "benchmarks.torture.worker",
                kind,
                str(first),
                str(end),
                self._folder.name,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
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
