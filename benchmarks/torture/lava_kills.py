# SPDX-License-Identifier: BSD-3-Clause
"""kill -9 of a Lava run and of its processes; what is left is counted."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from multiprocessing import shared_memory
from pathlib import Path

import numpy as np

from benchmarks.torture.forked import Forked
from benchmarks.torture.result import Result

END_SECONDS = 30
SHARED = Path("/dev/shm")


def kill_lava(result: Result, count: int) -> None:
    """Half of the kills hit one of the run's processes, half the run itself."""
    from sim.backend import create
    from sim.selftest import small_network

    result.what = (
        "kill -9 at a random moment of a Lava run, of one of its processes or of the "
        "run itself: it ends within 30 s, says what died, and no process, shared "
        "memory segment or temporary data is left; both are counted before the kill "
        "and after the end"
    )
    network = small_network()
    images = np.zeros((100, 1, 8, 8), dtype=np.int32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def work() -> None:
            # Names that tell this run's shared memory from that of any other.
            prefix = f"/t{os.getpid()}_"
            shared_memory._SHM_NAME_PREFIX = prefix  # type: ignore[attr-defined]
            temporary = folder / f"tmp{os.getpid()}"
            temporary.mkdir()
            tempfile.tempdir = str(temporary)
            create("lava").run(network, images)

        whole = Forked(work, folder / "log")
        assert whole.wait(300) == 0, whole.message()
        duration = time.monotonic() - whole.started
        result.notes["seconds of a whole run"] = round(duration, 2)
        for number in result.cases(count):
            random = np.random.default_rng([0, number])
            child = Forked(work, folder / "log")
            moment = random.uniform(0, duration)
            whom = "a process" if number % 2 else "the run"
            while whom == "a process" and not child.family():
                time.sleep(0.001)  # there is nothing to kill before
            child.wait(moment)
            family = child.family()
            result.most("processes before the kill, at most", len(family))
            result.most("segments before the kill, at most", len(_segments(child)))
            if not family:
                whom = "the run"
            if whom == "a process":
                os.kill(family[int(random.integers(len(family)))], signal.SIGKILL)
            else:
                child.kill()
            killed = time.monotonic()
            problem = _judge(child, whom, folder)
            result.most("slowest end in seconds", time.monotonic() - killed)
            result.check(
                not problem, f"{whom} killed", f"after {moment:.2f} s: {problem}"
            )
            result.add("processes left", len(child.family()))
            result.add("segments left", len(_segments(child)))
            empty = len(_temporary(folder, child))
            result.add("empty temporary folders and sockets left", empty)
            child.end_family()
            for segment in _segments(child):
                segment.unlink()


def _segments(child: Forked) -> list[Path]:
    """Shared memory of the run, which has names of its own."""
    return list(SHARED.glob(f"t{child.pid}_*"))


def _temporary(folder: Path, child: Forked) -> list[Path]:
    """What the run left in its folder for temporary files."""
    return list((folder / f"tmp{child.pid}").rglob("*"))


def _judge(child: Forked, whom: str, folder: Path) -> str:
    """What is wrong after a kill; empty if nothing is."""
    code = child.wait(END_SECONDS)
    if code is None:
        child.kill()
        child.wait(END_SECONDS)
        return f"did not end within {END_SECONDS} s"
    told = "killed by signal 9" in child.message() or code == 0
    deadline = time.monotonic() + END_SECONDS
    while child.family() and time.monotonic() < deadline:
        time.sleep(0.05)
    if child.family():
        return f"{len(child.family())} processes left"
    while _segments(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    if segments := _segments(child):
        return f"{len(segments)} shared memory segments left"
    left = [p for p in _temporary(folder, child) if p.stat().st_blocks and p.is_file()]
    if left:
        return f"temporary files left: {left}"
    if whom == "a process" and not told:
        return f"exit code {code}: {child.message()[-300:]}"
    return ""
