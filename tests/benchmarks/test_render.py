# SPDX-License-Identifier: BSD-3-Clause
"""docs/performance.md says what benchmarks/results.json holds."""

import json
from pathlib import Path

import pytest

from benchmarks import render

ROOT = Path(__file__).parents[2]


@pytest.fixture
def results():
    return json.loads((ROOT / "benchmarks" / "results.json").read_text())


def test_page_is_that_of_the_results(results):
    assert (ROOT / "docs" / "performance.md").read_text() == render.page(results)


def test_one_inexact_configuration_shows(results):
    assert all(render.verdicts(results))
    results["forwards"][1]["exact"]["identical"] = False
    assert "NOT EXACT" in render.page(results)


def test_order_of_growth():
    assert render.order([{"x": x, "seconds": 3 * x**2} for x in (1, 2, 5)]) == (
        pytest.approx(2)
    )


def test_plot(tmp_path):
    points = [{"x": x, "seconds": 0.1 * x} for x in (5, 10)]
    render.plot("T", points, tmp_path / "T.png")
    assert (tmp_path / "T.png").read_bytes().startswith(b"\x89PNG")
