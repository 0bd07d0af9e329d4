# SPDX-License-Identifier: BSD-3-Clause
"""Backends that run an integer network, what they record, and the verdict.

`create("torch")` gives a `Simulator`; its `run(network, images)` gives a `Recording`
of every payload; `compare` of two says EXACT, or where they differ. `stream` takes
images as they come, `sweep` does the same job over many pictures. `BACKENDS` names what
there is. Everything is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.backend import BACKENDS as BACKENDS
    from sim.backend import Simulator as Simulator
    from sim.backend import create as create
    from sim.recording import Recording as Recording
    from sim.recording_file import read_recording as read_recording
    from sim.recording_file import write_recording as write_recording
    from sim.streaming import stream as stream
    from sim.sweeps.sweep import sweep as sweep
    from sim.verify.comparison import Comparison as Comparison
    from sim.verify.comparison import compare as compare

#: Where each public name lives.
_PUBLIC = {
    "BACKENDS": "sim.backend",
    "Simulator": "sim.backend",
    "create": "sim.backend",
    "Recording": "sim.recording",
    "read_recording": "sim.recording_file",
    "write_recording": "sim.recording_file",
    "stream": "sim.streaming",
    "sweep": "sim.sweeps.sweep",
    "Comparison": "sim.verify.comparison",
    "compare": "sim.verify.comparison",
}

__all__ = ["BACKENDS", "Comparison", "Recording", "Simulator", "compare", "create"]
__all__ += ["read_recording", "stream", "sweep", "write_recording"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'sim' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
