# SPDX-License-Identifier: BSD-3-Clause
"""What makes the pages of `make docs`: every page has a place, none loads from afar."""

import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def pages():
    found = [*DOCS.rglob("*.md"), *DOCS.rglob("*.ipynb")]
    return {path.relative_to(DOCS).as_posix() for path in found}


def test_every_page_has_a_place():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = re.findall(r"[\w./-]+\.(?:md|ipynb)", text[text.index("\nnav:") :])
    assert len(named) == len(set(named))
    made = {"index.md", "contributing.md", "changelog.md"}
    assert set(named) == pages() | made


@pytest.fixture
def hook():
    pytest.importorskip("mkdocs")
    path = ROOT / ".ci" / "docs_hook.py"
    spec = importlib.util.spec_from_file_location("docs_hook", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGE = SimpleNamespace(file=SimpleNamespace(src_uri="notebooks/a.ipynb"))


@pytest.mark.parametrize(
    "tag",
    [
        '<script src="https://cdn/x.js"></script>',
        "<img alt='a' src='//cdn/x.png'>",
        '<link rel="stylesheet" href="https://cdn/x.css">',
        '<link href="https://cdn/x.css" rel="stylesheet">',
    ],
)
def test_what_comes_from_elsewhere_is_refused(hook, tag):
    with pytest.raises(Exception, match=r"notebooks/a.ipynb: loads <"):
        hook.on_post_page(f"<p>{tag}</p>", page=PAGE)


def test_links_and_own_files_are_not(hook):
    html = '<a href="https://arxiv.org">x</a><img src="demo.png">'
    assert hook.on_post_page(html, page=PAGE) == html
    engine = '<script src="https://cdnjs/mathjax/latest.js?a=b"></script>'
    assert hook.on_page_content(f"<p>{engine}</p>", page=PAGE) == "<p></p>"


def test_pages_of_the_root_link_to_pages(hook, monkeypatch):
    made = {}
    keep = SimpleNamespace(
        generated=lambda _, place, content: made.update({place: content})
    )
    monkeypatch.setattr(hook, "File", keep)
    hook.on_files([], None)
    assert set(made) == set(hook.PAGES.values())
    for place, text in made.items():
        for link in re.findall(r"\]\(([^):#\s]+\.md)", text):
            assert link in pages() | set(made), (place, link)
