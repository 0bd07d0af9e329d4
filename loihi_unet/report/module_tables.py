# SPDX-License-Identifier: BSD-3-Clause
"""Of a network from elsewhere: what became of its operations, where quality went."""

from __future__ import annotations

from typing import Any

from export.network import Network

_COLUMNS = ("layer", "operation", "fidelity", "how", "line")


def module_tables(network: Network) -> list[dict[str, Any]]:
    """Return tables for a report; none for a network that was trained here.

    Parameters
    ----------
    network : Network
        Whose provenance `loihi-unet convert FILE.py:FUNCTION` has written.

    Returns
    -------
    list of dict
        As `loihi_unet.report.schema.Table`.
    """
    operations = network.provenance.get("operations", ())
    quality = network.provenance.get("quality", {})
    tables: list[dict[str, Any]] = []
    if operations:
        tables.append(
            {
                "title": f"What became of {network.provenance['module']}",
                "note": "Faithful: as T grows, the float spiking network tends to the "
                "float network.",
                "columns": _COLUMNS,
                "rows": [[item[column] for column in _COLUMNS] for item in operations],
            }
        )
    if quality:
        tables.append(
            {
                "title": "Where the quality went",
                "note": "Against the float network, on calibration pictures, before "
                "any fine-tuning; errors are shares of its output's range.",
                "columns": ("output of", "error", "correlation"),
                "rows": [
                    [s["name"], f"{s['error']:.5f}", f"{s['correlation']:.4f}"]
                    for s in quality["stages"]
                ],
            }
        )
        tables.append(
            {
                "title": "What each layer costs",
                "note": "Error of its mean value when all before it are float, as a "
                "share of its values; bits between its largest potential and 24 bits, "
                "on these pictures and on any picture at all.",
                "columns": ("layer", "error", "N", "bits left", "on any picture"),
                "rows": [
                    [
                        item["name"],
                        f"{item['error']:.5f}",
                        item["num_thresholds"],
                        f"{item['headroom']:.1f}",
                        # Files written before there was a proof have none.
                        f"{item['certain']:.1f}" if "certain" in item else "",
                    ]
                    for item in quality["layers"]
                ],
            }
        )
    return tables
