# SPDX-License-Identifier: BSD-3-Clause
"""Every printed cell is on a page, and none of ours stands beside another's."""

import re
from pathlib import Path

import pytest

from loihi_unet.reproduce import paper

DOCS = Path(__file__).parents[3] / "docs"
TABLES = (
    ("table1", paper.DENOISING),
    ("table2", paper.SEGMENTATION),
    ("../results", paper.DENOISING),
    ("../results", paper.SEGMENTATION),
)


@pytest.mark.parametrize(("page", "printed"), TABLES)
def test_every_cell_is_shown(page, printed):
    text = (DOCS / "reproduce" / f"{page}.md").read_text()
    for key, line in printed.items():
        cells = line.split()
        assert len(cells) == len(paper.SYSTEMS)
        # On a page of its own, a system that the paper does not have has no column.
        alone = page != "../results"
        shown = [c for c in cells if c != "-"] if alone else cells
        assert " | ".join(shown) in text, key


def test_cells_by_hand():
    drive = paper.SEGMENTATION["DRIVE", 10, "F1"]
    assert paper.cell(drive, "U-Net", "ANN") == ".806"
    assert paper.cell(drive, "Spiking-FCN", "DT") == ".710"
    assert paper.cell(drive, "RS", "FT") == ".771"
    assert paper.cell(drive, "MT", "flow") == paper.cell(drive, "MT", "FT") == ".794"
    assert paper.cell(drive, "IF", "DT") == paper.NO_CELL
    assert paper.cell(paper.DENOISING["BSD68", 10, "PSNR", 25], "MT", "DT") == "25.06"


def test_other_tables():
    table3, table4, table5 = (
        (DOCS / "reproduce" / f"table{n}.md").read_text() for n in (3, 4, 5)
    )
    for cells in (paper.ABLATION.values(), paper.ABLATION_REST):
        assert all(cell in table3 for cell in cells)
    assert paper.ABLATION_FIRST in table3
    for values, score in paper.THRESHOLDS.items():
        sets = ", ".join(f"{value:g}" for value in values)
        assert f"| {len(values)} | {sets} | {score} |" in table4
    assert all(f"| {' | '.join(row)} |" in table5 for row in paper.ENERGY)
    # Beside ours, only the same set: 2, 1, 0.25 is nobody's.
    assert re.search(r"\| 2, 1, 0.5, 0.25 \|.*\| \.651 \|", table4)
    assert re.search(r"\| 2, 1, 0.25 \|.*\| - \|", table4)


def test_nothing_is_left_unsaid():
    pages = [*(DOCS / "reproduce").glob("*.md"), DOCS / "reproduce.md"]
    assert not [page.name for page in pages if "not reached" in page.read_text()]
