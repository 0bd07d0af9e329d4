# SPDX-License-Identifier: BSD-3-Clause
"""A function in a forked process of its own session, to be killed and counted."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from export.errors import UserError


class Forked:
    """Runs ``work`` in a child; exit code 0, or 2 and a message on `UserError`.

    Parameters
    ----------
    work : callable
        Without arguments.
    log : Path
        Takes the child's standard error.
    """

    def __init__(self, work: Callable[[], object], log: Path) -> None:
        self.log = log
        self._code: int | None = None
        self.started = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            self._work(work)

    def _work(self, work: Callable[[], object]) -> None:
        code = 1
        try:
            os.setsid()
            handle = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            work()
            code = 0
        except UserError as error:
            sys.stderr.write(f"error: {error}\n")
            code = 2
        except Exception:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def wait(self, seconds: float) -> int | None:
        """Exit code (negative: signal) or None if it still runs after ``seconds``."""
        deadline = time.monotonic() + seconds
        while self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > deadline:
                return None
            else:
                time.sleep(0.005)
        return self._code

    def kill(self) -> None:
        """Send SIGKILL to the child alone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def family(self) -> list[int]:
        """Processes of the child's session that still run, without itself."""
        processes = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == self.pid:
                continue
            with contextlib.suppress(OSError):
                # Fields after the command's name: state, parent, group, session.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == self.pid and fields[0] != "Z":
                    processes.append(int(entry.name))
        return processes

    def end_family(self) -> None:
        """Kill whatever is left of the session."""
        for pid in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def message(self) -> str:
        """Standard error so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""
