# SPDX-License-Identifier: BSD-3-Clause
"""What a report says of stock neurons: which fired when, as pictures, and how often."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.network import Network
from loihi_unet.data.pictures import write_picture
from loihi_unet.report.chip_tables import chip_tables
from loihi_unet.report.payload_maps import write_payload_maps
from sim.recording import Payload, Recording
from sim.verify.layer_report import LayerReport

#: Rows and columns of a picture of neurons over steps, at most.
LARGEST = 512


def has_stock_neurons(recording: Recording) -> bool:
    """Whether what was recorded is a network of stock neurons."""
    return recording.images.ndim == 5 or any(":" in name for name in recording.payloads)


def stock_sections(
    folder: Path,
    left: Recording,
    right: Recording,
    network: Network | None,
) -> dict[str, Any]:
    """Write the pictures; return what report.json says of them, layers and a chip.

    Parameters
    ----------
    folder : Path
        Of the report.
    left, right : Recording
        Of one run or several; the first is drawn, the left one described.
    network : Network or None
        What ran, for the tables of a chip.
    """
    rasters = {"input.png": ("input: neurons over steps", raster(_steps(left)))}
    last = [name for name in left.payloads if ":" not in name][-1]
    if last in right.payloads:
        sides = [raster(side.payloads[last][0]) for side in (left, right)]
        for name, side, pixels in zip(
            ("left.png", "right.png"), (left, right), sides, strict=True
        ):
            rasters[name] = (f"{last}, {side.backend}: neurons over steps", pixels)
        rasters["difference.png"] = (
            f"{last}: where they differ",
            255.0 * (sides[0] != sides[1]),
        )
    for name, (_, pixels) in rasters.items():
        write_picture(folder / name, pixels[None])
    return {
        "pictures": [{"file": f, "title": t} for f, (t, _) in rasters.items()],
        "layers": [asdict(layer) for layer in _layers(left)],
        "payloads": write_payload_maps(folder, left),
        "tables": [] if network is None else chip_tables(network, left),
    }


def _steps(recording: Recording) -> Payload:
    """Input of the first run, (T, C, H, W)."""
    first: Payload = recording.images[0]
    return first if first.ndim == 4 else first[None]


def raster(payloads: Payload) -> NDArray[np.float64]:
    """Neurons (rows) over steps (columns) as gray levels 0..255.

    Parameters
    ----------
    payloads : ndarray, shape (T, C, H, W)
        Of one run; of many neurons or steps, the first `LARGEST`.
    """
    flat = payloads.reshape(len(payloads), -1)[:LARGEST, :LARGEST].T.astype(np.float64)
    low, high = float(flat.min()), float(flat.max())
    levels: NDArray[np.float64] = 255 * (flat - low) / max(high - low, 1.0)
    return levels


def _layers(recording: Recording) -> list[LayerReport]:
    reports = []
    for name, payload in recording.payloads.items():
        if ":" in name:
            continue
        binary = int(payload.min()) >= 0 and int(payload.max()) <= 1
        counts = np.bincount(payload.reshape(-1)) if binary else np.zeros(0, dtype=int)
        reports.append(
            LayerReport(
                name=name,
                shape=(payload.shape[2], payload.shape[3], payload.shape[4]),
                spike_rate=float((payload != 0).mean()),
                histogram=tuple(int(n) for n in counts),
                saturated=None,
                potential=_span(recording, name),
                headroom_bits=None,
            )
        )
    return reports


def _span(recording: Recording, name: str) -> tuple[int, int] | None:
    """Smallest and largest recorded state that takes a layer's sums in."""
    for state in ("v", "sigma"):
        trace = recording.payloads.get(f"{name}:{state}")
        if trace is not None:
            return int(trace.min()), int(trace.max())
    return None
