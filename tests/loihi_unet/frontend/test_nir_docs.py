# SPDX-License-Identifier: BSD-3-Clause
"""docs/nir.md says what the code does, and its page from training to Lava runs."""

import contextlib
import io
import re
import runpy
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from export.netx import read_network
from loihi_unet.cli.main import main
from loihi_unet.frontend.nir.primitives import LINEAR, NEURONS, PRIMITIVES
from loihi_unet.frontend.nir.read import read_graph
from loihi_unet.frontend.nir.restore import restore

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "nir.md").read_text()


def test_the_table_is_what_the_code_prints():
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        runpy.run_path(str(ROOT / "benchmarks" / "nir_table.py"), run_name="__main__")
    assert printed.getvalue() in PAGE


def test_every_primitive_of_nir_has_a_row():
    nir = pytest.importorskip("nir", reason="the extra nir is not installed")
    kinds = {
        name
        for name, value in vars(nir.ir).items()
        if isinstance(value, type) and issubclass(value, nir.NIRNode)
    }
    assert kinds - {"NIRNode"} == set(PRIMITIVES)
    assert kinds > NEURONS | LINEAR


@pytest.mark.lava
def test_from_training_to_lava(tmp_path, monkeypatch, capsys):
    pytest.importorskip("nir", reason="the extra nir is not installed")
    pytest.importorskip("snntorch.export_nir", reason="snntorch is not installed")
    monkeypatch.chdir(tmp_path)
    train, count = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    (commands,) = re.findall(r"```sh\n(.*?)```", PAGE, re.S)
    exec(train, {})
    said = ""
    for line in commands.splitlines():
        monkeypatch.setattr(sys, "argv", shlex.split(line))
        with pytest.raises(SystemExit) as ended:
            main()
        found = capsys.readouterr()
        assert not ended.value.code, f"{line}\n{found.out}{found.err}"
        said += found.out
    assert "EXACT" in said
    assert len(np.load("spikes.npy")) == 100
    exec(count, {})
    assert int(re.search(r"(\d+)% right", capsys.readouterr().out)[1]) >= 85
    network = read_network(Path("net.net"))
    assert restore(read_graph(Path("integers.nir"))).sha256 == network.sha256
