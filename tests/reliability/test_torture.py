# SPDX-License-Identifier: BSD-3-Clause
"""Every torture test, with few cases: `make torture` runs the published counts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.torture.render import render
from benchmarks.torture.worker import judge
from export.errors import UserError

ROOT = Path(__file__).parents[2]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="counts in Linux's /proc")
LAVA = pytest.mark.lava


@LINUX
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("fuzz_net", 150),
        ("fuzz_stock", 100),
        ("fuzz_checkpoint", 40),
        ("fuzz_spiking", 40),
        ("fuzz_sigma_delta", 40),
        ("fuzz_config", 40),
        ("fuzz_recording", 60),
        ("fuzz_picture", 40),
        ("kill_export", 8),
        ("kill_training", 2),
        pytest.param("kill_lava", 2, marks=LAVA),
        ("disk", 15),
        ("overflow", 12),
        ("stock", 40),
        ("sigma_delta", 12),
        ("int8_geometry", 150),
        ("int8_geometry_avx2", 150),
        ("determinism", 1),
        ("security", 12),
    ],
)
def test_survives(tmp_path, name, count):
    command = ["-m", "benchmarks.torture", name, "--count", str(count)]
    done = subprocess.run(
        [sys.executable, *command, "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / "reliability.json").read_text())[name]
    assert record["tried"] == record["survived"] >= count
    assert f"## {name}" in (tmp_path / "reliability.md").read_text()


def test_published_counts_are_rendered():
    record = json.loads((ROOT / "docs" / "reliability.json").read_text())
    assert render(record) == (ROOT / "docs" / "reliability.md").read_text()
    assert record["fuzz_net"]["tried"] >= 20000


def test_a_failure_is_counted():
    def broken(_):
        raise KeyError("x")

    def refuses(_):
        raise UserError("a\nb")

    assert judge(broken, Path("x")) == (False, "KeyError", "KeyError('x')")
    assert judge(refuses, Path("x"))[:2] == (True, "one line of UserError")
    assert judge(lambda _: 1, Path("x")) == (True, "accepted: valid", "")
