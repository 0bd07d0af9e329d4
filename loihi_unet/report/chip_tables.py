# SPDX-License-Identifier: BSD-3-Clause
"""Fit and energy of a network that ran, as tables of a report."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from export.compartment import MTIF
from export.fit import fit, fit_tables
from export.network import Network
from sim.recording import Recording, RecordingError
from sim.statistics import activity

CHIP = "loihi2"


def chip_tables(network: Network, recording: Recording) -> list[dict[str, Any]]:
    """Put a network on Loihi 2 and count its operations.

    Parameters
    ----------
    network : Network
        What ran, at the size of the images.
    recording : Recording
        Of all its layers and steps, for operations and energy; of fewer, these are
        left out.

    Returns
    -------
    list of dict
        ``title, note, columns, rows``, as `loihi_unet.report.schema.Table`.
    """
    try:
        counts = activity(network, recording)
    except RecordingError:  # a dump of some layers, or in another order
        counts = None
    report = fit(
        network,
        chip=CHIP,
        mapping=mapping_of(network),
        activity=counts,
    )
    return [
        asdict(t) | {"title": f"Calculated for Loihi 2: {t.title}"}
        for t in fit_tables(report)
    ]


def mapping_of(network: Network) -> str:
    """Mapping of the network's spiking layers, which share it."""
    compartments = [layer.compartment for layer in network.layers]
    return next((c.mapping for c in compartments if isinstance(c, MTIF)), "graded")
