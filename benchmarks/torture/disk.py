# SPDX-License-Identifier: BSD-3-Clause
"""Full disks and folders that may not be written."""

from __future__ import annotations

import os
import resource
import signal
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.torture.forked import Forked
from benchmarks.torture.result import Result

NOBODY = 65534


def _writers() -> dict[str, Callable[[Path], object]]:
    """Everything that the product writes, by name."""
    import torch

    from export.files.atomic import write_text
    from export.netx import write_network
    from loihi_unet.data.pictures import write_picture
    from loihi_unet.files.tensors import write_tensors
    from sim.backend import create
    from sim.recording_file import write_recording
    from sim.selftest import small_network

    network = small_network(channels=16)
    noise = np.random.default_rng(0).integers(0, 256, (1, 64, 64))
    images = np.zeros((1, 1, 8, 8), dtype=np.int32)
    recording = create("reference").run(network, images)
    tensors = {"a": torch.zeros(10000)}
    return {
        "network": lambda path: write_network(network, path),
        "recording": lambda path: write_recording(recording, path),
        "tensors": lambda path: write_tensors(path, tensors, {}),
        "picture": lambda path: write_picture(path, noise),
        "text": lambda path: write_text(path, "x" * 10000),
    }


def _write(writer: Callable[[Path], object], path: Path, room: int | None) -> None:
    """Write with ``room`` bytes of disk, or (None) without root's rights."""
    if room is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limit = resource.RLIMIT_FSIZE
        resource.setrlimit(limit, (room, resource.RLIM_INFINITY))
        try:
            writer(path)
        finally:  # the message has to be written as well
            resource.setrlimit(limit, (resource.RLIM_INFINITY,) * 2)
        return
    if os.geteuid() == 0:
        os.setuid(NOBODY)  # root may write anywhere
    writer(path)


def disk(result: Result, count: int) -> None:
    """Each writer on a disk that fills up after a random number of bytes."""
    result.what = (
        "the disk fills up after a random number of bytes, or the folder may not be "
        "written: one line of error, the old file stays, nothing else is left"
    )
    writers = _writers()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for number in result.cases(count):
            random = np.random.default_rng([0, number])
            what = sorted(writers)[number % len(writers)]
            place = folder / f"{number}"
            place.mkdir()
            path = place / "file"
            path.write_bytes(b"old")
            if number % 3 == 2:
                place.chmod(0o555)
                how, room = "read-only folder", None
            else:
                how, room = "full disk", int(random.integers(0, 4000))

            work = partial(_write, writers[what], path, room)
            child = Forked(work, folder / "log")
            code = child.wait(60)
            message = child.message()
            right = (
                code == 2
                and len(message.splitlines()) == 1
                and "cannot be written" in message
                and path.read_bytes() == b"old"
                and os.listdir(place) == ["file"]
            )
            example = f"{what}: exit code {code}, {os.listdir(place)}, {message[-300:]}"
            result.check(right, f"{how}: {what}", example)
