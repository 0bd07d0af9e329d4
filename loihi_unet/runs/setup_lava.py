# SPDX-License-Identifier: BSD-3-Clause
"""Installs Lava's own wheels, unchanged, on Pythons that they do not list.

No extra of a package can do it: the wheels ask for a Python below 3.11 and for
versions of their dependencies that newer Pythons do not have. ``loihi-unet[lava]``
brings dependencies that fit instead, and `sim.lava.mends` what has to be changed.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys

from export.errors import UserError

OLDEST, NEWEST = (3, 10), (3, 13)
WHEELS = ("lava-nc==0.10.0", "lava-dl==0.6.0")
# Imported in a process of its own: this one may have tried, and failed, before.
TRY = (
    "import sim.lava.simulator",
    "import sim.lava.mends, lava.lib.dl.netx, lava.lib.dl.slayer",
)


class SetupError(UserError):
    """Lava cannot be installed here; says why and what to do."""


def check_python(version: tuple[int, int]) -> None:
    """Raise `SetupError` unless Lava is known to run on this Python.

    Parameters
    ----------
    version : tuple of int
        Major and minor.
    """
    if not OLDEST <= version <= NEWEST:
        running, oldest, newest = (
            ".".join(map(str, v)) for v in (version, OLDEST, NEWEST)
        )
        raise SetupError(
            f"Python {running}: Lava was tested on {oldest} to {newest}; make an "
            "environment with one of these"
        )


def setup_lava() -> tuple[str, ...]:
    """Install lava-nc and lava-dl into the environment that runs this.

    Returns
    -------
    tuple of str
        What is installed now, as pip names it.

    Raises
    ------
    SetupError
        If this Python is none of those that were tested, pip is missing or fails, or
        what was installed cannot be imported.
    """
    check_python(sys.version_info[:2])
    if importlib.util.find_spec("pip") is None:
        raise SetupError(
            "this environment has no pip: run 'python -m ensurepip' in it first"
        )
    # Anew, so that a damaged installation is repaired.
    flags = ("--no-deps", "--ignore-requires-python", "--force-reinstall", "--quiet")
    done = _python("-m", "pip", "install", *flags, *WHEELS)
    if done.returncode:
        raise SetupError(
            f"pip could not install Lava ({_reason(done)}); check that pip reaches "
            "its registry, then run: loihi-unet setup-lava"
        )
    for statement in TRY:
        tried = _python("-c", statement)
        if tried.returncode:
            raise SetupError(
                f"Lava is installed, but '{statement}' fails ({_reason(tried)}); "
                "run: pip install 'loihi-unet[lava]'"
            )
    return WHEELS


def _python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False
    )


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """What a failed program says: pip's last error, or an exception's last line."""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or [f"exit code {done.returncode}"])[-1]
