# SPDX-License-Identifier: BSD-3-Clause
"""What imports what, and that `export` and `sim` are this project's."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def imported_by(statement):
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import export.network, export.netx, export.quantize",
        "import sim.reference.simulator, sim.recording_file, sim.verify.comparison",
        "import export.images",
        "import sim.backend, sim.selftest",
    ],
)
def test_contract_and_judge_need_numpy_and_h5py_only(statement):
    modules = imported_by(statement)
    assert not modules & {"torch", "lava", "skimage", "matplotlib"}


def test_command_line_starts_without_heavy_imports():
    modules = imported_by("import loihi_unet.cli.main")
    assert not modules & {"torch", "lava", "numpy", "h5py", "skimage", "pydantic"}


@pytest.mark.parametrize("name", ["export", "sim", "loihi_unet"])
def test_packages_are_this_project(name):
    module = __import__(name)
    assert Path(module.__file__).parent == ROOT / name
