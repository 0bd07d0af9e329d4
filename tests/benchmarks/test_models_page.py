# SPDX-License-Identifier: BSD-3-Clause
"""docs/models.md and docs/boards.md are what the shipped files give now."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pages():
    """The two scripts, which import each other's helpers as scripts do."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    import boards_page
    import models_page

    yield {"models": models_page, "boards": boards_page}
    sys.path.remove(str(ROOT / "benchmarks"))


@pytest.mark.parametrize("name", ["models", "boards"])
def test_page_is_what_ships(pages, name):
    assert (ROOT / "docs" / f"{name}.md").read_text() == pages[name].page()


def test_a_row_of_other_integers_is_no_score_of_this_model(
    pages, monkeypatch, tmp_path
):
    import shipped_models

    rows = json.loads(shipped_models.RESULTS.read_text())
    first = shipped_models.all_shipped()[0]
    ours = first.rows
    assert first.headline != "-"
    for row in rows:
        row["network_sha256"] = row["network_sha256"][::-1]
        row.pop("network_sha256_any_size", None)
    (tmp_path / "results.json").write_text(json.dumps(rows))
    monkeypatch.setattr(shipped_models, "RESULTS", tmp_path / "results.json")
    other = shipped_models.Shipped(first.name)
    assert ours
    assert not other.rows
    assert other.headline == "-"
    assert "No score" in "\n".join(pages["models"]._scores(other))


def test_every_data_set_has_a_licence(pages):
    import shipped_models

    names = {model.recipe["data"]["name"] for model in shipped_models.all_shipped()}
    assert names <= set(pages["models"].LICENCES)
