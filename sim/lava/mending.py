# SPDX-License-Identifier: BSD-3-Clause
"""How `sim.lava.mends` are made: as Lava is imported, in every process.

A mend is registered with the module that it changes. A finder in front of Python's own
ones lets these find the module and has the mend act while it is executed; what
Python stores of Lava is what Lava wrote. Neither Lava nor NumPy is imported here:
where there is no Lava, nothing happens.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.metadata
import multiprocessing.spawn
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MODULE = "sim.lava.mends"
RELEASE = "0.10.0"
Apply = Callable[[ModuleType], contextlib.AbstractContextManager[None]]


class LavaVersionError(ImportError):
    """The Lava that is installed is not the one that the mends were made for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mend:
    """One change to one module of Lava.

    Parameters
    ----------
    name : str
        Name of the function of `sim.lava.mends` that makes it.
    module : str
        Module of Lava that is changed.
    needed : str
        Versions that do not work without it.
    apply : callable
        Context manager around the execution of the module, which it is given.
    late : bool
        Whether it can be made when the module has been executed already.
    """

    name: str
    module: str
    needed: str
    apply: Apply
    late: bool


MENDS: dict[str, Mend] = {}  # by module: at most one mend each


def around(module: str, needed: str, *, late: bool = False) -> Callable[[Apply], Apply]:
    """Register a mend that acts while the module is executed."""

    def register(apply: Apply) -> Apply:
        assert module not in MENDS
        name = apply.__name__
        MENDS[module] = Mend(
            name=name, module=module, needed=needed, apply=apply, late=late
        )
        return apply

    return register


def after(module: str, needed: str) -> Callable[[Callable[[Any], None]], Apply]:
    """Register a mend that changes the module once it has been executed."""

    def register(change: Callable[[Any], None]) -> Apply:
        @contextlib.contextmanager
        @functools.wraps(change)
        def apply(loaded: ModuleType) -> Iterator[None]:
            yield
            change(loaded)

        return around(module, needed, late=True)(apply)

    return register


class _Finder:
    """Finds Lava's modules where Python finds them, and mends them as they load."""

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if name in ("lava.magma", "lava.proc"):
            check_release()
        if name not in MENDS:
            return None
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(name, path, target)):
                _mend_on_load(spec, MENDS[name])
                return spec
        return None


def _mend_on_load(spec: ModuleSpec, mend: Mend) -> None:
    # Each module has a loader of its own, whose other methods stay as they are.
    loader: Any = spec.loader
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        with mend.apply(module):
            execute(module)

    loader.exec_module = exec_module


def check_release() -> None:
    """Raise `LavaVersionError` unless lava-nc 0.10.0 is what is installed."""
    try:
        installed = importlib.metadata.version("lava-nc")
    except importlib.metadata.PackageNotFoundError:
        installed = "of unknown version"
    if installed != RELEASE:
        raise LavaVersionError(
            f"lava-nc {installed} is installed, and the mends are for {RELEASE}"
        )


class _ImportHere:
    """Imports the mends in the process that unpickles it."""

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths

    def __reduce__(self) -> tuple[Any, ...]:
        # The child has not got its sys.path yet, so nothing of ours can be named.
        code = f"import sys; sys.path[:] = {self.paths!r}; import {MODULE}"
        return exec, (code,)


def _hand_on() -> None:
    """Have `multiprocessing` import the mends first in children that it spawns."""
    prepare = multiprocessing.spawn.get_preparation_data

    @functools.wraps(prepare)
    def get_preparation_data(name: str) -> dict[str, Any]:
        data = prepare(name)
        # Unpickled in this order; the child ignores keys that it does not know.
        return {MODULE: _ImportHere(data["sys_path"]), **data}

    multiprocessing.spawn.get_preparation_data = get_preparation_data


def install() -> None:
    """Mend what is imported from now on, here and in children; and what was."""
    sys.meta_path.insert(0, _Finder())
    _hand_on()
    for mend in MENDS.values():
        if mend.late and (loaded := sys.modules.get(mend.module)):
            with mend.apply(loaded):
                pass
