# SPDX-License-Identifier: BSD-3-Clause
"""Where two networks differ."""

from __future__ import annotations

import numpy as np

from export.leaves import flatten
from export.network import Network


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
