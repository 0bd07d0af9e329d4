# SPDX-License-Identifier: BSD-3-Clause
"""The same integers whatever the run, threads, batch, order, size or machine."""

from __future__ import annotations

import dataclasses
import importlib.util

import numpy as np
import torch

from benchmarks.torture.result import Result
from export.network import Network
from loihi_unet.runs.tiling import WholeNetwork
from sim.backend import create
from sim.recording import Recording
from sim.selftest import small_network

# down and join read 1 pixel each way; mid reads 1 of the half size, up 1 more.
REACH = 8


def determinism(result: Result, count: int) -> None:
    """Random networks and images, each run in many ways."""
    result.what = (
        "the same payloads and outputs of random networks in every run, thread count, "
        "batch size, image order, backend, tile size, and in the middle of a larger "
        "image"
    )
    threads = torch.get_num_threads()
    has_lava = importlib.util.find_spec("lava") is not None
    for number in result.cases(count):
        random = np.random.default_rng(number)
        network = small_network(
            seed=number,
            size=(24, 32),
            num_steps=int(random.integers(1, 7)),
            num_thresholds=int(random.integers(1, 9)),
            channels=int(random.integers(1, 6)),
        )
        images = random.integers(-256, 512, (5, 1, 24, 32), dtype=np.int32)
        whole = create("torch").run(network, images)
        try:
            for wanted in (1, 2, 4):
                torch.set_num_threads(wanted)
                again = create("torch").run(network, images)
                result.check(_same(whole, again), "threads", f"{number}: {wanted}")
        finally:
            torch.set_num_threads(threads)
        order = random.permutation(5)
        shuffled = create("torch").run(network, images[order])
        result.check(_same(_take(whole, order), shuffled), "image order", str(number))
        for size in (1, 2, 3):
            part = create("torch").run(network, images[:size])
            same = _same(_take(whole, np.arange(size)), part)
            result.check(same, "batch size", f"{number}: {size}")
        same = _same(whole, create("reference").run(network, images))
        result.check(same, "backends: torch = reference", str(number))
        result.check(_same_inside(network, images), "image size", str(number))
        same = _same_in_tiles(network, images[:1])
        result.check(same, "tile size", str(number))
        if has_lava and number % 10 == 0:
            first = create("lava").run(network, images)
            result.check(_same(whole, first), "backends: torch = lava", str(number))
            again = create("lava").run(network, images)
            result.check(_same(first, again), "runs: lava = lava", str(number))


def _same_in_tiles(network: Network, images: np.ndarray) -> bool:  # type: ignore[type-arg]
    """Output of the whole image and of it in tiles of 20 and of 28 pixels."""
    pixels = torch.from_numpy(images.astype(np.float32) / np.float32(255))
    outputs = [
        WholeNetwork(network, create("torch"), tile)(pixels) for tile in (1024, 20, 28)
    ]
    return all(torch.equal(outputs[0], other) for other in outputs[1:])


def _take(recording: Recording, order: np.ndarray) -> Recording:  # type: ignore[type-arg]
    output = recording.output
    assert output is not None
    return dataclasses.replace(
        recording,
        images=recording.images[order],
        payloads={name: p[order] for name, p in recording.payloads.items()},
        output=output[order],
    )


def _same(left: Recording, right: Recording) -> bool:
    return (
        np.array_equal(left.images, right.images)
        and left.payloads.keys() == right.payloads.keys()
        and all(np.array_equal(p, right.payloads[n]) for n, p in left.payloads.items())
        and np.array_equal(left.output, right.output)
    )


def _same_inside(network: Network, images: np.ndarray) -> bool:  # type: ignore[type-arg]
    """Whether a tile gives what the whole image gives, away from its border."""
    output = create("torch").run(network, images[:1], layers=()).output
    tile = create("torch").run(
        network.resized(24, 24), images[:1, :, :, 4:28], layers=()
    )
    assert output is not None
    assert tile.output is not None
    inside = tile.output[..., REACH:-REACH, REACH:-REACH]
    return np.array_equal(inside, output[..., REACH:-REACH, 4 + REACH : 28 - REACH])
