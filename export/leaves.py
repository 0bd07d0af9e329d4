# SPDX-License-Identifier: BSD-3-Clause
"""A network as paths and leaves: what its hash covers, in a fixed order."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

# Metadata of a dataclass field that is left out at its default.
ADDED_LATER = "added later"
# Attribute of a class that had another name when its networks were first hashed.
HASHED_AS = "hashed_as"


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
        kind = getattr(value, HASHED_AS, type(value).__name__)
        yield (f"{path}.kind" if path else "kind", kind)
        for item in dataclasses.fields(value):
            held = getattr(value, item.name)
            if item.metadata.get(ADDED_LATER) and _is_default(held, item.default):
                continue  # networks from before there was the field keep their hash
            child = f"{path}.{item.name}" if path else item.name
            yield from flatten(held, child)
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield from flatten(value[key], f"{path}[{key!r}]")
    elif isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
        for index, item in enumerate(value):
            key = getattr(item, "name", index)
            yield from flatten(item, f"{path}[{key!r}]")
    else:
        yield path, value
