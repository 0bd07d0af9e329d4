# SPDX-License-Identifier: BSD-3-Clause
"""Runs the unit tests that lie in the wheels of lava-nc and lava-dl, unchanged.

On Python 3.10 Lava runs as it is, on newer Pythons with `sim.lava.mends`. The tests
are copied out of the environment first: both wheels install a package `tests`.

Usage: python .ci/lava_tests.py [lava-nc | lava-dl] [PYTEST ARGUMENT ...]
"""

import contextlib
import importlib.metadata
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
# The notebooks that they run are not in the wheel.
LEFT_OUT = ("tests/lava/tutorials/",)
# A test that hangs leaves processes; an interpreter would wait for them at its end.
RUN = (
    "import os, sys, pytest; code = pytest.main(sys.argv[1:]); "
    "sys.stdout.flush(); os._exit(code)"
)


def copy(package: str, target: Path) -> int:
    """Copy what a wheel installed below ``tests``; return the number of files."""
    files = [
        file
        for file in importlib.metadata.files(package) or ()
        if str(file).startswith("tests/") and not str(file).startswith(LEFT_OUT)
    ]
    for file in files:
        place = target / file
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file.locate(), place)
    return len(files)


def run(package: str, arguments: list[str]) -> int:
    """Run the tests of a package; return pytest's exit code."""
    with tempfile.TemporaryDirectory() as folder:
        if not copy(package, Path(folder)):
            print(f"{package} is not installed here: run make setup")
            return 2
        (Path(folder) / "pytest.ini").write_text("[pytest]\n")
        options = ["-q", "-rfE", "--timeout=1800", "-p", "no:cacheprovider"]
        options += ["-W", "ignore::DeprecationWarning"]
        options += ["--continue-on-collection-errors", "-o", "addopts="]
        if sys.version_info >= (3, 11):
            options += ["-p", "sim.lava.mends"]
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, *options, *(arguments or ["tests"])],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
            start_new_session=True,
        )
        try:
            return process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """Run the tests of the packages named, or of both."""
    names = [a for a in arguments if a in ("lava-nc", "lava-dl")]
    rest = [a for a in arguments if a not in names]
    version = ".".join(map(str, sys.version_info[:3]))
    codes = []
    for package in names or ["lava-nc", "lava-dl"]:
        release = importlib.metadata.version(package)
        numpy = importlib.metadata.version("numpy")
        print(f"== {package} {release}, Python {version}, numpy {numpy}", flush=True)
        codes.append(run(package, rest))
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
