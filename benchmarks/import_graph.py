# SPDX-License-Identifier: BSD-3-Clause
"""The import graph of version 0.1.0 and of today: docs/import_graph.md.

``python benchmarks/import_graph.py`` reads the packages with grimp, which import-linter
stands on and installs; 0.1.0 comes out of git.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from collections import defaultdict
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("loihi_unet", "sim", "export")
#: The commit of version 0.1.0.
BEFORE = "2fbb99f"
Edges = dict[str, set[str]]


def main() -> None:
    """Write the page, or with ``--count`` print the graph of the current folder."""
    if sys.argv[1:] == ["--count"]:
        print(json.dumps(graph()))
        return
    with tempfile.TemporaryDirectory() as folder:
        command = ["git", "archive", BEFORE, *PACKAGES]
        archive = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        with tarfile.open(fileobj=BytesIO(archive.stdout)) as tar:
            tar.extractall(folder, filter="data")
        before, now = _counted(Path(folder)), _counted(ROOT)
    page = ROOT / "docs" / "import_graph.md"
    page.write_text("\n".join(lines(before, now)) + "\n", encoding="utf-8")


def _counted(tree: Path) -> dict[str, list[str]]:
    # Each in a process of its own: two trees have packages of the same names.
    command = [sys.executable, str(Path(__file__).resolve()), "--count"]
    done = subprocess.run(command, cwd=tree, check=True, capture_output=True)
    imports: dict[str, list[str]] = json.loads(done.stdout)
    return imports


def graph() -> dict[str, list[str]]:
    """Return what every module of the current folder's packages imports.

    Returns
    -------
    dict[str, list[str]]
        Without what only a type checker reads: the faces load lazily.
    """
    import grimp

    sys.path.insert(0, str(Path.cwd()))
    imports = grimp.build_graph(
        *PACKAGES, exclude_type_checking_imports=True, cache_dir=None
    )
    return {
        module: sorted(imports.find_modules_directly_imported_by(module))
        for module in sorted(imports.modules)
    }


def rooms(modules: dict[str, list[str]], package: str) -> Edges:
    """Return which room of a package imports which.

    A room is a folder, or a file beside the folders: what one sees on opening it.
    """

    def room(module: str) -> str | None:
        parts = module.split(".")
        inside = parts[0] == package and len(parts) > 1 and parts[1] != "__main__"
        return parts[1] if inside else None

    edges: Edges = {}
    for module, imported in modules.items():
        if (home := room(module)) is not None:
            others = {room(other) for other in imported} - {None, home}
            edges.setdefault(home, set()).update(o for o in others if o)
    return edges


def circles(edges: Edges) -> list[set[str]]:
    """Return sets of rooms that reach each other."""
    reach = {room: _reached(edges, room) for room in edges}
    distinct = []
    for room in sorted(edges):
        circle = {other for other in reach[room] if room in reach[other]}
        if circle and circle not in distinct:
            distinct.append(circle)
    return distinct


def _reached(edges: Edges, start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for other in edges[waiting.pop()] - seen:
            seen.add(other)
            waiting.append(other)
    return seen


def floors(edges: Edges) -> list[list[str]]:
    """Return rooms by floor, the lowest first; rooms of a circle share theirs."""
    together = {room: {room} for room in edges}
    for circle in circles(edges):
        together |= dict.fromkeys(circle, circle)
    floor: dict[str, int] = {}

    def of(room: str) -> int:
        if room not in floor:
            below = {o for r in together[room] for o in edges[r]} - together[room]
            value = 1 + max((of(other) for other in below), default=-1)
            floor.update(dict.fromkeys(together[room], value))
        return floor[room]

    by_floor: dict[int, list[str]] = defaultdict(list)
    for room in sorted(edges):
        by_floor[of(room)].append(room)
    return [by_floor[number] for number in sorted(by_floor)]


def lines(before: dict[str, list[str]], now: dict[str, list[str]]) -> list[str]:
    """Return the page's lines."""
    text = [
        "# The import graph, before and after",
        "",
        f"Written by `python benchmarks/import_graph.py`, which reads 0.1.0 ({BEFORE}) "
        "and the files of today with grimp. A *room* is a folder of a package, or a "
        "file beside the folders. A room stands one *floor* above the highest that it "
        "imports. Imports inside functions count, those for type checkers alone do "
        "not.",
        "",
        "| package | version | modules | rooms | imports between rooms | floors "
        "| rooms in circles |",
        "|---|---|---|---|---|---|---|",
    ]
    for package in PACKAGES:
        for version, modules in (("0.1.0", before), ("today", now)):
            edges = rooms(modules, package)
            count = sum(name.startswith(f"{package}.") for name in modules)
            imports = sum(map(len, edges.values()))
            caught = sum(map(len, circles(edges)))
            text.append(
                f"| {package} | {version} | {count} | {len(edges)} | {imports} "
                f"| {len(floors(edges))} | {caught} |"
            )
    text += ["", "The rooms of today, the highest floor first:"]
    for package in PACKAGES:
        text += ["", f"| {package} | rooms |", "|---|---|"]
        numbered = list(enumerate(floors(rooms(now, package))))
        text += [
            f"| {number} | {', '.join(f'`{room}`' for room in names)} |"
            for number, names in reversed(numbered)
        ]
    return [
        *text,
        "",
        "Between the packages: "
        + "; ".join(
            f"0.1.0 {_across(before)}" if modules is before else f"today {_across(now)}"
            for modules in (before, now)
        )
        + ".",
    ]


def _across(modules: dict[str, list[str]]) -> str:
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for module, imported in modules.items():
        for other in imported:
            pair = (module.split(".")[0], other.split(".")[0])
            counts[pair] += pair[0] != pair[1]
    return ", ".join(f"{a} -> {b} {n}" for (a, b), n in sorted(counts.items()) if n)


if __name__ == "__main__":
    main()
