# SPDX-License-Identifier: BSD-3-Clause
"""Strangers' networks: six in `make test`, all twenty in `make check`."""

import json

import pytest

from benchmarks.suite.__main__ import ROOT
from benchmarks.suite.render import render
from benchmarks.suite.run import run_subject
from benchmarks.suite.subjects import SUBJECTS

SIX = ["FPN", "MobileNetV2", "FFDNet", "classifier", "two branches", "SegNet"]


@pytest.mark.parametrize("name", SIX)
def test_a_network_of_the_suite(name):
    found = run_subject(SUBJECTS[name], ("reference", "torch"))
    if SUBJECTS[name].refused:
        assert SUBJECTS[name].refused in found["refused"]
        return
    assert found["limit"] < 1e-2
    assert found["exact"] == {"torch": True}
    for stage in found["stages"]:
        assert stage["correlation"] > 0.95, stage


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SUBJECTS)
def test_every_network_of_the_suite(name):
    found = run_subject(SUBJECTS[name], ("reference", "torch", "lava"))
    if SUBJECTS[name].refused:
        assert SUBJECTS[name].refused in found["refused"]
        return
    assert found["exact"] == {"torch": True, "lava": True}
    replaced, spiking, integers = (s["correlation"] for s in found["stages"])
    assert min(replaced, spiking, integers) > 0.7
    if "limit" in found:  # faithful in everything
        assert found["limit"] < 1e-2
        assert spiking > 0.99


def test_the_page_shows_what_was_measured():
    record = json.loads((ROOT / "docs" / "suite.json").read_text(encoding="utf-8"))
    assert render(record) == (ROOT / "docs" / "suite.md").read_text(encoding="utf-8")
    assert set(record) == set(SUBJECTS)
    assert sum("refused" not in entry for entry in record.values()) >= 16
    for name, entry in record.items():
        assert bool(SUBJECTS[name].refused) == ("refused" in entry)
        assert all(entry.get("exact", {}).values()), name
        assert entry.get("limit", 0) < 1e-2, name
