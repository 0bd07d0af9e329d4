# SPDX-License-Identifier: BSD-3-Clause
"""docs/reliability.md from docs/reliability.json."""

from __future__ import annotations

from typing import Any

HEAD = """# Reliability

Every number here was counted by `make torture`; this page is rendered from
[reliability.json](reliability.json). A failure is listed with its first examples.

- Case n of a test is the same in every run. A test that is stopped goes on from its
  last counts, as long as the commit is the same. Commits that this repository does not
  know are of before its first one.
- A hang is 10 s of processor time: the machine may have other work. A worker that
  says nothing for two minutes of wall clock counts as one too.
- Seconds are wall clock of a busy machine; they say what a repetition costs and
  nothing about speed.

| test | tried | survived | failed | seconds |
|---|---:|---:|---:|---:|
"""


def render(record: dict[str, Any]) -> str:
    """Markdown of all entries, in order."""
    rows = [
        f"| [{name}](#{name}) | {e['tried']:,} | {e['survived']:,} | {e['failed']:,} "
        f"| {e['seconds']:,} |"
        for name, e in record.items()
    ]
    total = [sum(e[key] for e in record.values()) for key in COUNTS]
    rows.append(f"| all | {total[0]:,} | {total[1]:,} | {total[2]:,} | |")
    return HEAD + "\n".join(rows) + "\n" + "".join(map(_section, record.values()))


COUNTS = ("tried", "survived", "failed")


def _section(entry: dict[str, Any]) -> str:
    what = entry["what"]
    lines = [f"\n## {entry['name']}\n", f"{what[0].upper()}{what[1:]}.\n"]
    lines.append(
        f"`{entry['command']}`, {entry['date']}, commit {entry['commit']}, "
        f"Python {entry['python']}.\n"
    )
    lines += [f"- {outcome}: {n:,}" for outcome, n in entry["outcomes"].items()]
    for key, value in entry["notes"].items():
        lines.append(f"- {key.replace('_', ' ')}: {_shown(value)}")
    lines += [f"- FAILED {example}" for example in entry["failures"]]
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return str(value)
