# SPDX-License-Identifier: BSD-3-Clause
"""Figure 3: activation of the U-Net against spike rate, by normalisation."""

import functools
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from export.layer import Layer
from loihi_unet.demo.spike_rates import activations, rate_records
from loihi_unet.reproduce.cell import Cell, cell
from loihi_unet.reproduce.networks import Conversion, Networks
from loihi_unet.reproduce.page import NAMES, by_subject, opening, shown, table
from loihi_unet.reproduce.scales import SQUARE, SQUARES, Scale
from loihi_unet.reproduce.score import SHOWN, integers, score, shown_pixels
from loihi_unet.spiking.spiking_unet import Normalisation
from sim.backend import create

SUBJECTS = ("denoise-gray", "segment-drive")
NUM_STEPS = 20
#: Layers that are drawn: the two branches of the last concatenation, the deepest
#: layer, and the last that spikes.
DRAWN = ("enc0.conv2", "up0", "mid.conv2", "dec0.conv2")


def cells(scale: Scale, networks: dict[str, Networks]) -> list[Cell]:
    """Return one cell per network and normalisation."""
    made = []
    for name in SUBJECTS:
        for normalisation in get_args(Normalisation):
            conversion = Conversion(num_steps=NUM_STEPS, normalisation=normalisation)
            row = {
                "subject": name,
                "normalisation": normalisation,
                "T": NUM_STEPS,
                "N": conversion.num_thresholds,
                "q": conversion.base_threshold,
            }
            made.append(
                cell(
                    "figure3",
                    networks[name],
                    row,
                    functools.partial(_measure, networks[name], conversion),
                    sigma=networks[name].subject.sigma,
                    pictures=SQUARES,
                    side=SQUARE,
                )
            )
    return made


def _measure(networks: Networks, conversion: Conversion) -> dict[str, Any]:
    model, config = networks.unet()
    snn = networks.converted(conversion)
    pictures = networks.squares(SQUARES, SQUARE, config.model.multiple)
    whole = integers(snn)
    sigma = networks.subject.sigma
    activation: dict[str, list[NDArray[Any]]] = {}
    sent: dict[str, list[NDArray[Any]]] = {}
    for index, picture in enumerate(pictures):
        pixels = shown_pixels(picture, index, sigma)
        network = whole.network.resized(*pixels.shape[1:])
        recording = create("torch").run(network, pixels[None])
        floats = torch.from_numpy(pixels.astype(np.float32) / np.float32(255))
        by_layer = activations(model, floats[None])
        for name, values in by_layer.items():
            mean = recording.payloads[name][0].mean(axis=0)
            activation.setdefault(name, []).append(values.reshape(-1))
            layer = network.nodes[name]
            assert isinstance(layer, Layer)  # the input has no activation
            sent.setdefault(name, []).append((mean * layer.unit).reshape(-1))
    records = rate_records(
        {name: np.concatenate(values) for name, values in activation.items()},
        {name: np.concatenate(values) for name, values in sent.items()},
        shown=DRAWN,
    )
    measure = SHOWN[config.task.kind]
    return {
        "pictures": len(pictures),
        "size": list(pictures[0].pixels.shape[1:]),
        "layers": records,
        "measure": measure,
        "chip": score(whole, pictures, config, sigma)[measure],
        "ann": score(model, pictures, config, sigma)[measure],
    }


def page(record: dict[str, Any]) -> list[str]:
    """Return the page's lines."""
    lines = opening(
        record,
        "Figure 3: activation against spike rate",
        "Pearson's r between what each layer of the U-Net puts out and what the same "
        "layer of the integer Spiking-UNet sends on average, in the same unit; "
        "converted, not fine-tuned. *connection*: eq. 8, *layer*: eq. 7. Only the "
        "branches of a concatenation share a scale under *layer*; every layer after "
        "them receives what they lost.",
    )
    lines += ["![activation against spike rate](figure3.png)", ""]
    for name, rows in by_subject(record).items():
        first = rows[0]
        height, width = first["size"]
        lines += [
            f"## {name}",
            "",
            f"{first['pictures']} test pictures, the middle {height}x{width} of each; "
            f"T = {first['T']}, N = {first['N']}, q = {first['q']:g}.",
            "",
        ]
        head = ("layer", *(row["normalisation"] for row in rows))
        layers = zip(*(row["layers"] for row in rows), strict=True)
        body = [
            (group[0]["layer"], *(_r(item["correlation"]) for item in group))
            for group in layers
        ]
        means = [
            np.mean([item["correlation"] for item in row["layers"] if _fires(item)])
            for row in rows
        ]
        body.append(("**mean**", *(f"**{mean:.4f}**" for mean in means)))
        measure = first["measure"]
        values = (shown(row["chip"], measure) for row in rows)
        body.append(
            (f"{NAMES[measure]}; U-Net: {shown(first['ann'], measure)}", *values)
        )
        lines += [*table(head, body), ""]
    return lines


def _fires(item: dict[str, Any]) -> bool:
    return item["correlation"] is not None


def _r(value: float | None) -> str:
    return "silent" if value is None else f"{value:.4f}"
