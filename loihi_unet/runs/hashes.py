# SPDX-License-Identifier: BSD-3-Clause
"""Which network a command ran: by two hashes, and at which sizes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from export.network import Network

Size = tuple[int, int]


def hashes(network: Network) -> dict[str, str]:
    """Both hashes, by the names they have in every record.

    Parameters
    ----------
    network : Network
        At the size that the first of them is of.

    Returns
    -------
    dict[str, str]
        ``network_sha256`` and ``network_sha256_any_size``.
    """
    return {
        "network_sha256": network.sha256,
        "network_sha256_any_size": network.sha256_any_size,
    }


def size_note(network: Network, sizes: Iterable[Size]) -> str:
    """Say that a network ran at other sizes than its file's; empty if it did not.

    Parameters
    ----------
    network : Network
        As its file holds it.
    sizes : iterable of (H, W)
        At which it ran.
    """
    file = network.input.shape[1:]
    distinct = sorted(set(sizes))
    if distinct in ([], [file]):
        return ""
    ran = times(*distinct[0])
    if len(distinct) > 1:
        ran = f"{len(distinct)} sizes, {ran} to {times(*distinct[-1])}"
    return f"the network's file is of {times(*file)}; it ran at {ran}"


def hash_line(record: Mapping[str, Any], size: Size | None = None) -> str:
    """One line for people.

    Parameters
    ----------
    record : Mapping[str, Any]
        Holds what `hashes` gives; values may be None.
    size : (H, W), optional
        That the first hash is of.
    """
    here = "at this size" if size is None else f"at {times(*size)}"
    known = [
        f"{record[key]} {where}"
        for key, where in (
            ("network_sha256_any_size", "at any size"),
            ("network_sha256", here),
        )
        if record.get(key)
    ]
    return f"network sha256 {', '.join(known) or 'not stated'}"


def times(height: int, width: int) -> str:
    """``"128x96"``."""
    return f"{height}x{width}"
