# SPDX-License-Identifier: BSD-3-Clause
"""``doctor``."""

from __future__ import annotations

import typer

from loihi_unet.cli.console import JsonOption, print_json, print_table


def doctor(as_json: JsonOption = False) -> None:
    """Check Python, torch, CUDA, Lava and shared memory, and say what to do.

    Exit code 0 if training, export and the torch backend work here, else 1.

    Example: loihi-unet doctor --json
    """
    from dataclasses import asdict

    from loihi_unet.runs.doctor import checks

    results = checks()
    ok = all(result.state != "broken" for result in results)
    if as_json:
        print_json({"ok": ok, "checks": [asdict(result) for result in results]})
    else:
        colours = {"ok": "green", "missing": "yellow", "broken": "red"}
        rows = [
            [r.what, f"[{colours[r.state]}]{r.state}[/]", r.found, r.advice]
            for r in results
        ]
        print_table("doctor", ["what", "state", "found", "advice"], rows)
    raise typer.Exit(0 if ok else 1)
