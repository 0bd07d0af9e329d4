# SPDX-License-Identifier: BSD-3-Clause
"""What works on this machine, found by trying it."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Check:
    """Result of one check.

    Parameters
    ----------
    what : str
        Thing checked.
    state : {"ok", "missing", "broken"}
        ``"missing"`` costs a feature, ``"broken"`` the main job.
    found : str
        What is here.
    advice : str
        What to do; empty if nothing.
    """

    what: str
    state: Literal["ok", "missing", "broken"]
    found: str
    advice: str = ""


# Lava passes every message through POSIX shared memory.
# Looked at, never written to.
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # nosec B108
_SHARED_MEMORY_NEEDED = 256 * 2**20


def checks() -> list[Check]:
    """Try everything; never raises."""
    tests: list[tuple[str, Callable[[], Check]]] = [
        ("Python", _python),
        ("torch", _torch),
        ("CUDA", _cuda),
        ("Lava", _lava),
        ("lava-dl", _lava_dl),
        ("shared memory", _shared_memory),
        ("shipped models", _models),
    ]
    results = []
    for what, test in tests:
        try:
            results.append(test())
        except Exception as error:  # a broken installation may raise anything
            results.append(Check(what=what, state="broken", found=_words(error)))
        if what == "Lava" and results[-1].state == "ok":
            results += _mends()
    return results


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check(what="Python", state="ok", found=f"{version} at {sys.executable}")


def _torch() -> Check:
    import numpy as np
    import torch

    from sim.backend import create
    from sim.selftest import small_network

    network = small_network()
    pixels = np.arange(64).reshape(1, 1, 8, 8)
    exact = create("torch").run(network, pixels)
    judge = create("reference").run(network, pixels)
    assert exact.output is not None  # every backend gives the output
    assert judge.output is not None
    same = np.array_equal(exact.output, judge.output)
    return Check(
        what="torch",
        state="ok" if same else "broken",
        found=f"{torch.__version__}, {'exact' if same else 'NOT exact'} on this CPU",
        advice="" if same else "reinstall torch from the official wheels",
    )


def _cuda() -> Check:
    import torch

    if torch.cuda.is_available():
        return Check(what="CUDA", state="ok", found=torch.cuda.get_device_name())
    return Check(
        what="CUDA",
        state="missing",
        found="torch finds no device",
        advice="nothing to do unless this machine has an NVIDIA GPU",
    )


def _lava() -> Check:
    from sim.backend import BackendError, create

    try:
        create("lava")
    except BackendError as error:
        reason, _, advice = str(error).rpartition("; ")
        return Check(what="Lava", state="missing", found=reason, advice=advice)
    return Check(
        what="Lava",
        state="ok",
        found=f"lava-nc {importlib.metadata.version('lava-nc')}",
    )


def _mends() -> list[Check]:
    """Try each thing that is mended in Lava, where Lava is imported."""
    from sim.lava.mending import MENDS
    from sim.lava.probes import PROBES

    results = []
    for mend in MENDS.values():
        if mend.module.startswith("lava.lib.dl") and not _has_lava_dl():
            continue
        try:
            works, words = PROBES[mend.name](), f"needed by {mend.needed}"
        except Exception as error:  # as above
            works, words = False, _words(error)
        results.append(
            Check(
                what=f"Lava: {mend.name}",
                state="ok" if works else "broken",
                found=words,
                advice="" if works else "install Lava again: loihi-unet setup-lava",
            )
        )
    return results


def _has_lava_dl() -> bool:
    try:
        return importlib.util.find_spec("lava.lib.dl") is not None
    except ModuleNotFoundError:  # not even lava.lib
        return False


def _lava_dl() -> Check:
    advice = "needed for slayer and stock netx only; run: loihi-unet setup-lava"
    try:
        version = importlib.metadata.version("lava-dl")
        importlib.import_module("lava.lib.dl.netx")
    except importlib.metadata.PackageNotFoundError:
        return Check(
            what="lava-dl", state="missing", found="not installed", advice=advice
        )
    except ImportError as error:
        return Check(
            what="lava-dl", state="missing", found=_words(error), advice=advice
        )
    return Check(what="lava-dl", state="ok", found=f"lava-dl {version}")


def _shared_memory() -> Check:
    if sys.platform == "darwin":
        what = "POSIX shared memory without a limit that could be read"
        return Check(what="shared memory", state="ok", found=what)
    if not _SHARED_MEMORY.is_dir():
        return Check(
            what="shared memory",
            state="missing",
            found=f"no {_SHARED_MEMORY}",
            advice="the Lava runtime needs POSIX shared memory",
        )
    free = shutil.disk_usage(_SHARED_MEMORY).free
    enough = free >= _SHARED_MEMORY_NEEDED
    return Check(
        what="shared memory",
        state="ok" if enough else "missing",
        found=f"{free / 2**20:.0f} MiB free",
        advice="" if enough else "give the container more, e.g. --shm-size=1g",
    )


def _models() -> Check:
    from loihi_unet.files.checkpoint import published_models

    names = published_models()
    return Check(
        what="shipped models",
        state="ok" if names else "broken",
        found=", ".join(names) or "none",
        advice="" if names else "reinstall the package",
    )
