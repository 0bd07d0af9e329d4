# SPDX-License-Identifier: BSD-3-Clause
"""report.json, pictures and page of two recordings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from export.files.atomic import write_text
from export.images import decode, picture_channels
from export.network import Network
from loihi_unet.data.pictures import write_picture
from loihi_unet.report import render_report
from loihi_unet.report.chip_tables import chip_tables
from loihi_unet.report.difference import signed_difference
from loihi_unet.report.module_tables import module_tables
from loihi_unet.report.payload_maps import write_payload_maps
from loihi_unet.report.verify_stock import has_stock_neurons, stock_sections
from sim.coverage.rerun import rerun
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
    whole: Mapping[str, Any] | None = None,
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
    whole : Mapping[str, Any] or None
        What is proven, if it is more than these recordings show: a comparison of a
        whole set as `Comparison.to_json`, with the ``sizes`` of its pictures and its
        ``coverage``, and as ``shown`` the name of the one that is shown.

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
    report = _head(comparison, left, right, network, whole)
    if has_stock_neurons(left):
        report |= stock_sections(folder, left, right, network)
        return _written(folder, report)
    diagnosis = diagnose(comparison, left, right, network)
    pictures = _pictures(folder, left, right, network)
    height, width = left.images.shape[2:]
    size = min(ZOOM, height, width)
    top, leftmost = (height - size) // 2, (width - size) // 2
    report |= {
        "pictures": pictures,
        # Enlarged, all of a small picture would be shown twice.
        "zoom": None
        if (height, width) == (size, size)
        else {"top": top, "left": leftmost, "size": size},
        "layers": [asdict(layer) for layer in layer_reports(left, network)],
        "payloads": write_payload_maps(folder, left),
        "tables": []
        if network is None
        else [*chip_tables(network, left), *module_tables(network)],
        "failure": None if diagnosis is None else asdict(diagnosis),
    }
    return _written(folder, report)


def proven(
    comparison: Comparison, left: Recording, coverage: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What a comparison proves, for report.json.

    Parameters
    ----------
    comparison : Comparison
        Of two recordings.
    left : Recording
        One of them.
    coverage : Mapping[str, Any] or None
        As `sim.coverage.rerun.rerun` gives it; None if it was not counted.
    """
    height, width = left.images.shape[-2:]
    return comparison.to_json() | {
        "sizes": [[comparison.images, height, width]],
        "coverage": coverage,
    }


def _head(
    comparison: Comparison,
    left: Recording,
    right: Recording,
    network: Network | None,
    whole: Mapping[str, Any] | None,
) -> dict[str, Any]:
    if whole is None:
        coverage = None if network is None else rerun(network, left)
        whole = proven(comparison, left, coverage)
    shown = {"shown below": whole["shown"]} if "shown" in whole else {}
    return {
        "title": f"{left.backend} against {right.backend}",
        "verdict": whole["verdict"],
        "identical": whole["identical"],
        "network_sha256": left.network_sha256,
        "network_sha256_any_size": left.network_sha256_any_size,
        "comparisons": [whole],
        "seconds": {left.backend: left.seconds} | {right.backend: right.seconds},
        "versions": {**left.versions, **right.versions},
        "settings": {"num_steps": left.num_steps, "images": whole["images"], **shown},
    }


def _written(folder: Path, report: dict[str, Any]) -> Path:
    write_text(folder / "report.json", json.dumps(report, indent=2, sort_keys=True))
    return render_report(folder)


def _pictures(
    folder: Path, left: Recording, right: Recording, network: Network | None
) -> list[dict[str, Any]]:
    """Write input and outputs of the first image; return what report.json says."""
    if not len(left.images):
        return []
    entered = left.images[0].astype(float)
    if network is not None:
        entered = entered[: picture_channels(network)]
    write_picture(folder / "input.png", _shown(entered))
    pictures: list[dict[str, Any]] = [{"file": "input.png", "title": "input"}]
    both = aligned(left, right)  # the first image that both hold
    if network is None or both is None:
        return pictures
    ours, theirs = (side.output for side in both)
    if ours is None or theirs is None or not ours.size or ours.shape != theirs.shape:
        return pictures
    outputs = [255 * decode(network, side[0]) for side in (ours, theirs)]
    difference = signed_difference(outputs[1], outputs[0])
    for name, title, pixels in (
        ("left.png", f"{left.backend} (left)", _shown(outputs[0])),
        ("right.png", f"{right.backend} (right)", _shown(outputs[1])),
        ("difference.png", "right minus left", difference.pixels),
    ):
        write_picture(folder / name, pixels)
        pictures.append({"file": name, "title": title})
    pictures[-1]["scale"] = difference.scale
    return pictures


def _shown(pixels: NDArray[Any]) -> NDArray[Any]:
    """One or three channels: of other numbers, the first."""
    return pixels if len(pixels) in (1, 3) else pixels[:1]
