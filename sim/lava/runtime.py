# SPDX-License-Identifier: BSD-3-Clause
"""Runs connected Lava Processes so that the run always ends and leaves nothing.

Lava 0.10.0 waits for ever when a process of its runtime dies, and reports the
traceback of a failed ProcessModel at log level INFO only. This module starts the
same runtime without blocking, watches its processes, and ends them itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import connection
from typing import Any

from lava.magma.core.process.message_interface_enum import ActorType
from lava.magma.core.process.process import AbstractProcess, ProcessServer
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import RunConfig
from lava.magma.runtime.mgmt_token_enums import MGMT_RESPONSE, enum_equal
from lava.magma.runtime.runtime import Runtime

from sim.backend import BackendError, OverflowLayerError
from sim.interrupts import interrupts_deferred

POLL_SECONDS = 0.02
# Messages a channel holds. All processes keep the same time step, so a sender is at
# most one message ahead; Lava's default of 64 takes 64 times the shared memory.
CHANNEL_MESSAGES = 2
# Time that processes get to report an error after one of them has died.
GRACE_SECONDS = 1.0


@contextlib.contextmanager
def tidy() -> Iterator[None]:
    """Undo what making Lava Processes leaves behind in this interpreter.

    Each Process adds a handler to the root logger and stays registered, with its
    weights, until the interpreter ends (lava.magma.core.process.process, 0.10.0).
    """
    root = logging.getLogger()
    handlers = list(root.handlers)
    server = ProcessServer()
    known = set(map(id, server.processes))
    try:
        yield
    finally:
        root.handlers[:] = handlers
        server.processes[:] = [p for p in server.processes if id(p) in known]


# Process whose children end with it; None outside of `_children_end_with_us`.
_parent: int | None = None
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def _end_with_parent() -> None:
    """In a fresh child: leave Ctrl-C to the parent, and die when it dies (Linux)."""
    if _parent is None:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != _parent:
        os._exit(1)  # it died just before


# `sim.backend.create` makes no Lava backend where there is no fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_end_with_parent)


@contextlib.contextmanager
def _children_end_with_us() -> Iterator[None]:
    """Let processes forked here die with this one, however it is killed.

    Lava's processes wait on semaphores for ever. Python's resource tracker
    releases their shared memory when all of them are gone.
    """
    global _parent
    _parent = os.getpid()
    try:
        yield
    finally:
        _parent = None


class Run:
    """One runtime and the operating system's processes behind it."""

    def __init__(self, executable: Any) -> None:
        self.runtime = Runtime(executable, ActorType.MultiProcessing)
        executable.assign_runtime_to_all_processes(self.runtime)
        self.names = [p.name for p in executable.proc_builders] + ["runtime service"]

    @property
    def actors(self) -> list[Any]:
        """Operating system's processes; none before `initialize`."""
        infrastructure = self.runtime._messaging_infrastructure
        return [] if infrastructure is None else list(infrastructure.actors)

    def initialize(self) -> None:
        """Start all processes.

        Lava waits for a message of each; of one that died before it could send
        any, the guard sends it.

        Raises
        ------
        BackendError
            If a ProcessModel could not be made, or its process died.
        """
        done = threading.Event()
        guard = threading.Thread(target=self._guard, args=(done,), daemon=True)
        guard.start()
        try:
            # Lava prints the traceback; standard output is not ours to write to.
            with (
                _children_end_with_us(),
                interrupts_deferred(),
                contextlib.redirect_stdout(sys.stderr),
            ):
                self.runtime.initialize()
        except BackendError:
            raise
        except Exception as error:
            # Without its manager Lava has a broken pipe and nothing else to tell.
            if code := self._manager_exitcode():
                text = f"Lava's shared memory manager {_ended(code)}"
                raise BackendError(text) from error
            trace = getattr(error, "trace", "").rstrip() or repr(error)
            raise BackendError(f"a Lava process failed to start:\n{trace}") from error
        finally:
            done.set()
            guard.join()

    def _manager_exitcode(self) -> int | None:
        """Exit code of the process that owns shared memory; None while it runs."""
        infrastructure = self.runtime._messaging_infrastructure
        manager = None if infrastructure is None else infrastructure.smm._manager
        process = getattr(manager, "_process", None)
        if process is None:  # it never started
            return None
        process.join(GRACE_SECONDS)  # the pipe breaks a moment before the end
        code: int | None = process.exitcode
        return code

    def _guard(self, done: threading.Event) -> None:
        told: set[int] = set()
        while not done.wait(POLL_SECONDS):
            for number, actor in enumerate(self.actors):
                if number not in told and actor.exitcode is not None:
                    told.add(number)
                    error = BackendError(self._death(number, actor.exitcode))
                    error.trace = ""  # type: ignore[attr-defined]  # Lava prints it
                    self.runtime.exception_q[number].put(error)

    def steps(self, num_steps: int, watch: Callable[[], None]) -> None:
        """Run that many time steps more.

        Parameters
        ----------
        num_steps : int
            Time steps.
        watch : callable
            Called some times a second.

        Raises
        ------
        OverflowsError
            If compartments or convolutions overflowed.
        BackendError
            If a process failed or died; holds its traceback or what killed it.
        """
        self.runtime.start(RunSteps(num_steps=num_steps, blocking=False))
        ports = self.runtime.service_to_runtime
        sentinels = [actor.sentinel for actor in self.actors]
        while not self._reported():
            watch()
            if connection.wait(sentinels, timeout=POLL_SECONDS):
                raise self._failure()
        if not all(enum_equal(p.peek(), MGMT_RESPONSE.DONE) for p in ports):
            raise self._failure()
        self.runtime.wait()
        watch()

    def _failure(self) -> Exception:
        """What ended the run.

        An overflow is raised after sending, so all processes finish the time
        step and the runtime reports; waiting for it gives all overflows of that
        step. After any other death the others wait for ever.
        """
        while not self._dead_unexplained() and not self._reported():
            time.sleep(POLL_SECONDS)
        deadline = time.monotonic() + GRACE_SECONDS
        waiting = {actor.sentinel for actor in self.actors}
        while waiting and (left := deadline - time.monotonic()) > 0:
            waiting.difference_update(connection.wait(list(waiting), timeout=left))
        errors = [actor.exception for actor in self.actors if actor.exception]
        overflows = [e for e, _ in errors if isinstance(e, OverflowLayerError)]
        if overflows:
            return OverflowsError(overflows)
        deaths = [
            self._death(number, actor.exitcode)
            for number, actor in enumerate(self.actors)
            if actor.exitcode
        ]
        if deaths:
            return BackendError("; ".join(deaths))
        traceback = errors[0][1].rstrip() if errors else "no process left an error"
        return BackendError(f"the Lava runtime failed:\n{traceback}")

    def _reported(self) -> bool:
        return all(port.probe() for port in self.runtime.service_to_runtime)

    def _dead_unexplained(self) -> bool:
        """Whether a process died of anything but an overflow."""
        dead = [a for a in self.actors if a.exitcode is not None]
        return any(
            not (a.exception and isinstance(a.exception[0], OverflowLayerError))
            for a in dead
        )

    def _death(self, number: int, exitcode: int) -> str:
        return f"Lava process '{self.names[number]}' {_ended(exitcode)}"

    def stop(self, *, failed: bool) -> None:
        """End every process and release shared memory, whatever happened."""
        infrastructure = self.runtime._messaging_infrastructure
        if infrastructure is None:
            return
        memory = list(infrastructure.smm._shared_memory_handles)
        try:
            if failed:
                for actor in infrastructure.actors:
                    if not actor._closed:
                        actor.kill()
                self.runtime.join()
                # What is left of Lava's own end once nobody answers.
                self.runtime._is_started = False
                if not hasattr(infrastructure.smm._manager, "shutdown"):
                    infrastructure.smm._manager = None  # it never started
                infrastructure.stop()
            else:
                self.runtime.stop()
        finally:
            for block in memory:
                # Lava's memory manager did it, unless it was killed itself.
                with contextlib.suppress(FileNotFoundError):
                    block.unlink()


def _ended(exitcode: int) -> str:
    if exitcode < 0:
        return f"was killed by signal {-exitcode}"
    return f"ended with status {exitcode}"


class OverflowsError(Exception):
    """Overflows of several layers in one time step, to choose from.

    Parameters
    ----------
    errors : list of OverflowLayerError
        One or more.
    """

    def __init__(self, errors: list[OverflowLayerError]) -> None:
        super().__init__(errors)
        self.errors = errors


@contextlib.contextmanager
def running(process: AbstractProcess, config: RunConfig) -> Iterator[Run]:
    """Start all processes connected to ``process``; stop them in any case.

    Parameters
    ----------
    process : AbstractProcess
        Any of the connected processes.
    config : RunConfig
        Chooses the ProcessModels.

    Yields
    ------
    Run
        At time step 0, every process having made its ProcessModel.

    Raises
    ------
    BackendError
        If processes may not be started here; if one failed or died: holds its
        traceback or what killed it.
    """
    if multiprocessing.current_process().daemon:
        raise BackendError(
            "backend 'lava': this process may not start others; workers of Dask may, "
            "started with DASK_DISTRIBUTED__WORKER__DAEMON=False"
        )
    run = Run(process.compile(config, {"pypy_channel_size": CHANNEL_MESSAGES}))
    failed = True
    try:
        run.initialize()
        yield run
        failed = False
    finally:
        with interrupts_deferred():
            run.stop(failed=failed)
