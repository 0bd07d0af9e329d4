# SPDX-License-Identifier: BSD-3-Clause
"""Terminal output shared by the commands."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from loihi_unet.plural import counted

if TYPE_CHECKING:
    from export.network import Network
    from export.netx import StockOptions

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object instead of a table.")
]

SchedulerOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Dask cluster to run on, e.g. tcp://10.0.0.1:8786; default: here.",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Processes here, at most; default: as many as cores and memory allow.",
    ),
]


def backend_names() -> list[str]:
    """Backends, for the shell's completion."""
    from sim.backend import names

    return names()


def config_names() -> list[str]:
    """Named configurations, for the help and the shell's completion."""
    folder = resources.files("loihi_unet") / "configs"  # quicker than to import them
    names = (entry.name for entry in folder.iterdir())
    return sorted(
        name.removesuffix(".toml") for name in names if name.endswith(".toml")
    )


#: For the help of options that name one; `sim.backend.BACKENDS` has them.
BACKENDS = "reference, torch, cuda, lava, lava-stock, or module:Class of your own"
#: As `export.fit.systems.SYSTEMS` has them.
SYSTEMS = (
    "kapoho-bay, nahuku, pohoiki-springs (loihi1); "
    "oheo-gulch, kapoho-point, vpx, hala-point (loihi2)"
)

NetworkArgument = Annotated[
    Path,
    typer.Argument(
        metavar="NETWORK",
        help="netx file (.net), or name of a shipped network.",
    ),
]
BackendOption = Annotated[
    str,
    typer.Option(
        help=f"{BACKENDS}.",
        autocompletion=backend_names,
    ),
]
WhiteLevelOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Value that is white in pictures of more than 8 bits a channel; default: "
        "the maximum that the file states, else 2**bits - 1.",
    ),
]
LabelColoursOption = Annotated[
    Path | None,
    typer.Option(
        help="Classes of the colours of label pictures: a file of lines "
        "red,green,blue,class; default: CamVid's for CamSeq01.",
    ),
]
SeedOption = Annotated[int, typer.Option(help="Seed of the noise.", min=0)]
ReportOption = Annotated[
    Path | None,
    typer.Option(help="Folder for report.html, report.json and pictures."),
]

# Results go to stdout, progress to stderr, so that --json can be piped.
# In a pipe there is no width to wrap at.
out = Console(width=None if sys.stdout.isatty() else 160)
err = Console(stderr=True)


def say_shipped(source: Path) -> None:
    """Say on stderr at which size a network that came by its name is made."""
    from loihi_unet.runs.network_source import SHIPPED_SIZE, is_shipped

    if is_shipped(source):
        height, width = SHIPPED_SIZE
        err.print(
            f"{source}: shipped network, exported at {height}x{width}; pictures run "
            "at their own size",
            soft_wrap=True,
            markup=False,
            highlight=False,
        )


def open_network(source: Path, stock: StockOptions | None = None) -> Network:
    """Read a network file or a shipped network, and say which."""
    from loihi_unet.runs.network_source import load_network

    say_shipped(source)
    return load_network(source, stock)


def print_json(record: dict[str, Any]) -> None:
    """Print one JSON object on stdout."""
    typer.echo(json.dumps(record, indent=2, sort_keys=True))


def print_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Print a table; columns whose cells are all numbers are right-aligned."""
    # A title wraps at the table's width, which may be less than that of a path.
    out.print(title, soft_wrap=True)
    result = Table()
    for index, column in enumerate(columns):
        numeric = all(isinstance(row[index], int | float) for row in rows)
        result.add_column(column, justify="right" if numeric else "left")
    for row in rows:
        result.add_row(*(_cell(value) for value in row))
    out.print(result)


def print_next(command: str) -> None:
    """Print the command that comes next."""
    out.print(f"next: {command}", soft_wrap=True, markup=False, highlight=False)


def print_white_levels(levels: Sequence[Mapping[str, int]]) -> None:
    """Print a line for each white level that pictures were read with."""
    for record in levels:
        out.print(
            f"white level {record['white_level']}: "
            f"{counted(record['pictures'], 'picture')}, "
            f"values {record['lowest']}..{record['highest']}, "
            f"{record['clipped']:,} clipped",
            highlight=False,
            soft_wrap=True,
        )


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(item) for item in value)
    return f"{value:,}" if isinstance(value, int) else str(value)


Update = Callable[[float, int], None]  # (done, total)


@contextlib.contextmanager
def progress(
    quiet: bool = False,
) -> Iterator[Callable[[str], Update]]:
    """Show progress bars on a terminal's stderr.

    Yields
    ------
    callable
        ``bar(title)`` starts a bar and returns ``update(done, total)``.
    """
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        disable=quiet or not err.is_terminal,
    ) as bars:

        def bar(title: str) -> Update:
            task = bars.add_task(title, total=None)
            return lambda done, total: bars.update(task, completed=done, total=total)

        yield bar
