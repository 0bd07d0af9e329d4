# SPDX-License-Identifier: BSD-3-Clause
"""CONTRIBUTING's recipes name files that exist, and mypy lists the rest of them."""

import ast
import re
from pathlib import Path

import pytest

from export.compartment import Compartment
from export.stock_compartment import StockCompartment
from export.synapse import StockSynapse, Synapse
from loihi_unet.config import (
    ClassifyConfig,
    DenoiseConfig,
    RestoreConfig,
    SegmentConfig,
)

Task = DenoiseConfig | SegmentConfig | RestoreConfig | ClassifyConfig
ROOT = Path(__file__).parents[1]
PACKAGES = ("export", "sim", "loihi_unet")
KINDS = {
    kind.__name__
    for union in (Synapse, StockSynapse, Compartment, StockCompartment, Task)
    for kind in union.__args__
}
PAGES = {
    page: (ROOT / page).read_text()
    for page in ("CONTRIBUTING.md", "docs/add-a-backend.md", "docs/vocabulary.md")
}


def recipes():
    """Title and text of every section of CONTRIBUTING that tells how to add a thing."""
    _, *parts = re.split(r"^## (Adding .*)$", PAGES["CONTRIBUTING.md"], flags=re.M)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def named(text):
    """Files and folders that a text names: what has a slash or a suffix."""
    code = re.findall(r"`([^`\s]+)`", text)
    return {c.rstrip("/") for c in code if re.fullmatch(r"[\w./-]+/[\w./-]*", c)}


def test_there_is_a_recipe_for_everything_that_grows():
    titles = " ".join(recipes()).lower()
    things = ("layer kind", "compartment", "backend", "chip", "network", "data set")
    assert [thing for thing in things if thing not in titles] == []


@pytest.mark.parametrize("title", recipes())
def test_a_recipe_names_files_that_exist(title):
    files = named(recipes()[title])
    assert files
    assert {file for file in files if not (ROOT / file).exists()} == set()


@pytest.mark.parametrize("page", PAGES)
def test_modules_and_names_that_pages_mention_exist(page):
    """``sim.backend.BACKENDS`` is a module of this project and a name in it."""
    wrong = set()
    for dotted in re.findall(r"`((?:export|sim|loihi_unet)(?:\.\w+)+)`", PAGES[page]):
        *parts, last = dotted.split(".")
        whole = ROOT.joinpath(*parts, last)
        if whole.is_dir() or whole.with_suffix(".py").exists():
            continue
        module = ROOT.joinpath(*parts)
        file = module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
        if not file.exists() or not re.search(rf"\b{last}\b", file.read_text()):
            wrong.add(dotted)
    assert wrong == set()


def matches():
    """Every ``match`` over kinds of synapses, compartments, tasks, and where it is."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                # A match of one case is an `if` that takes apart what it finds.
                if isinstance(node, ast.Match) and len(node.cases) > 1:
                    if not classes(node) & KINDS:
                        continue
                    yield f"{path.relative_to(ROOT).as_posix()}:{node.lineno}", node


def classes(match):
    return {
        node.cls.id
        for case in match.cases
        for node in ast.walk(case.pattern)
        if isinstance(node, ast.MatchClass) and isinstance(node.cls, ast.Name)
    }


def ends_in_assert_never(match):
    """Whether a kind that no case names is found by mypy, or refused by name."""
    last = match.cases[-1]
    (statement, *more) = last.body
    return (
        isinstance(last.pattern, ast.MatchAs)
        and last.pattern.pattern is None
        and not more
        and ast.unparse(statement).startswith(("assert_never(", "raise NetworkError"))
    )


def test_mypy_lists_every_match_that_has_to_learn_a_kind():
    found = dict(matches())
    assert len(found) > 10  # a check that found nothing would pass for ever
    lax = [where for where, node in found.items() if not ends_in_assert_never(node)]
    assert lax == []
