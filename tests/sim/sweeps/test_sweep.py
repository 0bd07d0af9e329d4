# SPDX-License-Identifier: BSD-3-Clause
"""Sweeps: every item once, also when workers die."""

import importlib.util
import socket
import sys

import numpy as np
import pytest
import sweep_jobs

from sim.backend import create
from sim.selftest import small_network
from sim.sweeps.sweep import SweepError, sweep

needs_dask = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="extra 'sweep' missing"
)


@pytest.mark.parametrize("workers", [1, 2])
def test_results_by_key_in_order(workers):
    calls = []
    items = {str(n): n for n in range(9)}
    results = sweep(
        sweep_jobs.square, items, workers=workers, progress=lambda *c: calls.append(c)
    )
    assert list(results.items()) == [(str(n), n * n) for n in range(9)]
    assert calls == [(n, 9) for n in range(1, 10)]


def test_nothing_to_do():
    assert sweep(sweep_jobs.square, {}) == {}


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_names_its_item(workers):
    items = {f"image{n}": n for n in range(5)}
    with pytest.raises(SweepError, match="sweep item 'image3': three is not allowed"):
        sweep(sweep_jobs.fail_on_three, items, workers=workers)


def assert_nothing_lost_or_doubled(results, calls):
    assert list(results) == [str(n) for n in range(8)]
    images = np.arange(8).reshape(8, 1, 1, 1) * np.full((1, 1, 8, 8), 10)
    expected = create("reference").run(small_network(), images, layers=()).output
    np.testing.assert_array_equal(np.concatenate(list(results.values())), expected)
    assert calls[-1] == (8, 8)
    assert [done for done, _ in calls] == list(range(1, 9))


def test_a_local_worker_dies(tmp_path):
    calls = []
    items = {str(n): (str(tmp_path), n) for n in range(8)}
    results = sweep(
        sweep_jobs.simulate_and_die_once,
        items,
        workers=2,
        progress=lambda *c: calls.append(c),
    )
    assert (tmp_path / "died").exists()
    assert_nothing_lost_or_doubled(results, calls)


def test_an_item_that_always_kills_its_worker(monkeypatch):
    monkeypatch.setattr("sim.sweeps.local_pool.ROUNDS", 2)
    with pytest.raises(SweepError, match=r"died in 2 rounds; unfinished: a, b \(2 of"):
        sweep(sweep_jobs.always_die, {"a": 1, "b": 2}, workers=2)


@needs_dask
def test_a_cluster_worker_dies(tmp_path):
    import distributed

    calls = []
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        results = sweep(
            sweep_jobs.simulate_and_die_once,
            {str(n): (str(tmp_path), n) for n in range(8)},
            scheduler=address,
            progress=lambda *c: calls.append(c),
        )
        assert (tmp_path / "died").exists()
        assert_nothing_lost_or_doubled(results, calls)
        # Keys of a second sweep are new: nothing is taken from the first.
        again = sweep(sweep_jobs.square, {"0": 5}, scheduler=address)
        assert again == {"0": 25}
        with pytest.raises(SweepError, match="item 'x': three is not allowed"):
            sweep(sweep_jobs.fail_on_three, {"x": 3}, scheduler=address)


@needs_dask
def test_no_cluster_there():
    import dask

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    soon = dask.config.set({"distributed.comm.timeouts.connect": "1s"})
    with soon, pytest.raises(SweepError, match=f"scheduler '{address}': not reached"):
        sweep(sweep_jobs.square, {"a": 1}, scheduler=address)


def test_no_dask_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SweepError, match=r"pip install 'loihi-unet\[sweep\]'"):
        sweep(sweep_jobs.square, {"a": 1}, scheduler="tcp://x:1")
