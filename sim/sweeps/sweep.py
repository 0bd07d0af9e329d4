# SPDX-License-Identifier: BSD-3-Clause
"""One function over many items: on all local cores, or on a Dask cluster.

Every item has a key and one result under that key. A worker that dies takes no
result with it: what it had not delivered is run again, by another. An item may
therefore run more than once, so the function should have no side effect that
counts; its result is taken once.
"""

from __future__ import annotations

import functools
import threading
import uuid
from collections.abc import Callable, Mapping
from typing import TypeVar

from export.errors import UserError, one_line
from sim.backend import Progress
from sim.sweeps.local_pool import SweepError, run_on_cores
from sim.sweeps.resources import Demand, share_machine

Item = TypeVar("Item")
Result = TypeVar("Result")

#: What an item needs when nobody says: one core, little memory.
SMALL = Demand(memory=10**8, cores=1)
# A Dask worker may run several tasks in threads of one process; a run switches
# torch's global flags (`sim.torch.exact`), so there they take turns.
_alone = threading.Lock()


def sweep(
    function: Callable[[Item], Result],
    items: Mapping[str, Item],
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    needs: Demand = SMALL,
    progress: Progress | None = None,
) -> dict[str, Result]:
    """Apply a function to every item.

    Parameters
    ----------
    function : callable
        ``function(item)``. Function, items and results travel between processes,
        so they must pickle; name a Network by its file, and read it in the
        function through a cache.
    items : mapping of str to object
        Items by key.
    scheduler : str or None
        Address of a Dask scheduler, e.g. ``"tcp://10.0.0.1:8786"``; needs the
        extra ``sweep``. None means this machine.
    workers : int or None
        Local processes; 1 means in this process. None: as many as cores and memory
        allow, the cores shared out among them as threads.
    needs : Demand
        Of the largest item.
    progress : callable or None
        Called with (done, total) after each item.

    Returns
    -------
    dict of str to object
        Results by key, in the order of ``items``.

    Raises
    ------
    SweepError
        If the function raises, which ends the sweep; if workers keep dying; or
        if the cluster cannot be reached.
    """
    results: dict[str, Result] = {}

    def deliver(key: str, get: Callable[[], Result]) -> None:
        results[key] = _call(get, key)
        if progress:
            progress(len(results), len(items))

    count, threads = share_machine(needs, len(items), workers)
    if scheduler is not None:
        _run_on_dask(function, items, scheduler, deliver)
    elif count == 1:
        for key, item in items.items():
            deliver(key, functools.partial(function, item))
    else:
        run_on_cores(function, items, deliver, workers=count, threads=threads)
    return {key: results[key] for key in items}


def _call(get: Callable[[], Result], key: str) -> Result:
    """Result of an item, or a SweepError that names it."""
    try:
        return get()
    except UserError as error:
        raise SweepError(f"sweep item '{key}': {error}") from error
    except Exception as error:
        what = one_line(str(error) or type(error).__name__)
        raise SweepError(f"sweep item '{key}': {what}") from error


def _run_on_dask(
    function: Callable[[Item], Result],
    items: Mapping[str, Item],
    scheduler: str,
    deliver: Callable[[str, Callable[[], Result]], None],
) -> None:
    try:
        import distributed
    except ModuleNotFoundError as error:
        raise SweepError(
            f"scheduler '{scheduler}': needs '{error.name}', which is not installed "
            "here (pip install 'loihi-unet[sweep]')"
        ) from error
    try:
        client = distributed.Client(scheduler)
    except (OSError, ValueError) as error:
        raise SweepError(f"scheduler '{scheduler}': not reached ({error})") from error
    with client:
        # Fresh names: results of an earlier sweep must not be taken for ours.
        sweep_id = uuid.uuid4().hex
        futures = {
            client.submit(
                _alone_in_process, function, item, key=f"{key}-{sweep_id}"
            ): key
            for key, item in items.items()
        }
        # A result whose worker dies before it is fetched is computed again by the
        # scheduler; `result` waits for it.
        for future in distributed.as_completed(list(futures)):
            deliver(futures[future], future.result)


def _alone_in_process(function: Callable[[Item], Result], item: Item) -> Result:
    with _alone:
        return function(item)
