# SPDX-License-Identifier: BSD-3-Clause
"""docs/results.md is what its rows give, and no row names a private path."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_page_is_rendered_from_its_rows(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "docs" / "reproduce").mkdir(parents=True)
    names = ("render_results", "results_plot", "rankings")
    scripts = [f"benchmarks/{name}.py" for name in names]
    tables = ("table1", "table2", "table3", "spiden")
    records = (f"docs/reproduce/{name}.json" for name in tables)
    for name in (*scripts, "docs/results.json", "docs/curves.json", *records):
        (tmp_path / name).write_text((ROOT / name).read_text())
    script = tmp_path / "benchmarks" / "render_results.py"
    subprocess.run([sys.executable, script], check=True)
    page = (tmp_path / "docs" / "results.md").read_text()
    assert page == (ROOT / "docs" / "results.md").read_text()
    rows = json.loads((ROOT / "docs" / "results.json").read_text())
    assert rows
    for row in rows:
        assert row["command"].startswith("loihi-unet evaluate ")
        assert " /" not in row["command"]
        chip = row["chip"]
        shown = f"{chip['psnr']:.2f}" if "psnr" in chip else f"{chip['accuracy']:.3f}"
        assert shown in page
