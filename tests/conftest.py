# SPDX-License-Identifier: BSD-3-Clause
"""Hypothesis profiles, and the skips of what is not here."""

import importlib.util
import os
import signal

import pytest
from hypothesis import settings

import sim.lava.mends  # noqa: F401  # before any test imports Lava

# The smoke tests of the Lava backend have no torch.
pytest_plugins = ["small_run"] if importlib.util.find_spec("torch") else []

settings.register_profile("default", deadline=None, max_examples=50)
# The same examples every time: a red CI can be repeated anywhere.
settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_collection_modifyitems(items):
    if importlib.util.find_spec("lava") is None:
        _skip(items, "lava", "no Lava here: loihi-unet setup-lava")
    if any(item.get_closest_marker("cuda") for item in items):
        import torch

        if not torch.cuda.is_available():
            _skip(items, "cuda", "no GPU here")


def _skip(items, marker, reason):
    for item in items:
        if item.get_closest_marker(marker):
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_configure():
    """Let Ctrl-C through: background jobs of a shell, and their children, ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
