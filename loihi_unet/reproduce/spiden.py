# SPDX-License-Identifier: BSD-3-Clause
"""SPIDEN (doi:10.3389/fnins.2023.1224457): a DnCNN of IF neurons that denoises."""

import functools
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Literal

import torch

from loihi_unet.data.datasets import load_data
from loihi_unet.files.checkpoint import load_checkpoint
from loihi_unet.networks.neuron import multi_threshold_if
from loihi_unet.reproduce.cell import Cell, cell
from loihi_unet.reproduce.contest import Contestants, System
from loihi_unet.reproduce.energy import spent
from loihi_unet.reproduce.networks import Conversion
from loihi_unet.reproduce.page import by_subject, opening, table, wrapped
from loihi_unet.reproduce.scales import SQUARE, SQUARES, Scale
from loihi_unet.reproduce.score import integers, middle, score
from loihi_unet.seeds import Purpose
from loihi_unet.tasks.make import make_task

CONTESTS = ("denoise-spiden",)
DCNN = System(name="DCNN", way="ANN")
#: T of the networks that are trained from random weights and from the DCNN's, and of
#: the one that is converted.
TRAINED, TUNED, CONVERTED = (2, 4, 8), (4, 8, 16), (2, 4, 8, 16, 32, 64)
#: T, and thresholds in units of a layer's scale, of the neuron by itself.
NEURON_STEPS, NEURON_THRESHOLDS = (2, 4, 8, 16, 32), (0.25, 0.5, 1.0, 2.0)
#: Crops that the neuron's drive is taken from.
CROPS = 16
#: The article's abstract: SNN, and how far below its DCNN.
PAPER_SNN, PAPER_GAP = 30.18, 0.25
_NEURON = (
    "Every IF neuron of the network is driven for T steps by the activation of its "
    "ReLU, in units of the layer's scale (99.9th percentile). Error: squared error of "
    "the decoded value over the activation's power. Spikes: of a neuron in all T "
    "steps. Silent: share of neurons that send none. A neuron rounds down to multiples "
    "of threshold / T and clips at its threshold: a lower threshold or more steps make "
    "the one error smaller, and cost spikes."
)


def _snn(num_steps: int, way: Literal["DT", "FT"] = "DT") -> System:
    return System(name="SNN", way=way, neuron="if", num_steps=num_steps)


def cells(scale: Scale, contestants: dict[str, Contestants]) -> list[Cell]:
    """Return the trained networks, the converted one, and the neuron by itself."""
    group = contestants[CONTESTS[0]]
    make = functools.partial(cell, "spiden", group)
    made = [
        make(
            {"subject": "trained", "T": None},
            functools.partial(group.measure, DCNN),
            system=asdict(DCNN),
        )
    ]
    snns = [("trained", _snn(steps)) for steps in TRAINED]
    snns += [("tuned", _snn(steps, "FT")) for steps in TUNED]
    for name, system in snns:
        measure = functools.partial(_measure_trained, group, system)
        row = {"subject": name, "T": system.num_steps}
        made.append(make(row, measure, system=asdict(system)))
    for steps in CONVERTED:
        measure = functools.partial(_measure_converted, group, steps)
        made.append(make({"subject": "converted", "T": steps}, measure))
    for threshold in NEURON_THRESHOLDS:
        for steps in NEURON_STEPS:
            measure = functools.partial(_measure_neuron, group, steps, threshold)
            columns = {"subject": "neuron", "T": steps, "threshold": threshold}
            made.append(make(columns, measure, crops=CROPS))
    return made


def _sigma(group: Contestants) -> float:
    return group.contest.sigmas[0]


def _squares(group: Contestants) -> list[Any]:
    return [middle(picture, SQUARE) for picture in group.pictures()[:SQUARES]]


def _measure_trained(group: Contestants, system: System) -> dict[str, Any]:
    scores = group.measure(system)
    snn, _ = group.spiking(system)
    assert snn is not None  # IF neurons go to the chip
    energy = spent(integers(snn), _squares(group), _sigma(group))
    return {**scores, **energy._asdict()}


def _measure_converted(group: Contestants, num_steps: int) -> dict[str, Any]:
    networks = group.subject(_snn(num_steps))
    conversion = Conversion(num_steps=num_steps, num_thresholds=1, base_threshold=1.0)
    chip = integers(networks.converted(conversion))
    sigma, config = _sigma(group), group.config(DCNN)
    energy = spent(chip, _squares(group), sigma)
    scores = score(chip, group.pictures(), config, sigma)
    return {"chip": {f"{sigma:g}": scores}, **energy._asdict()}


def _measure_neuron(
    group: Contestants, num_steps: int, threshold: float
) -> dict[str, Any]:
    """Drive IF neurons with the DCNN's own activations, and compare what comes out."""
    errors, powers, spikes, neurons, silent = 0.0, 0.0, 0.0, 0, 0
    for drive in _drives(group):
        current = (drive / threshold).expand(num_steps, *drive.shape)
        sent = multi_threshold_if(current, base_threshold=1.0, num_thresholds=1)
        decoded = sent.mean(dim=0) * threshold
        activation = drive.relu()
        errors += float(((decoded - activation) ** 2).sum())
        powers += float((activation**2).sum())
        spikes += float(sent.sum())
        silent += int((sent.sum(dim=0) == 0).sum())
        neurons += drive.numel()
    return {
        "relative_error": errors / powers,
        "spikes": spikes / neurons,
        "silent": silent / neurons,
    }


@torch.no_grad()
def _drives(group: Contestants) -> Iterator[torch.Tensor]:
    """Yield the activations of each layer in units of its scale."""
    run, _ = group.trained(DCNN)
    model, config = load_checkpoint(run)
    scales = group.subject(DCNN).converted(Conversion(num_steps=1))
    pictures = load_data(
        config.task, group.train_folder, config.model.in_channels, "train"
    )
    crops = config.model_copy(update={"batch_size": CROPS})
    x, _ = make_task(crops, pictures, []).batch(0, Purpose.CALIBRATION)
    for name, activation in model.layers(x):
        if name != "out":
            yield (activation / torch.tensor(scales.layer(name).scale)).double()


def page(record: dict[str, Any]) -> list[str]:
    """Return the page's lines."""
    parts = by_subject(record)
    dcnn, *snns = parts["trained"]
    sigma = next(iter(dcnn["floats"]))
    reference = dcnn["floats"][sigma]["psnr"]
    lines = opening(
        record,
        "SPIDEN: a DnCNN of IF neurons",
        "A DnCNN, trained as ReLUs (DCNN) and directly as IF neurons (threshold 1, "
        "reset by subtraction, backpropagation through time) for T steps. The "
        f"article's SNN reaches {PAPER_SNN} dB on Set12, {PAPER_GAP} dB below its "
        "DCNN; of the article only the abstract was at hand. Energy: millijoules per "
        "picture by eq. 13 of arXiv 2307.10974, and with the fan-out of each spike "
        "([table5](table5.md)), "
        f"of {SQUARES} pictures, at most {SQUARE}x{SQUARE} of each.",
    )
    count, *sides = dcnn["measured_on"]
    pictures = f"{count} pictures, {'x'.join(map(str, sides))} from the middle of each"
    lines += [
        "![error and sparsity of the neuron, quality and energy of the network]"
        "(spiden.png)",
        "",
        *wrapped(
            f"Set12, sigma {sigma}, {pictures}. DCNN: {reference:.2f} dB after "
            f"{dcnn['iterations']} iterations ({dcnn['train_seconds']:.0f} s), "
            f"{snns[0]['ann_mj']:.3g} mJ."
        ),
        "",
    ]
    trained = {
        "Trained directly": snns,
        "Tuned: trained directly, from the DCNN's weights": parts["tuned"],
    }
    for title, rows in trained.items():
        body = [
            (
                row["T"],
                row["iterations"],
                f"{row['train_seconds']:.0f}",
                f"{row['floats'][sigma]['psnr']:.2f}",
                "EXACT" if row["identical"] else "FAIL",
                *_spent(row, reference, sigma),
            )
            for row in rows
        ]
        head = ("T", "iterations", "training, s", "PSNR, float", "torch = reference")
        lines += [f"## {title}", "", *table((*head, *_SPENT), body), ""]
    body = [(row["T"], *_spent(row, reference, sigma)) for row in parts["converted"]]
    lines += ["## Converted from the DCNN, not trained", ""]
    lines += [*table(("T", *_SPENT), body), ""]
    body = [
        (
            f"{row['threshold']:g}",
            row["T"],
            f"{row['relative_error']:.4f}",
            f"{row['spikes']:.3f}",
            f"{row['silent']:.3f}",
        )
        for row in parts["neuron"]
    ]
    head = ("threshold", "T", "relative error", "spikes", "silent")
    lines += ["## One neuron: error against sparsity", "", *wrapped(_NEURON), ""]
    return [*lines, *table(head, body), ""]


_SPENT = (
    *("PSNR, integers", "gap to DCNN", "spikes per neuron and step"),
    *("eq. 13, mJ", "with fan-out, mJ", "DCNN / with fan-out"),
)


def _spent(row: dict[str, Any], reference: float, sigma: str) -> tuple[str, ...]:
    chip, fan_out = row["chip"][sigma]["psnr"], row["snn_fan_out_mj"]
    return (
        f"{chip:.2f}",
        f"{reference - chip:.2f}",
        f"{row['rate']:.3f}",
        f"{row['snn_mj']:.3g}",
        f"{fan_out:.3g}",
        f"{row['ann_mj'] / fan_out:.2f}",
    )
