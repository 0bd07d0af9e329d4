# SPDX-License-Identifier: BSD-3-Clause
"""``selftest`` and ``probes``: for those who have a chip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loihi_unet.cli.console import JsonOption, out, print_json, print_table

FolderOption = Annotated[
    Path | None, typer.Option("--out", help="Folder to write, made if missing.")
]


def selftest(
    folder: Annotated[
        Path, typer.Option("--out", help="Folder to write, made if missing.")
    ] = Path("runs/selftest"),
    as_json: JsonOption = False,
) -> None:
    """Write a small network, its inputs and what a chip has to send for them.

    The folder's README.md says how to run it, how to fill in the template for a dump,
    and how to compare.

    Example: loihi-unet selftest --out kit
    """
    from loihi_unet.kit.selftest import write_selftest

    record = write_selftest(folder)
    if as_json:
        print_json(record)
        return
    for line in (
        f"wrote {', '.join(record['files'])} to {folder}",
        f"instructions: {folder / 'README.md'}",
        f"when chip.h5 is filled in: {record['verify']}",
    ):
        out.print(line, soft_wrap=True, markup=False, highlight=False)


def probes(
    answers: Annotated[
        Path | None,
        typer.Argument(help="What a chip recorded (.npz); without it: --out."),
    ] = None,
    folder: FolderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write questions that only a chip can answer, or read its answers.

    Each question is a tiny network whose possible recordings differ, so that one run
    answers it. Exit code 0 if the chip does everything as this project's backends do,
    1 if it does not or was not asked everything.

    Example: loihi-unet probes --out probes; loihi-unet probes probes/answers.npz
    """
    if (answers is None) == (folder is None):
        raise typer.BadParameter("a chip's answers are needed, or --out to ask it")
    if folder is not None:
        from loihi_unet.kit.probes import write_probes

        record = write_probes(folder)
        if as_json:
            print_json(record)
            return
        for line in (
            f"wrote {len(record['probes'])} probes to {folder}",
            f"instructions: {folder / 'README.md'}",
            f"when answers.npz is filled in: {record['read']}",
        ):
            out.print(line, soft_wrap=True, markup=False, highlight=False)
        return
    from loihi_unet.kit.probes import read_answers

    assert answers is not None  # one of the two is given
    findings = read_answers(answers)
    same = all(finding.state == "as simulated" for finding in findings)
    if as_json:
        record = {"as_simulated": same, "probes": [f.to_json() for f in findings]}
        print_json(record)
    else:
        rows = [[f.probe.name, f.state, f.text] for f in findings]
        print_table(f"{answers}", ["question", "the chip does", "answer"], rows)
        for finding in findings:
            if finding.then:
                line = f"{finding.probe.name}: {finding.then}"
                out.print(line, soft_wrap=True, markup=False, highlight=False)
    raise typer.Exit(0 if same else 1)
