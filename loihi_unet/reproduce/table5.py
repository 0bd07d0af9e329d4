# SPDX-License-Identifier: BSD-3-Clause
"""Table 5: energy by the paper's eq. 13."""

import functools
from typing import Any

from loihi_unet.reproduce import paper
from loihi_unet.reproduce.cell import Cell, cell
from loihi_unet.reproduce.energy import spent
from loihi_unet.reproduce.networks import Conversion, Networks
from loihi_unet.reproduce.page import NAMES, opening, shown, table, wrapped
from loihi_unet.reproduce.scales import SQUARE, SQUARES, Scale
from loihi_unet.reproduce.score import SHOWN, integers, score
from loihi_unet.spiking.spiking_unet import SpikingUNet

SUBJECTS = ("denoise-gray", "denoise-colour", "segment-drive")


def cells(scale: Scale, networks: dict[str, Networks]) -> list[Cell]:
    """Return two cells per network: converted, and fine-tuned."""
    made = []
    for name in SUBJECTS:
        subject = networks[name].subject
        for tuned in (False, True):
            conversion = Conversion(num_steps=subject.num_steps)
            row = {
                "subject": name,
                "finetuned": tuned,
                "T": conversion.num_steps,
                "N": conversion.num_thresholds,
                "q": conversion.base_threshold,
            }
            measure = functools.partial(
                _measure, networks[name], conversion, scale if tuned else None
            )
            how = {
                "sigma": subject.sigma,
                "side": SQUARE,
                "pictures": SQUARES,
                "finetune": scale.finetune.model_dump() if tuned else None,
            }
            made.append(cell("table5", networks[name], row, measure, **how))
    return made


def _measure(
    networks: Networks, conversion: Conversion, scale: Scale | None
) -> dict[str, Any]:
    model, config = networks.unet()
    snn: SpikingUNet
    if scale is None:
        snn = networks.converted(conversion)
    else:
        snn = networks.tuned(conversion, scale.finetune)
    chip = integers(snn)
    sigma = networks.subject.sigma
    pictures = networks.squares(SQUARES, SQUARE, max(chip.multiple))
    energy = spent(chip, pictures, sigma)
    measure = SHOWN[config.task.kind]
    return {
        "pictures": len(pictures),
        "size": list(pictures[0].pixels.shape[1:]),
        "measure": measure,
        "ann": score(model, pictures, config, sigma)[measure],
        "chip": score(chip, pictures, config, sigma)[measure],
        "ann_mj": energy.ann_mj,
        "snn_mj": energy.snn_mj,
        "snn_fan_out_mj": energy.snn_fan_out_mj,
    }


def page(record: dict[str, Any]) -> list[str]:
    """Return the page's lines."""
    lines = opening(
        record,
        "Table 5: energy",
        "Millijoules per picture by eq. 13 of the paper, as its authors' code computes "
        "it: 4.6 pJ for each multiply-accumulate of the U-Net; 0.9 pJ for each "
        "emitted spike of each threshold, plus 4.6 pJ for each multiply-accumulate of "
        "the first layer. A spike costs an accumulation in each of its synapses, "
        "which that formula leaves out: *with fan-out* takes 0.9 pJ for each of "
        "them, and is the column to compare with the U-Net's. Neither is the energy "
        "of a chip: see [fit.md](../fit.md).",
    )
    head = (
        *("network", "size", "T", "N", "fine-tuned", "measure", "U-Net", "integers"),
        *("U-Net, mJ", "eq. 13, mJ", "with fan-out, mJ", "U-Net / eq. 13"),
        "U-Net / with fan-out",
    )
    body = [_row(row) for row in record["rows"]]
    count = record["rows"][0]["pictures"]
    lines += [f"Means over {count} test pictures, the middle square of each.", ""]
    ann, snn = (float(joules) for *_, joules in paper.ENERGY)
    text = (
        "The paper's table is of CamSeq01 alone, at 64 channels, 256x256 and T = 20, "
        f"by the same formula; its U-Net / eq. 13 is {ann / snn:.0f}. It has no column "
        "with fan-out."
    )
    printed = [*wrapped(text), ""]
    printed += table(("network", "mIoU", "operations", "J"), paper.ENERGY)
    lines += [*table(head, body), "", "## The paper's own table", ""]
    return [*lines, *printed, ""]


def _row(row: dict[str, Any]) -> tuple[Any, ...]:
    measure = row["measure"]
    ann, snn, fan_out = row["ann_mj"], row["snn_mj"], row["snn_fan_out_mj"]
    return (
        row["subject"],
        "x".join(map(str, row["size"])),
        row["T"],
        row["N"],
        "yes" if row["finetuned"] else "no",
        NAMES[measure],
        shown(row["ann"], measure),
        shown(row["chip"], measure),
        *(f"{value:.3g}" for value in (ann, snn, fan_out)),
        f"{ann / snn:.1f}",
        f"{ann / fan_out:.2f}",
    )
