# SPDX-License-Identifier: BSD-3-Clause
"""What the images of a recording exercised, told by running them again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from export.netx import read_network
from export.stock_network import Stream
from sim.coverage.rerun import rerun
from sim.recording import Recording, RecordingError


def coverage_of(path: Path, recording: Recording) -> dict[str, Any]:
    """Coverage of a recording of a network file.

    Parameters
    ----------
    path : Path
        netx file, at any image size.
    recording : Recording
        What ran.

    Returns
    -------
    dict[str, Any]
        As `sim.coverage.rerun.rerun`.

    Raises
    ------
    RecordingError
        If another network was recorded.
    """
    network = read_network(path)
    if isinstance(network, Stream):
        network = replace(network, num_steps=recording.num_steps)
    else:
        network = network.resized(*recording.images.shape[2:])
    if recording.network_sha256 not in (None, network.sha256):
        raise RecordingError(
            f"{path}: sha256 {network.sha256[:12]} at this image size, recorded was "
            f"{str(recording.network_sha256)[:12]}"
        )
    return rerun(network, recording)
