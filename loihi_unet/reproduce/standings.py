# SPDX-License-Identifier: BSD-3-Clause
"""What tables of contests have in common: their rows and their pages."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from loihi_unet.reproduce import paper
from loihi_unet.reproduce.cell import Cell, cell
from loihi_unet.reproduce.contest import Contestants, System
from loihi_unet.reproduce.page import by_subject, table
from loihi_unet.reproduce.scales import Scale

LEGEND = (
    "*DT*: trained directly, from random weights, by backpropagation through time; "
    "*FT*: the same, from the U-Net's weights; *flow*: converted and "
    "fine-tuned on its integers by accumulated spiking flow, the paper's own way. "
    "*float* is the network as trained, *integers* what goes to the chip, and EXACT "
    "says that torch and the reference gave the same integers in every layer at every "
    "step of a 32x32 square. Training times are wall clock; *FT* and *flow* begin with "
    "the U-Net, whose time comes on top. *paper*: arXiv 2307.10974, its FT beside both "
    "of ours; a dash where it has no such row."
)


@dataclass(frozen=True, kw_only=True)
class Column:
    """A measure.

    Attributes
    ----------
    key : tuple[str, ...]
        Where it lies in a row's scores.
    head : str
        Over its column.
    digits : int
        Behind the point.
    paper : tuple
        Of `loihi_unet.reproduce.paper`: the key of its line; empty for none.
    """

    key: tuple[str, ...]
    head: str
    digits: int
    paper: tuple[Any, ...] = ()

    def shown(self, scores: Mapping[str, Any] | None) -> str:
        """Return the measure's number; a dash where there is none."""
        value: Any = scores
        for key in self.key:
            value = None if value is None else value[key]
        return "-" if value is None else f"{value:.{self.digits}f}"


def cells(
    target: str,
    scale: Scale,
    contestants: Mapping[str, Contestants],
    systems: Sequence[System],
) -> list[Cell]:
    """Return a cell for every system in every contest.

    Parameters
    ----------
    target : str
        Names the table.
    scale : Scale
        Has the contests.
    contestants : Mapping[str, Contestants]
        By contest.
    systems : Sequence[System]
        In the table's order.

    Returns
    -------
    list[Cell]
        Contest by contest.
    """
    made = []
    for name, group in contestants.items():
        for system in systems:
            spikes = system.way != "ANN"
            row = {
                "subject": name,
                "system": system.name,
                "way": system.way,
                "T": (system.num_steps or group.contest.num_steps) if spikes else None,
                "channels": group.config(system).model.base_channels,
            }
            measure = functools.partial(group.measure, system)
            made.append(cell(target, group, row, measure, system=asdict(system)))
    return made


def tables(
    record: Mapping[str, Any],
    columns: Mapping[str, Sequence[Column]],
    printed: Mapping[Any, str],
    keys: Sequence[str],
) -> list[str]:
    """Return a table of each contest, and the paper's own below it.

    Parameters
    ----------
    record : Mapping[str, Any]
        As `loihi_unet.reproduce.run.reproduce` returns.
    columns : Mapping[str, Sequence[Column]]
        By contest.
    printed : Mapping[Any, str]
        The paper's lines, `loihi_unet.reproduce.paper.DENOISING` or ``SEGMENTATION``.
    keys : Sequence[str]
        What their keys have after data and T.

    Returns
    -------
    list[str]
        Markdown lines.
    """
    lines: list[str] = []
    for name, rows in by_subject(dict(record)).items():
        measures = columns[name]
        heads = [column.head for column in measures]
        lines += [f"## {name}", "", _where(rows), ""]
        head = (
            *("system", "way", "iterations", "training, s"),
            *(f"{text}, float" for text in heads),
            *(f"{text}, integers" for text in heads),
            "torch = reference",
            *(f"{column.head}, paper" for column in measures if column.paper),
        )
        lines += [*table(head, [_row(row, measures, printed) for row in rows]), ""]
        reasons = {f"{row['system']}: {row['why']}": None for row in rows if row["why"]}
        lines += ["Not on the chip:", "", *(f"- {text}" for text in reasons), ""]
        data = next(column.paper[0] for column in measures if column.paper)
        lines += paper.whole(dict(printed), data, keys)
    return lines


def _where(rows: Sequence[Mapping[str, Any]]) -> str:
    count, *sides = rows[0]["measured_on"]
    steps = sorted({row["T"] for row in rows if row["T"]})
    return (
        f"{count} test pictures, {'x'.join(map(str, sides))} from the middle of each; "
        f"T = {', '.join(map(str, steps))}; {rows[0]['channels']} channels."
    )


def _row(
    row: Mapping[str, Any],
    columns: Sequence[Column],
    printed: Mapping[Any, str],
) -> tuple[Any, ...]:
    verdicts = {None: "", True: "EXACT", False: "FAIL"}
    seconds = f"{row['train_seconds']:.0f}"
    if "ann_seconds" in row:
        seconds = f"{row['ann_seconds']:.0f} + {seconds}"
    return (
        row["system"],
        row["way"],
        row["iterations"],
        seconds,
        *(column.shown(row["floats"]) for column in columns),
        *(column.shown(row["chip"]) for column in columns),
        verdicts[row["identical"]],
        *(
            paper.cell(printed[column.paper], row["system"], row["way"])
            for column in columns
            if column.paper
        ),
    )
