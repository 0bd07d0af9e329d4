# SPDX-License-Identifier: BSD-3-Clause
"""Backends that are not this project's: by ``module:Class``, or by an entry point.

A package offers one by an entry point of the group `GROUP`, whose name is the
backend's and whose value is ``module:Class``.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import sys
from collections.abc import Iterator

from export.errors import UserError, one_line
from sim.errors import BackendError

GROUP = "loihi_unet.backends"


def installed() -> dict[str, str]:
    """Backends of other packages that are installed here.

    Returns
    -------
    dict of str to str
        ``module:Class`` by the backend's name.
    """
    return {
        point.name: point.value
        for point in importlib.metadata.entry_points(group=GROUP)
    }


def is_class(name: str) -> bool:
    """Whether a name has the form ``module:Class``."""
    module, colon, kind = name.partition(":")
    return bool(colon) and all(
        part.isidentifier() for part in (*module.split("."), *kind.split("."))
    )


def create(name: str) -> object:
    """Make the backend of somebody else.

    Parameters
    ----------
    name : str
        ``module:Class``, or a name of `installed`.

    Returns
    -------
    object
        With a ``name`` and a method ``run``, as `sim.backend.Simulator` says.

    Raises
    ------
    BackendError
        If the module cannot be imported, has no such class, or makes something else.
    """
    module, _, kind = installed().get(name, name).partition(":")
    where = f"backend '{name}'"
    with _current_folder():
        try:
            member: object = importlib.import_module(module)
            for part in kind.split("."):
                member = getattr(member, part)
            backend = member()  # type: ignore[operator]
        except UserError:
            raise
        except ModuleNotFoundError as error:
            raise BackendError(f"{where}: {_missing(module, error.name)}") from error
        except AttributeError as error:
            raise BackendError(f"{where}: {one_line(str(error))}") from error
        except Exception as error:
            text = one_line(f"{type(error).__name__}: {error}")
            raise BackendError(f"{where}: it cannot be made ({text})") from error
    if not isinstance(getattr(backend, "name", None), str) or not callable(
        getattr(backend, "run", None)
    ):
        raise BackendError(
            f"{where}: a {type(backend).__name__} found, which lacks a name (str) or "
            "a method run; docs/add-a-backend.md has an example"
        )
    return backend


def remedy(module: str) -> str:
    """Return what to do about a module that is not installed."""
    package = module.split(".")[0]
    if package == "lava":
        return "run: loihi-unet setup-lava"
    return f"run: pip install {package}"


def _missing(module: str, name: str | None) -> str:
    if name is not None and (module == name or module.startswith(f"{name}.")):
        return f"no module '{name}', neither installed nor in the current folder"
    return f"needs '{name}', which is not installed here; {remedy(name or '')}"


@contextlib.contextmanager
def _current_folder() -> Iterator[None]:
    """Find modules in the current folder, too; what is installed comes first."""
    folder = os.getcwd()
    added = folder not in sys.path
    if added:
        sys.path.append(folder)
    try:
        yield
    finally:
        if added:
            sys.path.remove(folder)
