# SPDX-License-Identifier: BSD-3-Clause
"""Run torture tests and keep their counts in docs/reliability.json.

``python -m benchmarks.torture`` runs all with the published counts;
``python -m benchmarks.torture fuzz_net --count 100`` runs one, quickly. What is stopped
goes on from its last counts when it is started again.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.torture.render import render
from benchmarks.torture.result import Result
from export.files.atomic import write_text

ROOT = Path(__file__).parents[2]


def main() -> None:
    if sys.platform != "linux":
        sys.exit("error: the torture tests count in Linux's /proc and run there only")
    from benchmarks.torture.tests import TESTS  # what it imports is Linux's, too

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tests", nargs="*", help=f"of: {', '.join(TESTS)}")
    parser.add_argument("--count", type=int, help="cases of each test")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    arguments = parser.parse_args()
    unknown = set(arguments.tests) - set(TESTS)
    if unknown:
        parser.error(f"no test {', '.join(sorted(unknown))}")
    path = arguments.out / "reliability.json"
    record = json.loads(path.read_text()) if path.exists() else {}
    names = arguments.tests or list(TESTS)
    if len(names) > 1:  # each in a process of its own: none inherits from another
        command = [sys.executable, "-m", "benchmarks.torture", *sys.argv[1:]]
        command = [x for x in command if x not in names]
        codes = [subprocess.run([*command, x], cwd=ROOT).returncode for x in names]
        sys.exit(max(codes))
    failed = 0
    for name in names:
        run, count = TESTS[name]
        count = arguments.count or count
        # A test that is stopped goes on where it was, unless the code has changed.
        keep = arguments.out / f"reliability-{name}-{count}-{_commit()}.partial.json"
        result = Result(name=name, keep=keep)
        run(result, count)
        entry = result.to_json() | {
            "command": f"python -m benchmarks.torture {name} --count {count}",
            "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
            "commit": _commit(),
            "python": platform.python_version(),
        }
        failed += result.failed
        record[name] = entry
        _say(entry)
        record = {key: record[key] for key in TESTS if key in record}
        write_text(path, json.dumps(record, indent=1) + "\n")
        write_text(path.with_suffix(".md"), render(record))
        for partial in arguments.out.glob(f"reliability-{name}-*.partial.json"):
            partial.unlink()
    sys.exit(1 if failed else 0)


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip()


def _say(entry: dict[str, Any]) -> None:
    counts = "tried {tried}, survived {survived}, failed {failed}".format(**entry)
    print(f"{entry['name']}: {counts}, {entry['seconds']} s", flush=True)
    for line in entry["failures"]:
        print(f"  {line}", flush=True)


if __name__ == "__main__":
    main()
