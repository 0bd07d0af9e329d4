# SPDX-License-Identifier: BSD-3-Clause
"""Imports of large libraries: no looking for garbage, no waiting at full speed."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Import here what lives until the process ends.

    Python counts new objects and goes through all of them again and again, in vain:
    that is an eighth of the time that ``import torch`` takes. Torch's threads wait for
    each other asleep, unless OMP_WAIT_POLICY says otherwise: awake they take processor
    time from whoever else is there, and gain nothing in a run of a second or two.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is loaded
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # none of these is looked at again
        if collects:
            gc.enable()
