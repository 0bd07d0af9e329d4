# SPDX-License-Identifier: BSD-3-Clause
"""Table 3: normalisation, neuron and fine-tuning, each with and without."""

import functools
from dataclasses import asdict
from typing import Any, get_args

from loihi_unet.reproduce import paper
from loihi_unet.reproduce.cell import Cell, cell
from loihi_unet.reproduce.networks import Conversion, Networks
from loihi_unet.reproduce.page import NAMES, by_subject, opening, shown, wrapped
from loihi_unet.reproduce.page import table as markdown
from loihi_unet.reproduce.scales import MANY_STEPS, Scale
from loihi_unet.reproduce.score import SHOWN, floats, integers, score
from loihi_unet.spiking.spiking_unet import Normalisation
from sim.backend import OverflowLayerError

SUBJECTS = ("denoise-gray", "segment-drive")
FEW_STEPS = 20
#: N and q of the neurons: one threshold at the layer's scale, and the paper's four.
NEURONS = {"IF": (1, 1.0), "MT": (4, 0.25)}


def cells(scale: Scale, networks: dict[str, Networks]) -> list[Cell]:
    """Return every combination; fine-tuning at the few steps that it is for."""
    made = []
    for name in scale.ablation:
        for num_steps, tuned in (
            (FEW_STEPS, False),
            (FEW_STEPS, True),
            (MANY_STEPS, False),
        ):
            for normalisation in get_args(Normalisation)[::-1]:
                for neuron, (number, q) in NEURONS.items():
                    conversion = Conversion(
                        num_steps=num_steps,
                        num_thresholds=number,
                        base_threshold=q,
                        normalisation=normalisation,
                    )
                    row = {
                        "subject": name,
                        "T": num_steps,
                        "normalisation": normalisation,
                        "neuron": neuron,
                        "finetuned": tuned,
                    }
                    finetune = scale.finetune if tuned else None
                    made.append(
                        cell(
                            "table3",
                            networks[name],
                            row,
                            functools.partial(
                                _measure, networks[name], conversion, finetune
                            ),
                            conversion=asdict(conversion),
                            finetune=finetune.model_dump() if finetune else None,
                            on=asdict(networks[name].subject),
                        )
                    )
    return made


def _measure(
    networks: Networks, conversion: Conversion, finetune: Any
) -> dict[str, Any]:
    model, config = networks.unet()
    sigma, measure = networks.subject.sigma, SHOWN[config.task.kind]
    snn = networks.converted(conversion)
    if finetune is not None:
        snn = networks.tuned(conversion, finetune)
    few, pictures = networks.few(), networks.pictures()
    result: dict[str, Any] = {
        "measure": measure,
        "few": len(few),
        "few_size": list(few[0].pixels.shape[1:]),
        "few_ann": score(model, few, config, sigma)[measure],
        "few_snn": score(floats(snn), few, config, sigma)[measure],
        "pictures": len(pictures),
        "size": list(pictures[0].pixels.shape[1:]),
        "ann": score(model, pictures, config, sigma)[measure],
        "chip": None,
        "why": "",
    }
    if conversion.num_steps == MANY_STEPS:
        # In integers only as far as to see whether they suffice.
        pictures = networks.squares(1, networks.subject.few_side)
    try:
        chip = score(integers(snn), pictures, config, sigma)[measure]
    except OverflowLayerError as error:
        return {**result, "why": str(error)}
    return result if conversion.num_steps == MANY_STEPS else {**result, "chip": chip}


def page(record: dict[str, Any]) -> list[str]:
    """Return the page's lines."""
    lines = opening(
        record,
        "Table 3: normalisation, neuron, fine-tuning",
        "*layer*: eq. 7, *connection*: eq. 8. *IF*: one threshold at the layer's "
        "scale, reset by subtraction; *MT*: thresholds 2, 1, 0.5 and 0.25 of it. "
        f"T = {MANY_STEPS} runs in floating point on few small squares, since every "
        "step of a layer is held at once; the rows with few steps are scored on the "
        "same squares, and as integers on more. Fine-tuning is for few steps: it runs "
        f"all of them in every iteration, and is left out at T = {MANY_STEPS}.",
    )
    for name, rows in by_subject(record).items():
        first, measure = rows[0], rows[0]["measure"]
        small = f"{first['few']} of {'x'.join(map(str, first['few_size']))}"
        large = f"{first['pictures']} of {'x'.join(map(str, first['size']))}"
        head = (
            *("T", "normalisation", "neuron", "fine-tuned"),
            f"{NAMES[measure]}, float, {small}",
            f"{NAMES[measure]}, integers, {large}",
            "paper: CamSeq01, mIoU",
        )
        ann = ("U-Net", "", "", "", *(shown(first[k], measure) for k in _ANN), "")
        body = [ann, *(_row(row, measure) for row in rows)]
        lines += [f"## {name}", "", *markdown(head, body), ""]
        notes = [row["why"] for row in rows if row["why"]]
        if notes:
            lines += [
                f"{len(notes)} of these networks leave 24 bits as integers; the first:",
                "",
                f"    {notes[0]}",
                "",
            ]
    return [*lines, "## What the paper's table says besides", "", *_BESIDES, ""]


_ANN = ("few_ann", "ann")
_BEST = paper.ABLATION[20, "connection", "MT", True]
_BESIDES = wrapped(
    "All of its rows are of CamSeq01, mean IoU over 32 classes. Of six rows at T = 20 "
    f"the best ({_BEST}) has everything, and the first ({paper.ABLATION_FIRST}) has "
    "one normalisation, no MT and no fine-tuning. The four between are "
    f"{', '.join(paper.ABLATION_REST)}, in this order; which combinations they are the "
    "copy of the table that was at hand does not show, for its ticks are lost. Nor "
    "does it show the normalisation of the two rows at T = 1000: their numbers stand "
    "beside both of ours."
)


def _printed(row: dict[str, Any]) -> str:
    """The paper's number for a row, if it is known to be its."""
    steps, neuron, tuned = row["T"], row["neuron"], row["finetuned"]
    for normalisation in (row["normalisation"], None):
        key = (steps, normalisation, neuron, tuned)
        if key in paper.ABLATION:
            return paper.ABLATION[key]
    return "below"


def _row(row: dict[str, Any], measure: str) -> tuple[Any, ...]:
    chip = shown(row["chip"], measure)
    return (
        row["T"],
        row["normalisation"],
        row["neuron"],
        "yes" if row["finetuned"] else "no",
        shown(row["few_snn"], measure),
        chip or ("overflow" if row["why"] else "not run"),
        _printed(row),
    )
