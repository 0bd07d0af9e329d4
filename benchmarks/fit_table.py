# SPDX-License-Identifier: BSD-3-Clause
"""What mappings and networks need on both chips: docs/fit_table.md and .json.

Without arguments: the model that ships with the package at 128x128, the same model
with single thresholds, and the same model widened to 64 channels at 256x256
(`wide_unet`), each with a recording of one noisy crop. With a network and a recording
of all its layers and steps: these instead::

    python benchmarks/fit_table.py
    python benchmarks/fit_table.py --network network.net --recording recording.h5
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from wide_unet import widened

from export.files.atomic import write_text
from export.fit import Activity, FitReport, fit
from export.fit.systems import SYSTEMS
from export.images import decode
from export.lowering import lower
from export.network import Network
from export.netx import read_network
from loihi_unet.conversion.normalise import spiking_unet
from loihi_unet.conversion.search import search_thresholds
from loihi_unet.data.pictures import load_pictures
from loihi_unet.files.checkpoint import find_checkpoint, read_checkpoint
from loihi_unet.tasks.denoise import noisy_picture
from loihi_unet.tasks.metrics import quality
from sim.backend import create
from sim.recording_file import read_recording
from sim.statistics import activity

MODEL, SIGMA, SEED, PICTURE, CORNER = "denoise-gray", 25.0, 0, "camera.png", (96, 160)
# A single threshold needs many steps.
SINGLE = {"num_thresholds": 1, "num_steps": 50}
CHIPS = {
    "loihi2": ("graded", "parallel-if", "binary-if"),
    "loihi1": ("parallel-if", "binary-if"),
}

# With N = 1 all three mappings are one.
SINGLE_CHIPS = {"loihi2": ("graded",), "loihi1": ("parallel-if",)}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network of the table and what was counted while it ran.

    Parameters
    ----------
    label : str
        Its name in the table.
    network : Network
        What is fitted.
    counts : Activity or None
        Of a recording.
    note : str
        What ran on what.
    """

    label: str
    network: Network
    counts: Activity | None
    note: str = ""


def shipped(
    label: str,
    size: int,
    factor: int = 1,
    *,
    num_thresholds: int = 4,
    num_steps: int = 10,
) -> Case:
    """The shipped model, ``factor`` times as wide, run on one noisy crop.

    Converted with thresholds searched on scikit-image's pictures; a single one stays
    at a layer's largest activation.
    """
    loaded = read_checkpoint(find_checkpoint(MODEL))
    calibration = loaded.record.calibration
    assert calibration is not None  # a shipped model has scales
    model = loaded.model
    settings: dict[str, Any]
    settings = {"num_thresholds": num_thresholds, "num_steps": num_steps}
    q = 1.0
    if num_thresholds > 1:
        searched = search_thresholds(
            model, loaded.record.config, calibration, load_pictures(None, 1), **settings
        )
        calibration, q = searched.calibration, searched.base_threshold
    if factor > 1:
        model, calibration = widened(model, calibration, factor)
    train = {"train": loaded.record.config.model_dump(mode="json")}
    snn = spiking_unet(
        model, calibration, base_threshold=q, provenance=train, **settings
    )
    network = lower(snn, size, size)
    picture = next(p for p in load_pictures(None, 1) if p.name == PICTURE)
    noisy = noisy_picture(picture, 0, sigma=SIGMA, seed=SEED)
    rows, columns = (slice(start, start + size) for start in CORNER)
    images = np.rint(noisy[None, :, rows, columns]).astype(np.int32)
    recording = create("torch").run(network, images)
    assert recording.output is not None  # a U-Net ends in an accumulator
    clean = picture.pixels[:, rows, columns]
    before = quality(clean, images[0]).psnr
    after = quality(clean, 255 * decode(network, recording.output[0])).psnr
    counts = activity(network, recording)
    spikes = sum(node.messages for node in counts.layers[1:])
    neurons = sum(np.prod(network.nodes[node.name].shape) for node in counts.layers[1:])
    note = (
        f"{size}x{size} of {PICTURE}, sigma {SIGMA:g}: {before:.2f} dB in, "
        f"{after:.2f} dB out; {spikes / neurons / network.num_steps:.1%} of the graded "
        "spikes are not zero"
    )
    return Case(label=label, network=network, counts=counts, note=note)


def default_cases() -> Iterator[Case]:
    """Networks of the table."""
    yield shipped("16 channels, 128x128, N = 4", 128)
    yield shipped("16 channels, 128x128, N = 1", 128, **SINGLE)
    yield shipped("64 channels, 256x256, N = 4", 256, factor=4)


def row(label: str, report: FitReport) -> dict[str, Any]:
    """One line of the table."""
    traffic, energy = report.traffic, report.energy
    return {
        "network": label,
        "chip": report.chip,
        "mapping": report.mapping,
        **report.totals,
        "cores": report.cores,
        "chips": report.chips,
        "steps": report.timing.steps_per_image,
        "latency": report.timing.latency_steps,
        "synops": round(sum(traffic.synops.values())) if traffic else None,
        "updates": round(traffic.updates) if traffic else None,
        "energy_mj": [energy.low * 1e3, energy.high * 1e3]
        if energy and energy.terms
        else None,
        "limits_broken": sum(not c.ok and c.blocking for c in report.checks),
        "problem": report.problem,
    }


def ran(case: Case, report: FitReport) -> dict[str, Any]:
    """What the counts of a case were taken from, and the paper's formula for them."""
    assert report.energy is not None  # only cases with counts
    return {
        "network": case.label,
        "recording": case.note,
        "eq. 13 SNN, mJ": round(report.energy.paper_snn * 1e3, 3),
        "with fan-out, mJ": round(report.energy.paper_snn_synops * 1e3, 3),
        "eq. 13 ANN, mJ": round(report.energy.paper_ann * 1e3, 3),
    }


def unplaced(case: Case, report: FitReport) -> dict[str, Any]:
    """Why a network has no cores, and which changes let the largest system hold it."""
    systems = [system for system in SYSTEMS if system.chip == report.chip]
    largest = max(systems, key=lambda system: system.chips.count)
    tried = fit(
        case.network, chip=report.chip, mapping=report.mapping, system=largest.name
    )
    return {
        "network": case.label,
        "chip": report.chip,
        "mapping": report.mapping,
        "why": report.problem,
        "what fits the largest system": "; ".join(
            f"{s.change} ({s.cores:,} cores, {s.chips} chips of {largest.name})"
            for s in tried.suggestions
        )
        or f"nothing that was tried fits {largest.name}",
    }


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Rows as a Markdown table; problems have one of their own."""
    columns = [name for name in rows[0] if name != "problem"]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for record in rows:
        cells = [cell(record[c]) for c in columns]
        if record.get("problem") and record["energy_mj"]:
            cells[columns.index("energy_mj")] += " *"
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def cell(value: object) -> str:
    """A number with thousands marked, an interval, or a dash for nothing."""
    if isinstance(value, list):
        return " .. ".join(f"{x:,.1f}" for x in value)
    return f"{value:,}" if isinstance(value, int) else str(value or "-")


def markdown(record: dict[str, Any]) -> str:
    """The document."""
    lines = [
        "# What a U-Net needs on Loihi",
        "",
        "Written by `python benchmarks/fit_table.py`; how the numbers come about and",
        "what they are worth: [fit.md](fit.md). Synaptic operations, updates of",
        "compartments and energy are per image, from a recording. A dash: impossible,",
        "not measured, or not published (energies of Loihi 2's operations).",
        "",
        *table(record["rows"]),
        "",
        "`limits_broken` counts values that the chip cannot hold as they are, mostly",
        "thresholds; `loihi-unet fit` names each with what would fit. All mappings are",
        "counted for one network; `export --mapping` makes one whose thresholds fit.",
        "`*`: not placed, so only synaptic operations and compartment updates: spikes",
        "between cores and static power are not in it.",
    ]
    if record["recordings"]:
        lines += [
            "",
            "## What ran",
            "",
            "The 64-channel network is the shipped 16-channel one, each channel copied",
            "four times and what the copies send added up (`benchmarks/wide_unet.py`,",
            "after Net2WiderNet, arXiv 1511.05641). It computes the same, so its spike",
            "rate is that of a trained network; one trained with 64 channels from the",
            "start may be sparser or denser, and then synops and energy change in",
            "proportion. The paper's formula (arXiv 2307.10974, eq. 13) leaves out the",
            "fan-out of a spike; the column after it does not.",
            "",
            *table(record["recordings"]),
        ]
    if record["unplaced"]:
        lines += ["", "## Not placed", "", *table(record["unplaced"])]
    lines += [
        "",
        "## Largest network that fits each system",
        "",
        "Each change alone, everything else as in the first row.",
        "",
        *table(record["systems"]),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Count everything and write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", type=Path, help="netx file instead")
    parser.add_argument("--recording", type=Path, help="recording of that network")
    parser.add_argument("--out", type=Path, default=Path("docs/fit_table"))
    arguments = parser.parse_args()
    cases = default_cases()
    if arguments.network:
        cases = iter([given(arguments.network, arguments.recording)])
    record: dict[str, Any] = {
        "rows": [],
        "recordings": [],
        "unplaced": [],
        "systems": [],
    }
    for case in cases:
        add(record, case)
    write_text(arguments.out.with_suffix(".json"), json.dumps(record, indent=2) + "\n")
    write_text(arguments.out.with_suffix(".md"), markdown(record))


def given(path: Path, recording: Path | None) -> Case:
    """A network from a file."""
    network = read_network(path)
    counts = activity(network, read_recording(recording)) if recording else None
    note = recording.name if recording else ""
    return Case(label=path.name, network=network, counts=counts, note=note)


def add(record: dict[str, Any], case: Case) -> None:
    """Count a case for every chip and mapping."""
    record["systems"] = record["systems"] or largest(case.network)
    spiking = case.network.layers[:-1]
    single = all(layer.magnitude <= 1 for layer in spiking)
    report = None
    for chip, mappings in (SINGLE_CHIPS if single else CHIPS).items():
        for mapping in mappings:
            report = fit(case.network, chip=chip, mapping=mapping, activity=case.counts)
            record["rows"].append(row(case.label, report))
            if report.problem:
                record["unplaced"].append(unplaced(case, report))
            print(case.label, chip, mapping, report.cores, report.chips, flush=True)
    if case.counts and report:
        record["recordings"].append(ran(case, report))


def largest(network: Network) -> list[dict[str, Any]]:
    """What of the first network fits each system."""
    lines = []
    for system in SYSTEMS:
        mapping = CHIPS[system.chip][0]
        report = fit(network, chip=system.chip, system=system.name, mapping=mapping)
        for s in report.suggestions:
            lines.append(
                {
                    "system": system.name,
                    "mapping": mapping,
                    "largest": s.change,
                    "cores": s.cores,
                    "chips": s.chips,
                    "of": system.chips.count,
                }
            )
    return lines


if __name__ == "__main__":
    main()
