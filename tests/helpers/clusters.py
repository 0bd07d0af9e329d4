# SPDX-License-Identifier: BSD-3-Clause
"""Workers to kill in mid-run, here and on a Dask cluster."""

import contextlib
import importlib.util
import multiprocessing
import os
import signal

import pytest

needs_dask = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="extra 'sweep' missing"
)


@contextlib.contextmanager
def dask_cluster():
    """Two workers of one thread, and a function that gives the busiest one's pid."""
    import distributed

    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:

        def busiest():
            tasks = {
                w.address: len(w.processing) for w in cluster.scheduler.workers.values()
            }
            nanny = max(cluster.workers.values(), key=lambda n: tasks[n.worker_address])
            assert tasks[nanny.worker_address] > 0  # else its death costs nothing
            return nanny.pid

        yield cluster.scheduler_address, busiest


def some_child():
    """Pid of one of this process's workers."""
    return multiprocessing.active_children()[0].pid


class Killer:
    """Progress callback that kills a worker.

    Parameters
    ----------
    victim : callable
        Gives its pid.
    after : int
        How many items are done by then.
    """

    def __init__(self, victim, after=1):
        self.victim = victim
        self.after = after
        self.calls = []

    def __call__(self, done, total):
        self.calls.append((done, total))
        if done == self.after:
            os.kill(self.victim(), signal.SIGKILL)

    def saw_each_item_once(self, total):
        return self.calls == [(done, total) for done in range(1, total + 1)]
