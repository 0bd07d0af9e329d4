# SPDX-License-Identifier: BSD-3-Clause
"""The starting kit: a small network, and all that is needed to try a backend on it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from export.files.atomic import atomic, write_text
from export.netx import write_network
from loihi_unet.errors import DataError
from loihi_unet.kit.selftest_page import page
from loihi_unet.kit.unread import NOT_READ
from sim.backend import create
from sim.recording import Recording
from sim.recording_file import write_recording
from sim.selftest import small_network

IMAGES = 3
NETWORK, INPUTS, EXPECTED, DUMP, PAGE = (
    "network.net",
    "images.npy",
    "reference.h5",
    "chip.h5",
    "README.md",
)


def write_selftest(folder: Path) -> dict[str, Any]:
    """Write the starting kit.

    Parameters
    ----------
    folder : Path
        Made if it is missing.

    Returns
    -------
    dict of str to JSON value
        ``out``, ``files`` and ``verify``, the command that says what a dump is worth.

    Raises
    ------
    DataError
        If there is a dump in the folder, which would be lost.
    UserError
        If a file cannot be written.
    """
    dump = folder / DUMP
    if dump.exists():
        raise DataError(
            f"{dump}: there already, it may hold a dump; another --out needed"
        )
    network = small_network()
    images = np.random.default_rng(0).integers(
        network.input.minimum,
        network.input.maximum + 1,
        (IMAGES, *network.input.shape),
        dtype=np.int32,
    )
    expected = create("reference").run(network, images)
    write_network(network, folder / NETWORK)
    with atomic(folder / INPUTS) as temporary, temporary.open("wb") as file:
        np.save(file, images)
    write_recording(expected, folder / EXPECTED)
    write_text(folder / PAGE, page(network, expected, verify_command(folder)))
    write_recording(template(expected), dump)
    return {
        "out": str(folder),
        "files": [NETWORK, INPUTS, EXPECTED, DUMP, PAGE],
        "verify": verify_command(folder),
    }


def verify_command(folder: Path) -> str:
    """Return the command that compares a dump with what was expected."""
    return (
        f"loihi-unet verify {folder / EXPECTED} {folder / DUMP} "
        f"--network {folder / NETWORK}"
    )


def template(expected: Recording) -> Recording:
    """Return a recording of the same form in which nothing was read yet.

    Parameters
    ----------
    expected : Recording
        Of all layers, with an output.

    Returns
    -------
    Recording
        Every payload and the output `NOT_READ`, int32.
    """
    assert expected.output is not None
    return dataclasses.replace(
        expected,
        backend="my chip",
        payloads={
            name: np.full(values.shape, NOT_READ, np.int32)
            for name, values in expected.payloads.items()
        },
        output=np.full(expected.output.shape, NOT_READ, np.int32),
        seconds=0.0,
        versions={},
    )
