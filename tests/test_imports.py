# SPDX-License-Identifier: BSD-3-Clause
"""What imports what, and that `export` and `sim` are this project's."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.netx import write_network
from sim.selftest import small_network

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


def test_simulate_imports_nothing_that_only_scores_or_draws(tmp_path):
    """Each of these takes from a tenth of a second to two."""
    write_network(small_network(), tmp_path / "a.net")
    Image.fromarray(np.full((8, 8), 99, np.uint8)).save(tmp_path / "a.png")
    files = str(tmp_path / "a.net"), str(tmp_path / "a.png")
    arguments = ["loihi-unet", "simulate", *files, "--out", str(tmp_path / "a.h5")]
    modules = imported_by(
        "import contextlib, io\n"
        "from loihi_unet.cli.main import main\n"
        f"sys.argv = {arguments!r}\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    with contextlib.suppress(SystemExit):\n"
        "        main()"
    )
    assert (tmp_path / "a.h5").exists()
    assert "torch" in modules  # it ran here
    heavy = {"scipy", "skimage.metrics", "matplotlib", "tifffile", "torchmetrics"}
    heavy |= {"torch._dynamo", "torch._inductor", "sympy", "lava", "jinja2"}
    assert not modules & heavy


def imports_of(folder):
    """Top-level names that any module below a folder imports, with the modules."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for name in names:
                yield name.split(".")[0], path.relative_to(ROOT).as_posix()


def test_no_torch_in_export():
    assert {path for name, path in imports_of(ROOT / "export") if name == "torch"} == (
        set()
    )


#: Where backends, files and commands part, and where an argument's type is checked.
ASK_FOR_STOCK = {
    "export/netx/write.py",
    "loihi_unet/cli/simulate.py",
    "loihi_unet/cli/verify.py",
    "loihi_unet/frontend/nir/write.py",
    "loihi_unet/runs/video.py",
    "sim/base.py",
    "sim/lava/dropin/network.py",
    "sim/lava/stock_graph.py",
}


def test_stock_networks_are_told_apart_in_few_places():
    """Everything else asks the network, e.g. whether it runs `in_windows`."""
    asking = {
        path.relative_to(ROOT).as_posix()
        for package in ("export", "sim", "loihi_unet")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance"
        if "StockNetwork" in ast.unparse(node.args[1])
    }
    assert asking == ASK_FOR_STOCK


@pytest.mark.parametrize("library", ["lava", "torch"])
def test_a_library_has_one_room_in_sim(library):
    users = {path for name, path in imports_of(ROOT / "sim") if name == library}
    assert users  # a check that found nothing would pass for ever
    assert {path for path in users if not path.startswith(f"sim/{library}/")} == set()


def test_no_lava_in_loihi_unet():
    users = {path for name, path in imports_of(ROOT / "loihi_unet") if name == "lava"}
    # doctor says which Lava is here.
    assert users <= {"loihi_unet/runs/doctor.py"}


@pytest.mark.parametrize("name", ["export", "sim", "loihi_unet"])
def test_packages_are_this_project(name):
    module = __import__(name)
    assert Path(module.__file__).parent == ROOT / name
