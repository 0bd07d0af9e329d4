# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of a data set of any size in bounded memory."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from loihi_unet.data.picture import Picture
from loihi_unet.data.white_level import Levels
from loihi_unet.errors import DataError

T = TypeVar("T")

#: Bytes of pictures that are kept; others are read again when they are needed.
CACHE = 1 << 30
#: Pictures from which on a bar shows how many have been read.
_MANY = 20


class Facts(NamedTuple):
    """What is remembered of a picture that was read.

    Attributes
    ----------
    name : str
        Of the picture.
    size : tuple of int
        Height and width.
    levels : Levels or None
        As of the picture.
    counts : ndarray, shape (256,), int64, or None
        Pixels of each class.
    number : int or None
        Class of the whole picture.
    """

    name: str
    size: tuple[int, int]
    levels: Levels | None
    counts: NDArray[np.int64] | None
    number: int | None


def facts_of(picture: Picture) -> Facts:
    """Return what is remembered of a picture."""
    label = picture.label
    counts = None if label is None else np.bincount(label.ravel(), minlength=256)
    return Facts(picture.name, picture.size, picture.levels, counts, picture.number)


class Store:
    """Reads pictures by number, and keeps the latest.

    Parameters
    ----------
    read : callable
        Reads picture number i, always the same.
    limit : int
        Bytes that are kept.
    """

    def __init__(self, read: Callable[[int], Picture], limit: int) -> None:
        self.read = read
        self.limit = limit
        self.kept: OrderedDict[int, Picture] = OrderedDict()
        self.bytes = 0

    def get(self, index: int) -> Picture:
        """Return a picture, kept or read anew."""
        if index in self.kept:
            self.kept.move_to_end(index)
            return self.kept[index]
        picture = self.read(index)
        self.kept[index] = picture
        self.bytes += _bytes(picture)
        while self.bytes > self.limit:
            _, oldest = self.kept.popitem(last=False)
            self.bytes -= _bytes(oldest)
        return picture


def _bytes(picture: Picture) -> int:
    arrays = (picture.pixels, picture.label, picture.mask, picture.target)
    return sum(array.nbytes for array in arrays if array is not None)


class Pictures(Sequence[Picture]):
    """Pictures that have all been read once, and are read again when looked at.

    A sequence: its length, its pictures by number, and slices are as of a list.

    Attributes
    ----------
    facts : list[Facts]
        Of each picture, without reading it.
    """

    def __init__(
        self,
        store: Store,
        places: Sequence[int],
        facts: list[Facts],
        change: Callable[[Picture], Picture] | None = None,
        sha256: str | None = None,
    ) -> None:
        self._store = store
        self._places = places
        self._change = change
        self._sha256 = sha256
        self.facts = facts

    @classmethod
    def read(
        cls, read: Callable[[int], Picture], count: int, limit: int | None = None
    ) -> "Pictures":
        """Read every picture once, with a bar on a terminal where there are many.

        Parameters
        ----------
        read : callable
            Reads picture number i, always the same.
        count : int
            How many there are.
        limit : int, optional
            Bytes of pictures that are kept; `CACHE` if None.
        """
        store = Store(read, CACHE if limit is None else limit)
        facts = []
        digest = Digest()
        for index in tracked(range(count)):
            picture = store.get(index)
            facts.append(facts_of(picture))
            digest.add(picture)
        return cls(store, range(count), facts, sha256=digest.hex)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Picture: ...

    @overload
    def __getitem__(self, index: slice) -> "Pictures": ...

    def __getitem__(self, index: int | slice) -> "Picture | Pictures":
        if isinstance(index, slice):
            return self.subset(range(len(self))[index])
        picture = self._store.get(self._places[index])
        return picture if self._change is None else self._change(picture)

    def subset(self, places: Iterable[int]) -> "Pictures":
        """Return some of the pictures."""
        chosen = list(places)
        return Pictures(
            self._store,
            [self._places[place] for place in chosen],
            [self.facts[place] for place in chosen],
            self._change,
        )

    def changed(self, change: Callable[[Picture], Picture]) -> "Pictures":
        """Return the pictures as a function makes them, of the same size and labels."""
        if self._change is not None:
            inner = self._change
            return Pictures(
                self._store, self._places, self.facts, lambda p: change(inner(p))
            )
        return Pictures(self._store, self._places, self.facts, change)

    @property
    def levels(self) -> list[Levels | None]:
        """How the pixels of each were made, where a file has more than 8 bits."""
        return [fact.levels for fact in self.facts]

    @property
    def names(self) -> list[str]:
        """Of each."""
        return [fact.name for fact in self.facts]

    @property
    def sha256(self) -> str:
        """As `fingerprint`."""
        if self._sha256 is None:
            digest = Digest()
            for picture in self:
                digest.add(picture)
            self._sha256 = digest.hex
        return self._sha256


def tracked(items: Sequence[T]) -> Iterable[T]:
    """Return items to be read one by one, with a bar on a terminal if they are many."""
    console = Console(stderr=True)
    if len(items) < _MANY or not console.is_terminal:
        return items
    return track(items, "reading pictures", console=console, transient=True)


class Digest:
    """SHA-256 of pictures, one after the other."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, picture: Picture) -> None:
        """Take in name, shape, pixels, and what belongs to the picture."""
        name, shape = picture.name, picture.pixels.shape
        self._hash.update(f"{name}\0{shape}\0".encode())
        self._hash.update(picture.pixels.tobytes())
        if picture.label is not None:
            self._hash.update(picture.label.tobytes())
        if picture.target is not None:
            self._hash.update(f"{picture.target.shape}\0".encode())
            self._hash.update(picture.target.tobytes())
        if picture.number is not None:
            self._hash.update(f"class {picture.number}\0".encode())

    @property
    def hex(self) -> str:
        """Of all so far."""
        return self._hash.hexdigest()


def fingerprint(pictures: Sequence[Picture]) -> str:
    """Return the SHA-256 (hex) of names, shapes, pixels and labels, in order."""
    if isinstance(pictures, Pictures):
        return pictures.sha256
    digest = Digest()
    for picture in pictures:
        digest.add(picture)
    return digest.hex


def all_facts(pictures: Sequence[Picture]) -> Iterator[Facts]:
    """Yield what is remembered of each picture, or found out now."""
    if isinstance(pictures, Pictures):
        yield from pictures.facts
    else:
        yield from map(facts_of, pictures)


def sizes(pictures: Sequence[Picture]) -> list[tuple[int, int]]:
    """Return height and width of each picture."""
    if isinstance(pictures, Pictures):
        return [fact.size for fact in pictures.facts]
    return [picture.size for picture in pictures]


def hold_out(
    pictures: Sequence[Picture], count: int
) -> tuple[Sequence[Picture], Sequence[Picture]]:
    """Split pictures into those to train on and those to validate on.

    Parameters
    ----------
    pictures : sequence of Picture
        All of them.
    count : int
        How many to hold out; taken at even distances through the list.

    Returns
    -------
    train, validation : sequence of Picture
        No picture is in both.

    Raises
    ------
    DataError
        If none would be left to train on.
    """
    if count >= len(pictures):
        raise DataError(
            f"{len(pictures)} pictures: cannot hold out {count} and train on the rest; "
            f"add pictures or lower validation_images"
        )
    held = {index * len(pictures) // count: None for index in range(count)}
    train = [index for index in range(len(pictures)) if index not in held]
    if isinstance(pictures, Pictures):
        return pictures.subset(train), pictures.subset(held)
    return [pictures[index] for index in train], [pictures[index] for index in held]
