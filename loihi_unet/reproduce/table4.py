# SPDX-License-Identifier: BSD-3-Clause
"""Table 4: which thresholds the neuron has."""

import functools
from typing import Any

from loihi_unet.errors import ConversionError
from loihi_unet.reproduce import paper
from loihi_unet.reproduce.cell import Cell, cell
from loihi_unet.reproduce.networks import Conversion, Networks
from loihi_unet.reproduce.page import NAMES, by_subject, opening, shown, wrapped
from loihi_unet.reproduce.page import table as markdown
from loihi_unet.reproduce.scales import Scale
from loihi_unet.reproduce.score import SHOWN, integers, score

SUBJECTS = ("denoise-gray", "segment-drive")
#: In units of a layer's scale. The first is the plain IF neuron; (2, 1, 0.5, 0.25) is
#: what the paper's code has.
SETS: tuple[tuple[float, ...], ...] = (
    (1,),
    (2, 1),
    (1, 0.5),
    (2, 1, 0.5),
    (1, 0.5, 0.25),
    (4, 2, 1, 0.5),
    (2, 1, 0.5, 0.25),
    (1, 0.5, 0.25, 0.125),
    (2, 1, 0.5, 0.25, 0.125),
    (2, 1, 0.5, 0.25, 0.125, 0.0625),
    (1, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125),
)
#: What the compartment cannot hold, of each kind one.
OTHERS: tuple[tuple[float, ...], ...] = (
    (2, 1, 0.25),
    (1, 0.75, 0.5, 0.25),
    (0.9, 0.3, 0.1),
)
#: Largest N of `loihi_unet.spiking.spiking_unet.SpikingUNet`.
MOST = 8


def as_powers(thresholds: tuple[float, ...]) -> tuple[float, int]:
    """Return the base threshold and the number of a set that a compartment can hold.

    Parameters
    ----------
    thresholds : tuple[float, ...]
        In any unit and order.

    Returns
    -------
    q : float
        The lowest.
    N : int
        How many: the set is ``q * 2**i`` for i = 0..N-1.

    Raises
    ------
    ConversionError
        If it is another set: the compartment's payload is a number whose bit i is
        threshold ``q * 2**i``.
    """
    if not 1 <= len(thresholds) <= MOST:
        raise ConversionError(f"{len(thresholds)} thresholds: 1..{MOST} can be held")
    ordered = sorted(thresholds)
    for i, threshold in enumerate(ordered):
        needed = ordered[0] * 2**i
        if threshold != needed:
            raise ConversionError(
                f"{threshold:g} found, {needed:g} needed: bit {i} of the payload"
            )
    return ordered[0], len(ordered)


def cells(scale: Scale, networks: dict[str, Networks]) -> list[Cell]:
    """Return one cell per network and set, those that cannot be held included."""
    made = []
    for name in SUBJECTS:
        for thresholds in (*SETS, *OTHERS):
            row: dict[str, Any] = {"subject": name, "thresholds": list(thresholds)}
            measure = functools.partial(_measure, networks[name], thresholds)
            subject = networks[name].subject
            made.append(
                cell(
                    "table4",
                    networks[name],
                    row,
                    measure,
                    T=subject.num_steps,
                    sigma=subject.sigma,
                    pictures=subject.pictures,
                    side=subject.side,
                )
            )
    return made


def _measure(networks: Networks, thresholds: tuple[float, ...]) -> dict[str, Any]:
    num_steps, sigma = networks.subject.num_steps, networks.subject.sigma
    model, config = networks.unet()
    pictures = networks.pictures()
    measure = SHOWN[config.task.kind]
    common = {
        "T": num_steps,
        "pictures": len(pictures),
        "size": list(pictures[0].pixels.shape[1:]),
        "measure": measure,
    }
    try:
        q, number = as_powers(thresholds)
    except ConversionError as error:
        return {**common, "q": None, "N": None, "chip": None, "why": str(error)}
    conversion = Conversion(
        num_steps=num_steps, num_thresholds=number, base_threshold=q
    )
    network = integers(networks.converted(conversion))
    return {
        **common,
        "q": q,
        "N": number,
        "ann": score(model, pictures, config, sigma)[measure],
        "chip": score(network, pictures, config, sigma)[measure],
        "why": "",
    }


def page(record: dict[str, Any]) -> list[str]:
    """Return the page's lines."""
    lines = opening(
        record,
        "Table 4: threshold sets",
        "Thresholds in units of a layer's scale (connection-wise, percentile 99.9). "
        "The compartment holds q * 2^i, i = 0..N-1, up to N = 8: bit i of the payload "
        "is threshold i. A set with a gap, an even spacing or another ratio has "
        "no such payload and is refused, with the first threshold that does not fit. "
        "Scores of the integer network, converted, neither searched nor fine-tuned. "
        "*top* is the largest value of a step, q * (2^N - 1).",
    )
    for name, rows in by_subject(record).items():
        first, measure = rows[0], rows[0]["measure"]
        height, width = first["size"]
        lines += [
            f"## {name}",
            "",
            f"{first['pictures']} test pictures, the middle {height}x{width} of each, "
            f"T = {first['T']}. U-Net: {shown(first['ann'], measure)}.",
            "",
        ]
        head = ("thresholds", "q", "N", "top", NAMES[measure], _HEAD)
        lines += [*markdown(head, [_row(row, measure) for row in rows]), ""]
    return [*lines, "## The paper's own sets", "", *_own(), ""]


_HEAD = "paper: CamSeq01, mIoU"


def _own() -> list[str]:
    text = (
        "The paper's table is of CamSeq01 alone, T = 20, fine-tuned; its numbers stand "
        "beside the same sets above. A dash: a set that it does not have. All of it:"
    )
    body = [
        (len(values), ", ".join(f"{value:g}" for value in values), score)
        for values, score in paper.THRESHOLDS.items()
    ]
    return [*wrapped(text), "", *markdown(("N", "thresholds", "mIoU"), body)]


def _row(row: dict[str, Any], measure: str) -> tuple[Any, ...]:
    thresholds = ", ".join(f"{value:g}" for value in row["thresholds"])
    printed = paper.THRESHOLDS.get(tuple(row["thresholds"]), paper.NO_CELL)
    if row["q"] is None:
        return (thresholds, "", "", "", f"not held: {row['why']}", printed)
    top = row["q"] * (2 ** row["N"] - 1)
    value = shown(row["chip"], measure)
    return (thresholds, f"{row['q']:g}", row["N"], f"{top:g}", value, printed)
