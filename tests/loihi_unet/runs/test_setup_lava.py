# SPDX-License-Identifier: BSD-3-Clause
"""Setting up: what cannot work is one line, and says what to do."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from loihi_unet.runs import setup_lava
from loihi_unet.runs.setup_lava import SetupError, check_python

ROOT = Path(__file__).parents[3]
# pip finds nothing, as where no registry is in reach.
NO_REGISTRY = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}


@pytest.mark.parametrize("version", [(3, 9), (3, 14), (2, 7)])
def test_pythons_outside_of_the_range(version):
    found = ".".join(map(str, version))
    with pytest.raises(SetupError, match=rf"Python {found}: .* 3\.10 to 3\.13"):
        check_python(version)


def test_range_is_one():
    script = runpy.run_path(str(ROOT / ".ci" / "set_up.py"))
    project = (ROOT / "pyproject.toml").read_text()
    named = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project)
    for oldest, newest in (
        (setup_lava.OLDEST, setup_lava.NEWEST),
        (script["OLDEST"], script["NEWEST"]),
    ):
        minors = range(oldest[1], newest[1] + 1)
        assert named == [f"3.{minor}" for minor in minors]


def test_no_registry(monkeypatch):
    for name, value in NO_REGISTRY.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SetupError, match=r"could not install Lava .*lava-nc.*registry"):
        setup_lava.setup_lava()


def test_no_pip(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SetupError, match="no pip: run 'python -m ensurepip'"):
        setup_lava.setup_lava()


def test_what_cannot_be_imported_is_named(monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "Trace\nImportError: no asteval\n")
    done = subprocess.CompletedProcess([], 0, "", "")
    answers = iter([done, failed])
    monkeypatch.setattr(setup_lava, "_python", lambda *arguments: next(answers))
    with pytest.raises(SetupError, match=r"ImportError: no asteval.*\[lava\]"):
        setup_lava.setup_lava()


def test_environment_without_registry_is_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "set_up.py", tmp_path / "env"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | NO_REGISTRY,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "failed: ERROR: " in done.stderr
    assert "does pip reach its registry" in done.stderr
