# SPDX-License-Identifier: BSD-3-Clause
"""The main job: one picture through every backend, and the verdict."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from export.files.atomic import write_text
from export.images import decode, size_multiple
from export.lowering import lower
from export.network import Network
from export.netx import write_network
from loihi_unet.conversion.calibrate import measure_scales
from loihi_unet.conversion.normalise import spiking_unet
from loihi_unet.data.crops import pad_to_multiple
from loihi_unet.data.pictures import write_picture
from loihi_unet.demo.backends import Backends, Proof
from loihi_unet.demo.crops import crop_side, crops_picture
from loihi_unet.demo.spike_rates import activations, rate_records
from loihi_unet.demo.subject import Photograph, Pixels, Retina, Shown, Subject
from loihi_unet.files.checkpoint import Calibration, load_checkpoint, weights_sha256
from loihi_unet.files.spiking_file import load_spiking_unet
from loihi_unet.networks.net import Net
from loihi_unet.report import render_report
from loihi_unet.report.chip_tables import chip_tables
from loihi_unet.report.payload_maps import write_payload_maps
from loihi_unet.runs.hashes import hashes
from loihi_unet.spiking.run_float import run as run_float
from loihi_unet.spiking.spiking_unet import Normalisation, SpikingUNet
from loihi_unet.tasks.denoise import Network as NetworkFunction
from loihi_unet.tasks.denoise import restore
from loihi_unet.versions import versions
from sim.backend import create
from sim.verify.comparison import Comparison, worst
from sim.verify.diagnose import diagnose
from sim.verify.layer_report import layer_reports

# Of a U-Net of three levels or more, from the first to the last.
SHOWN_LAYERS = (
    *("enc0.conv2", "enc2.conv2", "mid.conv2"),
    *("up1", "dec2.conv2", "dec0.conv2"),
)

TASKS: dict[str, Callable[[], Subject]] = {"denoise": Photograph, "segment": Retina}

Bar = Callable[[str], Callable[[int, int], None]]


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """What the demo did.

    Parameters
    ----------
    report : dict
        Content of report.json.
    proofs : tuple of Proof
        One per pair of backends.
    size : tuple of int
        Height and width of network.net.
    """

    report: dict[str, Any]
    proofs: tuple[Proof, ...]
    size: tuple[int, int]


def run_demo(
    folder: Path, bar: Bar, task: str = "denoise", subject: Subject | None = None
) -> DemoResult:
    """Run the demo and write pictures, ``network.net`` and ``report.json``.

    Parameters
    ----------
    folder : Path
        Where to write.
    bar : callable
        ``bar(title)`` starts a progress bar and returns ``update(done, total)``.
    task : str
        One of `TASKS`, or what is said of `subject`.
    subject : Subject, optional
        A picture of one's own, or networks as well, instead.

    Returns
    -------
    DemoResult
        Report and comparisons.
    """
    started = time.perf_counter()
    subject = subject or TASKS[task]()
    crop = crop_side(subject)
    seconds: dict[str, float] = {}
    model, _ = load_checkpoint(subject.model)
    tuned = load_spiking_unet(subject.spiking)
    conversions = _conversions(subject, model, tuned)
    network = lower(tuned, crop, crop)
    write_network(network, folder / "network.net")
    floats: dict[str, NetworkFunction]
    floats = {"ANN": model, "SNN": _function(conversions["connection"])}
    outputs = _float_outputs(floats, subject, seconds, bar)
    outputs["chip"] = _whole_picture(network, subject.pixels, seconds, bar)
    backends = Backends(network, subject, seconds, bar)
    proofs = backends.compare_all()
    comparisons = [proof.comparison for proof in proofs]
    seen = backends.seen
    size = network.resized(*seen.images.shape[2:])
    shown = subject.pictures(outputs)
    _write_panel(folder, shown)
    report = {
        "title": f"{subject.title} {_through(comparisons)}",
        "verdict": worst(comparisons),
        "identical": all(c.identical for c in comparisons),
        **hashes(network),
        "comparisons": [proof.to_json() for proof in proofs],
        "torch_only": _torch_only(shown),
        "skipped": backends.skipped,
        "quality": subject.scores(outputs),
        "seconds": seconds | {"total": time.perf_counter() - started},
        "versions": versions(),
        "pictures": _write_pictures(folder, shown | _crops(subject, shown, proofs)),
        "zoom": _zoom(subject, shown),
        "layers": [asdict(layer) for layer in layer_reports(seen, size)],
        "payloads": write_payload_maps(folder, seen),
        "tables": chip_tables(size, seen),
        "rates": [
            _rates(model, lower(snn, crop, crop), subject, normalisation)
            for normalisation, snn in conversions.items()
        ],
        "settings": {
            "task": task,
            "model": subject.model,
            **subject.settings,
            "num_steps": network.num_steps,
            "num_thresholds": tuned.num_thresholds,
            "base_threshold": tuned.base_threshold,
            "float SNN": "converted",
            "integer network": "fine-tuned on its integers",
        },
    }
    failed = backends.failed
    if failed is not None:
        diagnosis = diagnose(*failed)
        report["failure"] = None if diagnosis is None else asdict(diagnosis)
    write_text(folder / "report.json", json.dumps(report, indent=2, sort_keys=True))
    render_report(folder)
    return DemoResult(report=report, proofs=proofs, size=(crop, crop))


def _through(comparisons: Sequence[Comparison]) -> str:
    """Which backends there were: another title without Lava."""
    right = [c.right for c in comparisons]
    if any(name.startswith("lava") for name in right):
        return "through every backend"
    return f"through {' and '.join(['torch', *right])}, without Lava"


def _torch_only(shown: Mapping[str, Shown]) -> list[str]:
    _, height, width = next(iter(shown.values())).pixels.shape
    return [
        f"the whole picture ({height}x{width}), whose output is shown and scored here"
    ]


def _crops(
    subject: Subject, shown: Mapping[str, Shown], proofs: Sequence[Proof]
) -> dict[str, Shown]:
    """Where the crops lie, on the input."""
    first = next(iter(shown.values()))
    _, height, width = first.pixels.shape
    frames = [(proof.colour, proof.corners, proof.side) for proof in proofs]
    drawn = crops_picture(subject.pixels, frames)[:, :height, :width]
    legend = tuple((proof.colour, proof.title) for proof in proofs)
    return {"crops": Shown("what the backends were compared on", drawn, legend=legend)}


def _zoom(subject: Subject, shown: Mapping[str, Shown]) -> dict[str, int] | None:
    """Part of the pictures that is shown enlarged; None of small ones."""
    top, left = subject.corners[0]
    size = min(96, crop_side(subject))
    _, height, width = next(iter(shown.values())).pixels.shape
    if top + size > height or left + size > width or 2 * size > min(height, width):
        return None
    return {"top": top, "left": left, "size": size}


def _conversions(
    subject: Subject, model: Net, tuned: SpikingUNet
) -> dict[str, SpikingUNet]:
    """The model's Spiking-UNet before fine-tuning, by normalisation.

    The scales are measured on the picture itself, alike for both.
    """
    padded = pad_to_multiple(subject.pixels, subject.multiple)
    batches = [torch.from_numpy(padded / np.float32(255))[None]]
    conversions = {}
    for normalisation in get_args(Normalisation):
        calibration = Calibration(
            normalisation=normalisation,
            percentile=99.9,
            scales=measure_scales(model, batches, normalisation=normalisation),
            data_sha256="the demo's picture",
            weights_sha256=weights_sha256(model),
        )
        conversions[normalisation] = spiking_unet(
            model,
            calibration,
            num_steps=tuned.num_steps,
            num_thresholds=tuned.num_thresholds,
            base_threshold=2 / 2**tuned.num_thresholds,
            provenance={"train": tuned.provenance["train"]},
        )
    return conversions


def _function(snn: SpikingUNet) -> NetworkFunction:
    return lambda x: run_float(snn, x).output


def _float_outputs(
    networks: Mapping[str, NetworkFunction],
    subject: Subject,
    seconds: dict[str, float],
    bar: Bar,
) -> dict[str, Pixels]:
    """Outputs of the float networks on the whole picture, times 255."""
    update = bar("float ANN and SNN, whole picture")
    outputs = {}
    for done, (name, network) in enumerate(networks.items(), 1):
        start = time.perf_counter()
        output = restore(network, subject.pixels, multiple=subject.multiple)
        outputs[name.lower()] = output
        seconds[f"float {name}, whole picture"] = time.perf_counter() - start
        update(done, len(networks))
    return outputs


def _rates(
    model: Net, network: Network, subject: Subject, normalisation: str
) -> dict[str, Any]:
    """Activations against spike rates on the first crop, before fine-tuning."""
    y, x = subject.corners[0]
    side = crop_side(subject)
    window = np.s_[:, y : y + side, x : x + side]
    crop = subject.pixels[window]
    activation = activations(model, torch.from_numpy(crop / np.float32(255))[None])
    recording = create("torch").run(network, crop[None])
    sent = {
        layer.name: recording.payloads[layer.name][0].mean(axis=0) * layer.unit
        for layer in network.layers
        if layer.name in activation
    }
    assert recording.output is not None  # every backend gives the output
    output = 255 * decode(network, recording.output[0])
    return {
        "normalisation": normalisation,
        "psnr": subject.psnr(output.astype(np.float32), window),
        "layers": rate_records(activation, sent, shown=SHOWN_LAYERS),
    }


def _whole_picture(
    network: Network, pixels: Pixels, seconds: dict[str, float], bar: Bar
) -> Pixels:
    """Output of the integer network on the whole picture times 255, by torch."""
    padded = pad_to_multiple(pixels, size_multiple(network))
    recording = create("torch").run(
        network.resized(*padded.shape[1:]),
        padded[None],
        layers=(),
        progress=bar("integer network in torch, whole picture"),
    )
    assert recording.output is not None  # every backend gives the output
    seconds["torch, whole picture"] = recording.seconds
    _, height, width = pixels.shape
    output = 255 * decode(network, recording.output[0])[:, :height, :width]
    return output.astype(np.float32)


def _write_pictures(
    folder: Path, pictures: Mapping[str, Shown]
) -> list[dict[str, Any]]:
    """Write each, and return what report.json says of them."""
    for name, shown in pictures.items():
        write_picture(folder / f"{name}.png", shown.pixels)
    return [
        {
            "file": f"{name}.png",
            "title": shown.title,
            "scale": shown.scale,
            "legend": shown.legend,
        }
        for name, shown in pictures.items()
    ]


def _write_panel(folder: Path, pictures: Mapping[str, Shown]) -> None:
    """Write ``panel.png`` with all pictures of a height in a row, but the truth."""
    row = [shown.pixels for name, shown in pictures.items() if name != "clean"]
    row = [pixels for pixels in row if pixels.shape[1] == row[0].shape[1]]
    channels = max(len(pixels) for pixels in row)
    gap = np.full((channels, row[0].shape[1], 8), 255.0, np.float32)
    parts = [np.broadcast_to(pixels, (channels, *pixels.shape[1:])) for pixels in row]
    panel = [part for pixels in parts for part in (pixels, gap)][:-1]
    write_picture(folder / "panel.png", np.concatenate(panel, axis=2))
