# SPDX-License-Identifier: BSD-3-Clause
"""docs/reproduce/ is what its rows give, and no row names a private path."""

import json
from pathlib import Path

import pytest

from loihi_unet.reproduce.run import TARGETS, write_page

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("target", TARGETS)
def test_page_is_rendered_from_its_rows(target, tmp_path):
    record = json.loads((DOCS / "reproduce" / f"{target}.json").read_text())
    page = tmp_path / f"{target}.md"
    write_page(record, page)
    assert page.read_text() == (DOCS / "reproduce" / f"{target}.md").read_text()
    assert record["command"] == f"loihi-unet reproduce {target}"
    assert f"[{target}](reproduce/{target}.md)" in (DOCS / "reproduce.md").read_text()
    picture = DOCS / "reproduce" / f"{target}.png"
    assert picture.is_file() == page.with_suffix(".png").is_file()
