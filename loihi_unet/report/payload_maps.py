# SPDX-License-Identifier: BSD-3-Clause
"""What every layer sends at every step, as pictures: within a budget of bytes."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from export.files.atomic import atomic
from sim.recording import Payload, Recording

#: Of all maps of a page together, as PNGs; in base64 a third more: at most 3 MB.
BUDGET = 2_200_000
#: Of one step of a layer: feature maps of this side, and more of smaller ones.
CHANNELS, SIDE = 16, 64
STEPS = 64
GAP = 1  # pixels between two feature maps


class _Window(NamedTuple):
    """What of a layer is shown: steps, channels, rows and columns."""

    steps: int
    channels: int
    top: int
    left: int
    height: int
    width: int


def write_payload_maps(folder: Path, recording: Recording) -> list[dict[str, Any]]:
    """Write ``payload-<n>.png`` of each layer of the first image.

    A file has the steps below each other, each a mosaic of feature maps. Of large
    layers the middle is shown, and as many feature maps as the budget allows.

    Parameters
    ----------
    folder : Path
        Of the report.
    recording : Recording
        Of any layers.

    Returns
    -------
    list of dict
        As `loihi_unet.report.schema.PayloadMap`.
    """
    if not len(recording.images):
        return []
    layers = {n: p[0] for n, p in recording.payloads.items() if ":" not in n}
    layers = {name: payload for name, payload in layers.items() if payload.size}
    files = {name: f"payload-{index}.png" for index, name in enumerate(layers)}
    maps: dict[str, dict[str, Any]] = {}
    spare = BUDGET
    # What small layers leave is for the large ones.
    smallest_first = sorted(layers, key=lambda name: layers[name].size)
    for done, name in enumerate(smallest_first):
        fitting = _fitting(layers[name], spare // (len(layers) - done))
        if fitting is None:
            continue
        window, png, columns = fitting
        spare -= len(png)
        with atomic(folder / files[name]) as temporary:
            temporary.write_bytes(png)
        maps[name] = {
            "layer": name,
            "file": files[name],
            **_record(layers[name], window, columns),
        }
    return [maps[name] for name in layers if name in maps]


def _fitting(payload: Payload, budget: int) -> tuple[_Window, bytes, int] | None:
    """The largest window whose PNG keeps the budget, with its columns of maps."""
    for window in _windows(payload.shape):
        shown = _cut(payload, window)
        columns = math.ceil(math.sqrt(window.channels))
        png = _png(shown, columns, _range(payload))
        if len(png) <= budget:
            return window, png, columns
    return None


def _windows(shape: tuple[int, ...]) -> Iterator[_Window]:
    """Ever smaller parts of a layer: fewer maps first, then fewer pixels and steps."""
    steps, channels, height, width = shape
    area = min(height, SIDE) * min(width, SIDE)
    most = max(CHANNELS, CHANNELS * SIDE * SIDE // (4 * area))
    side = SIDE
    steps, channels = min(steps, STEPS), min(channels, most)
    while True:
        tall, wide = min(height, side), min(width, side)
        top, left = (height - tall) // 2, (width - wide) // 2
        yield _Window(steps, channels, top, left, tall, wide)
        if channels > 4:
            channels //= 2
        elif side > 8:
            side //= 2
        elif steps > 1:
            steps //= 2
        else:
            return


def _cut(payload: Payload, w: _Window) -> Payload:
    rows, columns = slice(w.top, w.top + w.height), slice(w.left, w.left + w.width)
    shown: Payload = payload[: w.steps, : w.channels, rows, columns]
    return shown


def _range(payload: Payload) -> tuple[int, int]:
    return min(0, int(payload.min())), max(1, int(payload.max()))


def _png(shown: Payload, columns: int, span: tuple[int, int]) -> bytes:
    """Steps below each other; palette index 255 is the gap between maps."""
    steps, channels, height, width = shown.shape
    low, high = span
    level = np.rint((shown.astype(np.float64) - low) / (high - low) * 254)
    rows = math.ceil(channels / columns)
    tall, wide = rows * (height + GAP), columns * (width + GAP)
    sheet = np.full((steps, tall, wide), 255, np.uint8)
    for channel in range(channels):
        y, x = divmod(channel, columns)
        y, x = y * (height + GAP), x * (width + GAP)
        sheet[:, y : y + height, x : x + width] = level[:, channel]
    image = Image.fromarray(sheet.reshape(steps * tall, wide))
    image.putpalette(_palette().tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _palette() -> NDArray[np.uint8]:
    """Colours of viridis, and gray for the gaps."""
    colours = matplotlib.colormaps["viridis"](np.linspace(0, 1, 255))[:, :3]
    drawn = np.rint(255 * colours).astype(np.uint8)
    return np.concatenate([drawn, np.full((1, 3), 128, np.uint8)])


def _record(payload: Payload, w: _Window, columns: int) -> dict[str, Any]:
    low, high = _range(payload)
    steps, channels, height, width = payload.shape
    return {
        "steps": w.steps,
        "of_steps": steps,
        "channels": w.channels,
        "of_channels": channels,
        "columns": columns,
        "window": [w.top, w.left, w.height, w.width],
        "of_size": [height, width],
        "lowest": low,
        "highest": high,
        "spiking": [float((payload[t] != 0).mean()) for t in range(w.steps)],
    }
