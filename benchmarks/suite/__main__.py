# SPDX-License-Identifier: BSD-3-Clause
"""Run the suite and write docs/suite.json and docs/suite.md: ``make suite``.

``python -m benchmarks.suite FPN DnCNN`` runs these anew and keeps the others.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.suite.render import render
from benchmarks.suite.run import run_subject
from benchmarks.suite.subjects import SUBJECTS
from export.files.atomic import write_text

ROOT = Path(__file__).parents[2]
BACKENDS = ("reference", "torch", "lava")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of: {', '.join(SUBJECTS)}")
    parser.add_argument("--backends", nargs="*", default=BACKENDS)
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(SUBJECTS)
    if unknown:
        parser.error(f"no network {', '.join(sorted(unknown))}")
    path = ROOT / "docs" / "suite.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name in arguments.names or SUBJECTS:
        known[name] = run_subject(SUBJECTS[name], tuple(arguments.backends))
        print(name, json.dumps(known[name].get("exact", known[name].get("refused"))))
        record: dict[str, Any] = {n: known[n] for n in SUBJECTS if n in known}
        write_text(path, json.dumps(record, indent=1) + "\n")
        write_text(path.with_suffix(".md"), render(record))


if __name__ == "__main__":
    main()
