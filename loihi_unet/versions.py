# SPDX-License-Identifier: BSD-3-Clause
"""Versions of what a result depends on."""

from __future__ import annotations

import importlib.metadata
import platform

PACKAGES = ("loihi-unet", "numpy", "torch", "h5py", "lava-nc", "lava-dl")


def own_version() -> str:
    """Return this package's version; 0.0.0 where it runs without being installed."""
    try:
        return importlib.metadata.version(PACKAGES[0])
    except importlib.metadata.PackageNotFoundError:
        return "0.0.0"


def versions() -> dict[str, str]:
    """Return the version of Python and of each package, or "not installed"."""
    installed = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed[name] = "not installed"
    return installed
