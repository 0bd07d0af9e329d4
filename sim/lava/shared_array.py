# SPDX-License-Identifier: BSD-3-Clause
"""Recording across processes: an array in a file that both sides map.

Lava 0.10.0 reads a Var element by element (Runtime.get_var), about a microsecond
each and only between runs; a mapped file costs one copy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Tap:
    """Place where a process writes what it did.

    Parameters
    ----------
    path : Path
        File.
    shape : tuple of int
        Shape of the array.
    dtype : numpy.dtype
        Its dtype.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def create(self) -> Tap:
        """Make the file, filled with zeros; return the tap itself."""
        with self.path.open("wb") as file:
            file.truncate(math.prod(self.shape) * self.dtype.itemsize)
        return self

    def open(self) -> np.memmap[Any, np.dtype[Any]]:
        """Map the file for reading and writing."""
        return np.memmap(self.path, dtype=self.dtype, mode="r+", shape=self.shape)
