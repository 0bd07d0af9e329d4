# SPDX-License-Identifier: BSD-3-Clause
"""Imports of large libraries, without looking for garbage among them."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Import here what lives until the process ends.

    Python counts new objects and goes through all of them again and again, in vain:
    that is an eighth of the time that ``import torch`` takes.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # none of these is looked at again
        if collects:
            gc.enable()
