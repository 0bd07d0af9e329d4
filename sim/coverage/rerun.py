# SPDX-License-Identifier: BSD-3-Clause
"""Coverage of recordings, where payloads have to be had again."""

from __future__ import annotations

from typing import Any

from export.network import Network
from sim.backend import OverflowLayerError, create
from sim.coverage.counter import Coverage
from sim.recording import Recording, recordable

#: What stands for a coverage that cannot be counted; its value says why.
NOT_COUNTED = "not_counted"


def rerun(network: Network, recording: Recording) -> dict[str, Any]:
    """Coverage of a recording's images, run again on torch.

    Parameters
    ----------
    network : Network
        What was recorded, at the recording's image size.
    recording : Recording
        Of any layers and steps: only its images are read.

    Returns
    -------
    dict[str, Any]
        As `CoverageReport.to_json`, or ``not_counted`` and the reason.
    """
    if not len(recording.images):
        return {NOT_COUNTED: "the recording holds no image"}
    try:
        again = create("torch").run(network, recording.images)
    except OverflowLayerError as error:
        return {NOT_COUNTED: f"torch cannot run these images again ({error})"}
    coverage = Coverage(network)
    coverage.add(network, again)
    return coverage.report(network).to_json()


def recorded_coverage(
    network: Network, coverage: Coverage, layers: tuple[str, ...] | None
) -> dict[str, Any]:
    """Coverage of a run that recorded these layers; None means all.

    Returns
    -------
    dict[str, Any]
        As `rerun`.
    """
    if not records_all(network, layers):
        return {NOT_COUNTED: "only some layers were recorded"}
    return coverage.report(network).to_json()


def records_all(network: Network, layers: tuple[str, ...] | None) -> bool:
    """Whether the payloads of all layers are recorded."""
    sent = {name for name in recordable(network, None) if ":" not in name}
    return layers is None or sent <= set(layers)
