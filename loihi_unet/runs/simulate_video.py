# SPDX-License-Identifier: BSD-3-Clause
"""``simulate --stream``: frames of a video through one machine, state kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from export.images import decode
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
from loihi_unet.runs.video import PerFrame, network_at, steps_of, video_network
from sim.backend import create
from sim.recording_file import recording_writer


def run_frames(
    config: RunConfig, *, progress: Callable[[float, int], None]
) -> dict[str, Any]:
    """Run frames one after the other, without a reset in between.

    Frames are read when their step comes, and each step is written when it is done:
    memory does not grow with the number of frames on `reference`, `torch` and `cuda`.
    Lava runs all frames at once.

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
    stored = video_network(load_network(config.network), str(config.network))
    draw = None
    if config.pictures is not None and stored.task != "unknown":
        draw = drawing(stored, str(config.network))
    simulator = create(config.backend)
    pages = pages_of(config)
    if not pages:
        raise DataError("--stream: no frame found, one or more needed")
    size = one_size(pages, config.conditions, stored)
    network = network_at(stored, size, len(pages))
    waiting: deque[Entered] = deque()  # read, and not yet given out
    levels: list[Levels | None] = []
    frames = frames_of(pages, config, network, waiting, levels)
    total = Totals(network, config.layers)
    counted = PerFrame(network, len(pages)) if config.layers is None else None
    last = network.output.name
    with recording_writer(config.recording) as writer:
        for part in steps_of(network, frames, simulator, config.layers):
            writer.append_step(part)
            total.add_step(part)
            [t] = part.steps
            sent = {name: values[0, 0] for name, values in part.payloads.items()}
            if counted is not None:
                counted.add(t, sent)
            if t >= network.arrivals[last] - 1:
                item = waiting.popleft()
                if config.pictures is not None:
                    output = decode(network, sent[last]).astype(np.float32)
                    write_output(config.pictures, item, output, draw)
            progress(t + 1, network.num_steps)
        white_levels = records(levels)
        writer.note_white_levels(white_levels)
    warn(levels, config.white_level)
    counts: dict[str, Any] = {}
    if counted is not None:
        counts = {
            "events": counted.events.tolist(),
            "operations": counted.operations.tolist(),
        }
    return total.result(
        simulator.name,
        config.recording,
        note=size_note(stored, [size]),
        white_levels=white_levels,
        frames=len(pages),
        **counts,
    )
