# SPDX-License-Identifier: BSD-3-Clause
"""One function over many items in processes of this machine, which may die."""

from __future__ import annotations

import concurrent.futures as cf
import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import Any, TypeVar

from export.errors import UserError
from sim.interrupts import interrupts_deferred

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Rounds of workers before their deaths are taken for the items' fault (memory, most
#: often). Dask allows three deaths too (distributed.scheduler.allowed-failures).
ROUNDS = 4
#: Windows waits for no more processes at once (concurrent.futures.process).
MOST_WORKERS = 61 if sys.platform == "win32" else sys.maxsize


class SweepError(UserError):
    """An item failed, its workers died, or there is no such cluster.

    Parameters
    ----------
    text : str
        Kept as it is: may end in the traceback of a Lava process.
    """

    def __init__(self, text: str) -> None:
        ValueError.__init__(self, text)


def _start_worker(threads: int) -> None:
    """Prepare a fresh worker: its neighbours have the other cores."""
    if not hasattr(signal, "pthread_sigmask"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the parent to die, however that happens; then die too."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # workers are started by multiprocessing
    connection.wait([parent.sentinel])
    os._exit(1)


@contextlib.contextmanager
def _children_leave_interrupts() -> Iterator[None]:
    """Let processes started here leave Ctrl-C to this one, which ends them.

    A terminal sends it to all; a child keeps its parent's signal mask. Windows has
    none: there a worker ignores Ctrl-C from `_start_worker` on.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run_on_cores(
    function: Callable[[Item], Result],
    items: Mapping[str, Item],
    deliver: Callable[[str, Callable[[], Result]], None],
    *,
    workers: int,
    threads: int,
) -> None:
    """Apply a function to every item in worker processes.

    After a death the next round has half as many workers, for what kills them most
    often is that memory does not suffice for all.

    Parameters
    ----------
    function : callable
        ``function(item)``.
    items : mapping of str to object
        Items by key.
    deliver : callable
        ``deliver(key, get)``, once for every item that is done, in this process;
        ``get()`` gives the result or raises what the function raised. What
        ``deliver`` raises ends the run.
    workers, threads : int
        Processes, and threads of each.

    Raises
    ------
    SweepError
        If workers died in `ROUNDS` rounds.
    """
    missing = dict(items)
    for already in range(ROUNDS):
        if not missing:
            return
        # Forking a process that has run torch can hang; hence spawn.
        pool = cf.ProcessPoolExecutor(
            min(max(1, workers >> already), len(missing), MOST_WORKERS),
            multiprocessing.get_context("spawn"),
            _start_worker,
            (threads,),
        )
        broken = False
        try:
            with interrupts_deferred(), _children_leave_interrupts():
                futures = {pool.submit(function, x): key for key, x in missing.items()}
            for future in cf.as_completed(futures):
                # A dead worker breaks the pool; what was done is delivered.
                if isinstance(future.exception(), BrokenProcessPool):
                    broken = True
                    continue
                key = futures[future]
                deliver(key, future.result)
                del missing[key]
        except BaseException:
            _end(pool)
            raise
        if broken:
            _end(pool)
        else:
            pool.shutdown()
    if missing:
        raise SweepError(
            f"sweep: workers died in {ROUNDS} rounds; unfinished: "
            f"{', '.join(list(missing)[:5])} ({len(missing)} of {len(items)})"
        )


def _end(pool: cf.ProcessPoolExecutor) -> None:
    """Stop now: after an error or Ctrl-C nobody waits for what is still running."""
    workers = list((pool._processes or {}).values())
    queue = pool._call_queue  # type: ignore[attr-defined]
    manager: Any = pool._executor_manager_thread
    pool.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        worker.terminate()
    if sys.version_info < (3, 11):
        for worker in workers:
            worker.join()
        # With the workers gone nobody reads what is on its way to them, and the
        # thread that sends it would wait for ever (python/cpython#94777).
        queue._reader.close()
    # A shutdown that did not wait forgets its thread; the interpreter's end would wake
    # it by a pipe that it is just closing. Not for long: it may wait for a worker.
    if manager is not None:
        manager.join(timeout=1)
