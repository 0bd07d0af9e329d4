# SPDX-License-Identifier: BSD-3-Clause
"""HDF5 files: opening what somebody else wrote, writing at once or not at all."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from export.errors import NetworkError, UserError
from export.files.atomic import atomic
from export.files.hdf5_group import Budget, Group
from export.files.kind import expect


@contextlib.contextmanager
def open_file(path: str | Path, kind: str) -> Iterator[Group]:
    """Open an HDF5 file for reading.

    Parameters
    ----------
    path : str or Path
        File.
    kind : str
        ``"network"`` or ``"recording"``: what it is to be (`export.files.kind`).

    Yields
    ------
    Group
        Its root.

    Raises
    ------
    NetworkError
        If it is missing, of another kind, truncated or damaged, or if a value read
        inside the block is damaged.
    """
    path = Path(path)
    expect(path, kind, error=NetworkError)
    try:
        file = h5py.File(path, "r")
    except (OSError, ValueError, RuntimeError) as error:
        raise NetworkError(
            f"{path}: not an HDF5 file, truncated or damaged ({_first_line(error)})"
        ) from error
    with file:
        try:
            yield Group(file, path, "", Budget(path))
        except UserError:
            raise
        except _DAMAGE as error:
            raise NetworkError(f"{path}: damaged ({_first_line(error)})") from error


# What libhdf5 and h5py raise on damaged structures has no one type.
_DAMAGE = (
    OSError,
    LookupError,
    RuntimeError,
    TypeError,
    AttributeError,
    ValueError,
    ArithmeticError,
    MemoryError,
)


def _first_line(error: Exception) -> str:
    return (str(error).strip("'\"").splitlines() or [repr(error)])[0]


class _Forgiving(io.FileIO):
    """A file for libhdf5, which cannot close one on a full disk any more.

    After the first error nothing is written, and libhdf5 is not told.
    """

    error: OSError | None = None

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while left and self.error is None:  # less may be written than asked for
                left = left[super().write(left) :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return 0

    def flush(self) -> None:
        pass  # nothing is held back


class _InsideError(Exception):
    """Carries an error of the block past those of the file."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error)
        self.error = error


@contextlib.contextmanager
def create_file(path: Path) -> Iterator[Any]:
    """Build an HDF5 file that appears at ``path`` when the block has ended well.

    Parameters
    ----------
    path : Path
        Where to.

    Yields
    ------
    h5py.File
        To fill.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    try:
        with atomic(path) as temporary, _Forgiving(temporary, "w+") as disk:
            with h5py.File(disk, "w") as file:
                try:
                    yield file
                except OSError as error:
                    raise _InsideError(error) from error
            if disk.error is not None:
                raise disk.error
    except _InsideError as inside:
        raise inside.error from None


def write_text(group: Any, key: str, text: str) -> None:
    """Write ``text`` as a fixed-length UTF-8 string (variable ones need a heap)."""
    data = text.encode("utf-8")
    group.create_dataset(key, data=np.array(data, dtype=f"S{max(1, len(data))}"))
