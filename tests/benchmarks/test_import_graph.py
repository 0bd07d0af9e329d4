# SPDX-License-Identifier: BSD-3-Clause
"""Rooms, floors and circles of import graphs drawn by hand."""

from benchmarks.import_graph import circles, floors, lines, rooms

MODULES = {
    "sim.lava.graph": ["sim.lava.tap", "sim.backend", "export.layer"],
    "sim.lava.tap": [],
    "sim.backend": ["sim.recording"],
    "sim.recording": [],
    "sim": ["sim.backend"],
    "export.layer": [],
}


def test_a_room_stands_above_what_it_imports():
    edges = rooms(MODULES, "sim")
    assert edges == {"lava": {"backend"}, "backend": {"recording"}, "recording": set()}
    assert floors(edges) == [["recording"], ["backend"], ["lava"]]
    assert circles(edges) == []


def test_a_circle_shares_a_floor_and_is_counted():
    edges = rooms({**MODULES, "sim.recording": ["sim.lava.tap"]}, "sim")
    assert circles(edges) == [{"lava", "backend", "recording"}]
    assert floors(edges) == [["backend", "lava", "recording"]]
    page = lines(MODULES, {**MODULES, "sim.recording": ["sim.lava.tap"]})
    assert "| sim | 0.1.0 | 4 | 3 | 2 | 3 | 0 |" in page
    assert "| sim | today | 4 | 3 | 3 | 1 | 3 |" in page
