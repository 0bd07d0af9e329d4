# SPDX-License-Identifier: BSD-3-Clause
"""Networks named by a file and a function of it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from loihi_unet.errors import ConversionError

if TYPE_CHECKING:
    from torch import nn


def is_module(source: str) -> bool:
    """Whether a name means a function of a Python file."""
    file, colon, function = source.rpartition(":")
    return bool(colon) and file.endswith(".py") and function.isidentifier()


def load_module(source: str) -> nn.Module:
    """Return the module that a function of somebody's file returns.

    Parameters
    ----------
    source : str
        ``FILE.py:FUNCTION``. The file is run.

    Returns
    -------
    nn.Module
        With its weights.

    Raises
    ------
    ConversionError
        If there is no such file or function, it fails, or returns something else.
    """
    file, _, function = source.rpartition(":")
    path = Path(file)
    if not is_module(source):
        raise ConversionError(f"{source}: FILE.py:FUNCTION needed")
    if not path.is_file():
        raise ConversionError(f"{path}: no such file")
    from torch import nn

    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None  # its name ends with .py
    assert spec.loader is not None
    namespace = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    sys.modules[path.stem] = namespace
    try:
        spec.loader.exec_module(namespace)
        if not hasattr(namespace, function):
            raise ConversionError(f"{path}: no function {function!r}")
        module = getattr(namespace, function)()
    except ConversionError:
        raise
    except Exception as error:
        text = (str(error).strip().splitlines() or [""])[0]
        raise ConversionError(f"{source}: {type(error).__name__}: {text}") from error
    finally:
        sys.path.remove(folder)
        sys.modules.pop(path.stem, None)
    if not isinstance(module, nn.Module):
        raise ConversionError(
            f"{source}: it returns a {type(module).__name__}, a torch.nn.Module needed"
        )
    return module


def parse_numbers(text: str | None, default: float) -> tuple[float, ...]:
    """Return numbers between commas.

    Raises
    ------
    ConversionError
        If one is no number.
    """
    if text is None:
        return (default,)
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ConversionError(f"{text}: numbers between commas needed") from None
