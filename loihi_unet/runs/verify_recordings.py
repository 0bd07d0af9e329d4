# SPDX-License-Identifier: BSD-3-Clause
"""Two recording files: of a chip, of a simulator, of anybody."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.network import Network
from export.netx import StockOptions
from loihi_unet.runs.hashes import size_note
from loihi_unet.runs.network_source import load_network
from sim.recording import Recording, RecordingError
from sim.recording_file import read_recording
from sim.verify.comparison import Comparison, compare
from sim.verify.scope import at_size, check_network


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordingsComparison:
    """Verdict over two files.

    Attributes
    ----------
    comparison : Comparison
        With causes, if it failed.
    left, right : Recording
        What the files hold.
    network : Network or None
        What both ran, at the size of their images.
    note : str
        Says that it is not the size of the network's file; empty if it is.
    """

    comparison: Comparison
    left: Recording
    right: Recording
    network: Network | None
    note: str

    def to_json(self) -> dict[str, Any]:
        """Return plain dicts and lists; the hashes are those that the left states."""
        return self.comparison.to_json() | {
            "network_sha256": self.left.network_sha256,
            "network_sha256_any_size": self.left.network_sha256_any_size,
            "note": self.note,
        }


def verify_recordings(
    left: Path,
    right: Path,
    network: Path | None = None,
    stock: StockOptions | None = None,
) -> RecordingsComparison:
    """Read two recordings and compare them.

    Parameters
    ----------
    left, right : Path
        Recording files.
    network : Path or None
        netx file of what both ran, at any size; None: their own lists of layers tell
        what there is to compare.
    stock : StockOptions or None
        netx's arguments, for a file of lava-dl.

    Returns
    -------
    RecordingsComparison
        Verdict, and what would explain a failure.

    Raises
    ------
    RecordingError
        If a file cannot be read, or is of another network than ``network``.
    NetworkError
        If the network's file cannot be read.
    """
    a, b = read_recording(left), read_recording(right)
    sized, note = None, ""
    if network is not None:
        loaded = load_network(network, stock)
        for path, side in ((left, a), (right, b)):
            try:
                check_network(at_size(loaded, side), side)
            except RecordingError as error:
                raise RecordingError(
                    f"{path}: not a recording of {network}: {error}"
                ) from None
        sized = at_size(loaded, a)
        height, width = a.images.shape[-2:]
        note = size_note(loaded, [(height, width)])
    comparison = compare(a, b, sized)
    if comparison.verdict == "FAIL":
        from sim.verify.diagnose import explained  # needs torch

        comparison = explained(comparison, a, b, sized)
    return RecordingsComparison(
        comparison=comparison, left=a, right=b, network=sized, note=note
    )
