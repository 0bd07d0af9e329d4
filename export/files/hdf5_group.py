# SPDX-License-Identifier: BSD-3-Clause
"""Reading HDF5 that somebody else wrote: every value checked, no link followed."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import h5py
import numpy as np
import numpy.typing as npt

from export.errors import NetworkError, UnsupportedLayerError
from export.synapse import IntArray, integers

# Datasets of one file may unpack to this much, or to this many times the file's
# size: the 34 M weights of a 64-channel U-Net take 68 MB; deflate reaches 1000.
MAX_BYTES = 2**29
MAX_RATIO = 64


Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Budget:
    """Bytes that may still be read from one file.

    Parameters
    ----------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self.allowed = max(MAX_BYTES, MAX_RATIO * path.stat().st_size)
        self.left = self.allowed

    def take(self, size: int) -> bool:
        """Whether ``size`` bytes fit; if so, they are taken."""
        if size > self.left:
            return False
        self.left -= size
        return True


class Group:
    """A group whose values are checked as they are read.

    Parameters
    ----------
    group : h5py.Group
        Open group.
    path : Path
        File, for errors.
    name : str
        Place within the file, for errors.
    budget : Budget
        Bytes that may be read, shared by all groups of the file.
    """

    def __init__(self, group: Any, path: Path, name: str, budget: Budget) -> None:
        self._group = group
        self._path = path
        self._name = name
        self._budget = budget

    def error(self, key: str, text: str) -> NetworkError:
        """Error that names file, place and ``key``."""
        return NetworkError(f"{self._path}: {self._name}/{key}: {text}")

    def unsupported(self, key: str, text: str) -> UnsupportedLayerError:
        """Error for a kind that this project does not handle."""
        return UnsupportedLayerError(str(self.error(key, text)))

    @property
    def index(self) -> str:
        """Last part of the group's name."""
        return self._name.rpartition("/")[2]

    @contextlib.contextmanager
    def located(self) -> Iterator[None]:
        """Put file and place before errors that do not start with the file's name.

        What the classes of `export` refuse names a layer or a value, but cannot know
        where in which file that was.
        """
        try:
            yield
        except NetworkError as error:
            if str(error).startswith(str(self._path)):
                raise
            place = f"{self._name}: " if self._name else ""
            raise type(error)(f"{self._path}: {place}{error}") from None

    def is_array(self, key: str) -> bool:
        """Whether ``key`` is a dataset, not a group."""
        kind = self._group.get(key, getclass=True, getlink=False)
        return kind is h5py.Dataset

    def names(self) -> list[str]:
        """Names of all members."""
        return list(self._group.keys())

    def __contains__(self, key: str) -> bool:
        return key in self._group

    def _member(self, key: str, kind: type, what: str) -> Any:
        link = self._group.get(key, getlink=True)
        if link is None:
            raise self.error(key, f"missing, {what} needed")
        if not isinstance(link, h5py.HardLink):
            raise self.error(key, "soft or external link found, none is followed")
        member = self._group[key]
        if not isinstance(member, kind):
            raise self.error(key, f"{type(member).__name__} found, {what} needed")
        return member

    def group(self, key: str) -> Group:
        """Subgroup ``key``.

        Raises
        ------
        NetworkError
            If it is missing, a link, or not a group.
        """
        member = self._member(key, h5py.Group, "a group")
        return Group(member, self._path, f"{self._name}/{key}", self._budget)

    def _dataset(self, key: str, width: int = 0) -> Any:
        data = self._member(key, h5py.Dataset, "a dataset")
        if data.external or data.is_virtual:
            raise self.error(key, "external or virtual storage found, none is followed")
        if data.shape is None:
            raise self.error(key, "empty dataset found, a value needed")
        size = math.prod(data.shape) * max(width, data.dtype.itemsize)
        if not self._budget.take(size):
            raise self.error(
                key,
                f"{size} bytes found, {self._budget.left} of "
                f"{self._budget.allowed} allowed ones left",
            )
        return data

    def array(self, key: str, kinds: str, width: int = 0) -> npt.NDArray[Any]:
        """Dataset ``key`` as an array whose dtype kind is one of ``kinds``.

        ``width`` is the least number of bytes that an element counts as.

        Raises
        ------
        NetworkError
            If it is missing, a link, too large or of another kind.
        """
        data = self._dataset(key, width)
        if data.dtype.kind not in kinds:
            needed = "numbers" if "f" in kinds else "integers"
            raise self.error(key, f"dtype {data.dtype} found, {needed} needed")
        return np.asarray(data[()])

    def integers(self, key: str, ndim: int | None = None) -> IntArray:
        """Integers of dataset ``key``; floats are taken when they hold integers.

        Raises
        ------
        NetworkError
            If it is not a dataset of integers with ``ndim`` axes.
        """
        # One stored byte becomes an int32, and its checks take as much again.
        values = self.array(key, "iuf", width=8)
        if ndim is not None and values.ndim != ndim:
            raise self.error(key, f"{values.ndim} axes found, {ndim} needed")
        return integers(values, f"{self._path}: {self._name}/{key}")

    def integer(self, key: str) -> int:
        """One integer.

        Raises
        ------
        NetworkError
            If dataset ``key`` is not one integer.
        """
        values = self.integers(key)
        if values.size != 1:
            raise self.error(key, f"{values.size} values found, one needed")
        return int(values.reshape(-1)[0])

    def flag(self, key: str) -> int:
        """One integer or truth value.

        Raises
        ------
        NetworkError
            If dataset ``key`` is neither.
        """
        values = self.array(key, "biuf")
        if values.dtype.kind != "b":
            return self.integer(key)
        if values.size != 1:
            raise self.error(key, f"{values.size} values found, one needed")
        return int(values.reshape(-1)[0])

    def tuple(self, key: str, length: int) -> tuple[int, ...]:
        """``length`` integers.

        Raises
        ------
        NetworkError
            If dataset ``key`` does not hold that many integers.
        """
        values = self.integers(key, ndim=1)
        if len(values) != length:
            raise self.error(key, f"{len(values)} values found, {length} needed")
        return tuple(int(v) for v in values)

    def real(self, key: str) -> float:
        """One finite number.

        Raises
        ------
        NetworkError
            If dataset ``key`` is not one finite number.
        """
        values = self.array(key, "iuf")
        if values.size != 1 or not np.isfinite(values).all():
            given = values.item() if values.size == 1 else f"shape {values.shape}"
            raise self.error(key, f"{given} found, one finite number needed")
        return float(values.reshape(-1)[0])

    def reals(self, key: str) -> npt.NDArray[np.float64]:
        """One finite number, or one axis of them.

        Raises
        ------
        NetworkError
            If dataset ``key`` is neither.
        """
        values = self.array(key, "iuf").astype(np.float64)
        if values.ndim > 1 or not values.size or not np.isfinite(values).all():
            given = values.item() if values.size == 1 else f"shape {values.shape}"
            raise self.error(key, f"{given} found, finite numbers on one axis needed")
        return values

    def text(self, key: str) -> str:
        """One string: a scalar, or an array of one as stock files hold ``type``.

        Raises
        ------
        NetworkError
            If dataset ``key`` is not one string of UTF-8.
        """
        data = self._dataset(key)
        if data.dtype.kind not in "SO" or math.prod(data.shape) != 1:
            raise self.error(key, f"dtype {data.dtype} found, one string needed")
        value = data[()]
        if data.shape:
            value = value.reshape(-1)[0]
        if not isinstance(value, bytes):
            raise self.error(key, f"{type(value).__name__} found, one string needed")
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self.error(key, "not UTF-8") from error


def located(
    read: Callable[Concatenate[Group, Parameters], Result],
) -> Callable[Concatenate[Group, Parameters], Result]:
    """Make a function that reads from a group put its place before errors."""

    @functools.wraps(read)
    def inner(
        group: Group, /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        with group.located():
            return read(group, *args, **kwargs)

    return inner
