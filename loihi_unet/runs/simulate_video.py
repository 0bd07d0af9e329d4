# SPDX-License-Identifier: BSD-3-Clause
"""``simulate --stream``: frames of a video through one machine, state kept."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from loihi_unet.data.pictures import warn
from loihi_unet.data.white_level import Levels, records
from loihi_unet.errors import DataError
from loihi_unet.runs.hashes import size_note
from loihi_unet.runs.network_source import load_network
from loihi_unet.runs.output_pictures import drawing
from loihi_unet.runs.simulate_pictures import (
    Entered,
    RunConfig,
    frames_of,
    one_size,
    pages_of,
    write_output,
)
from loihi_unet.runs.totals import Totals
from loihi_unet.runs.video import run_video, video_network
from sim.backend import create
from sim.recording_file import write_recording


def run_frames(
    config: RunConfig, *, progress: Callable[[float, int], None]
) -> dict[str, Any]:
    """Run frames one after the other, without a reset in between.

    All frames are one run, held in memory with what each layer sent.

    Parameters
    ----------
    config : RunConfig
        What to run; its pictures, in order, are the frames.
    progress : callable
        Called with (runs done, all runs).

    Returns
    -------
    dict[str, Any]
        As of `loihi_unet.runs.simulate_pictures.run_pictures`, and ``events``: how
        many messages each frame caused; ``operations``: how many at synapses. Without
        all layers recorded both are left out.

    Raises
    ------
    DataError
        If pictures cannot be read or are of several sizes, or the network is not one
        of sigma-delta neurons for pictures.
    UserError
        As the backend, or if a file cannot be written.
    """
    network = video_network(load_network(config.network), str(config.network))
    draw = None
    if config.pictures is not None and network.task != "unknown":
        draw = drawing(network, str(config.network))
    simulator = create(config.backend)
    found = pages_of(config)
    if not found:
        raise DataError("--stream: no frame found, one or more needed")
    size = one_size(found, config.conditions, network)
    entered: deque[Entered] = deque()
    levels: list[Levels | None] = []
    frames = np.stack([*frames_of(found, config, network, entered, levels)])
    video = run_video(
        network, frames, simulator, layers=config.layers, progress=progress
    )
    recording = video.recording
    recording = dataclasses.replace(recording, backend=simulator.name)
    write_recording(recording, config.recording)
    for item, output in zip(entered, video.outputs, strict=True):
        if config.pictures is not None:
            write_output(config.pictures, item, output.astype(np.float32), draw)
    warn(levels, config.white_level)
    total = Totals(video.network, config.layers)
    total.add(recording)
    counts: dict[str, Any] = {}
    if config.layers is None:
        counts = {
            "events": video.events().tolist(),
            "operations": video.operations().tolist(),
        }
    return total.result(
        simulator.name,
        config.recording,
        note=size_note(network, [size]),
        white_levels=records(levels),
        frames=len(frames),
        **counts,
    )
