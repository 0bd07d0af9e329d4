# SPDX-License-Identifier: BSD-3-Clause
"""report.json, pictures and page of two recordings."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.files.atomic import write_text
from export.images import decode
from export.network import Network
from loihi_unet.data.pictures import write_picture
from loihi_unet.report import render_report
from loihi_unet.report.chip_tables import chip_tables
from loihi_unet.report.verify_stock import has_stock_neurons, stock_sections
from sim.recording import Recording
from sim.verify.comparison import Comparison
from sim.verify.diagnose import diagnose
from sim.verify.layer_report import layer_reports
from sim.verify.scope import aligned, at_size, check_network

ZOOM = 64


def write_report(
    folder: Path,
    comparison: Comparison,
    left: Recording,
    right: Recording,
    network: Network | None = None,
) -> Path:
    """Write report.json, pictures and report.html.

    Parameters
    ----------
    folder : Path
        Where to.
    comparison : Comparison
        Of the two recordings.
    left, right : Recording
        Layers are described as the left one recorded them.
    network : Network or None
        What ran, at any image size. Without it the report has no potentials and no
        output pictures, and recognises fewer causes.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    RecordingError
        If the network is not the one that was recorded.
    """
    if network is not None:
        for side in (right, left):
            check_network(sized := at_size(network, side), side)
        network = sized
    report = _head(comparison, left, right)
    if has_stock_neurons(left):
        report |= stock_sections(folder, left, right, network)
        return _written(folder, report)
    diagnosis = diagnose(comparison, left, right, network)
    pictures = _pictures(folder, left, right, network)
    height, width = left.images.shape[2:]
    size = min(ZOOM, height, width)
    top, leftmost = (height - size) // 2, (width - size) // 2
    report |= {
        "pictures": [{"file": f, "title": title} for f, title in pictures.items()],
        "zoom": {"top": top, "left": leftmost, "size": size},
        "layers": [asdict(layer) for layer in layer_reports(left, network)],
        "tables": [] if network is None else chip_tables(network, left),
        "failure": None if diagnosis is None else asdict(diagnosis),
    }
    return _written(folder, report)


def _head(comparison: Comparison, left: Recording, right: Recording) -> dict[str, Any]:
    return {
        "title": f"{left.backend} against {right.backend}",
        "verdict": comparison.verdict,
        "identical": comparison.identical,
        "network_sha256": left.network_sha256,
        "network_sha256_any_size": left.network_sha256_any_size,
        "comparisons": [comparison.to_json()],
        "seconds": {left.backend: left.seconds} | {right.backend: right.seconds},
        "versions": {**left.versions, **right.versions},
        "settings": {"num_steps": left.num_steps, "images": len(left.images)},
    }


def _written(folder: Path, report: dict[str, Any]) -> Path:
    write_text(folder / "report.json", json.dumps(report, indent=2, sort_keys=True))
    return render_report(folder)


def _pictures(
    folder: Path, left: Recording, right: Recording, network: Network | None
) -> dict[str, str]:
    """Write input and outputs of the first image; file name to title."""
    if not len(left.images):
        return {}
    pictures = {"input.png": "input"}
    write_picture(folder / "input.png", _shown(left.images[0].astype(float)))
    both = aligned(left, right)  # the first image that both hold
    if network is None or both is None:
        return pictures
    ours, theirs = (side.output for side in both)
    if ours is None or theirs is None or not ours.size or ours.shape != theirs.shape:
        return pictures
    outputs = [255 * decode(network, side[0]) for side in (ours, theirs)]
    for name, title, pixels in (
        ("left.png", f"{left.backend} (left)", outputs[0]),
        ("right.png", f"{right.backend} (right)", outputs[1]),
        ("difference.png", "|right - left|, scaled", _difference(*outputs)),
    ):
        write_picture(folder / name, _shown(pixels))
        pictures[name] = title
    return pictures


def _difference(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    difference = np.abs(b - a)
    return np.asarray(255 * difference / max(float(difference.max()), 1e-12))


def _shown(pixels: NDArray[Any]) -> NDArray[Any]:
    """One or three channels: of other numbers, the first."""
    return pixels if len(pixels) in (1, 3) else pixels[:1]
