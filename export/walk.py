# SPDX-License-Identifier: BSD-3-Clause
"""A network as paths and leaves: what its hash covers, and where two differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from export.network import Network


# Metadata of a dataclass field that is left out at its default.
ADDED_LATER = "added later"


def _is_default(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default)


def flatten(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Walk a Network as (path, leaf) pairs in a fixed order.

    Parameters
    ----------
    value : dataclass, tuple, mapping or leaf
        Object to walk.
    path : str
        Prefix of the paths.

    Yields
    ------
    tuple of str and object
        E.g. ``("layers['enc0.conv1'].compartment.vth_mant", array)``.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield (f"{path}.kind" if path else "kind", type(value).__name__)
        for item in dataclasses.fields(value):
            found = getattr(value, item.name)
            if item.metadata.get(ADDED_LATER) and _is_default(found, item.default):
                continue  # networks from before there was the field keep their hash
            child = f"{path}.{item.name}" if path else item.name
            yield from flatten(found, child)
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield from flatten(value[key], f"{path}[{key!r}]")
    elif isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
        for index, item in enumerate(value):
            key = getattr(item, "name", index)
            yield from flatten(item, f"{path}[{key!r}]")
    else:
        yield path, value


def diff(left: Network, right: Network) -> list[str]:
    """Say where two networks differ, one line each; empty when they are equal.

    Parameters
    ----------
    left, right : Network
        Networks to compare, provenance included.

    Returns
    -------
    list of str
        E.g. ``"layers['enc0.conv1'].compartment.num_thresholds: 4 != 3"``.
    """
    a, b = dict(flatten(left)), dict(flatten(right))
    lines = [f"{path}: only left" for path in a.keys() - b.keys()]
    lines += [f"{path}: only right" for path in b.keys() - a.keys()]
    for path in a.keys() & b.keys():
        x, y = a[path], b[path]
        if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
            if x.shape != y.shape:
                lines.append(f"{path}: shape {x.shape} != {y.shape}")
            elif (x != y).any():
                at = tuple(int(i) for i in np.argwhere(x != y)[0])
                lines.append(f"{path}{list(at)}: {x[at]} != {y[at]}")
        elif type(x) is not type(y) or x != y:
            lines.append(f"{path}: {x!r} != {y!r}")
    return sorted(lines)
