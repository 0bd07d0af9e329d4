# SPDX-License-Identifier: BSD-3-Clause
"""report.json, pictures and page of a scored data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.files.atomic import write_text
from loihi_unet.config import SegmentConfig
from loihi_unet.data.pictures import write_picture
from loihi_unet.report import render_report
from loihi_unet.report.head import MEASURES
from loihi_unet.report.overlay import class_map, legend, overlay
from loihi_unet.runs.evaluate_job import Found, ScoreJob, load
from loihi_unet.runs.evaluate_set import Evaluation
from loihi_unet.tasks.denoise import noisy_picture, restore
from loihi_unet.tasks.metrics import Quality, quality
from loihi_unet.tasks.segment import class_scores
from loihi_unet.versions import versions

DIFFERENCE = 16
NAMES = {"ann": "float ANN", "snn": "float SNN", "chip": "integer network (chip)"}

Pixels = NDArray[Any]


def write_report(folder: Path, evaluation: Evaluation) -> Path:
    """Write report.json, pictures and report.html.

    Shown are the pictures with the worst, the median and the best score of the
    integer network; the table has all of them.

    Parameters
    ----------
    folder : Path
        Where to.
    evaluation : Evaluation
        From `loihi_unet.runs.evaluate_set.evaluate_set`.

    Returns
    -------
    Path
        The page.
    """
    row = evaluation.row
    scores = _scores(evaluation)
    main = next(iter(scores[0]["chip"]))
    ranked = sorted(range(len(scores)), key=lambda i: scores[i]["chip"][main])
    chosen = dict(
        zip(
            (ranked[0], ranked[len(ranked) // 2], ranked[-1]),
            ("worst", "median", "best"),
            strict=True,
        )
    )
    shown = []
    for place, (index, rank) in enumerate(chosen.items()):
        name = evaluation.jobs[index].picture.name
        group = (
            f"{name}, {rank} {MEASURES[main].title} of {len(scores)}"
            if len(scores) > 1
            else name
        )
        for key, title, pixels in _pictures(evaluation, index):
            file = f"{place}-{key}.png"
            write_picture(folder / file, pixels)
            shown.append({"file": file, "title": title, "group": group})
    quality_of = {
        f"{network}_{name}": value
        for network, measures in _means(evaluation, scores).items()
        for name, value in measures.items()
    }
    report: dict[str, Any] = {
        "title": f"{row['data']}: {row['pictures']} pictures, {row['backend']}",
        "network_sha256": row["network_sha256"],
        "network_sha256_any_size": row["network_sha256_any_size"],
        "quality": quality_of,
        "versions": versions(),
        "settings": {
            key: row[key]
            for key in ("task", "sigma", "seed", "T", "N", "q", "width", "finetuned")
            if row[key] is not None
        },
        "pictures": shown,
        "legend": _legend(evaluation),
        "tables": [_table(evaluation, scores)],
    }
    write_text(folder / "report.json", json.dumps(report, indent=2, sort_keys=True))
    return render_report(folder)


def _legend(evaluation: Evaluation) -> list[tuple[str, str]]:
    task = evaluation.config.task
    if isinstance(task, SegmentConfig):
        return list(legend(task.classes).items())
    return []


def _noisy(job: ScoreJob) -> NDArray[np.float32]:
    assert job.sigma is not None  # denoising
    return noisy_picture(job.picture, job.index, sigma=job.sigma, seed=job.seed)


def _scores(evaluation: Evaluation) -> list[dict[str, dict[str, float]]]:
    """Measures of each picture, by network; for denoising also of its input."""
    scores = []
    task = evaluation.config.task
    for job, found in zip(evaluation.jobs, evaluation.found, strict=True):
        if isinstance(task, SegmentConfig):
            measures = {
                name: class_scores([_classes(classes)], [job.picture], task)
                for name, classes in found.items()
            }
        else:
            noisy = quality(job.picture.pixels, _noisy(job))
            measures = {
                name: _quality(measured)._asdict()
                for name, measured in {"noisy": noisy, **found}.items()
            }
        scores.append({name: _quoted(values) for name, values in measures.items()})
    return scores


def _classes(found: Found) -> NDArray[np.uint8]:
    assert not isinstance(found, Quality)  # segmentation finds classes
    return found


def _quality(found: Found) -> Quality:
    assert isinstance(found, Quality)  # denoising measures
    return found


def _quoted(measures: dict[str, float]) -> dict[str, float]:
    """Measures that a report knows, the main one first."""
    return {name: measures[name] for name in MEASURES if name in measures}


def _means(
    evaluation: Evaluation, scores: list[dict[str, dict[str, float]]]
) -> dict[str, dict[str, float]]:
    row = evaluation.row
    means = {name: row[name] for name in NAMES if row[name] is not None}
    if row["sigma"] is not None:
        values = [quality_of["noisy"] for quality_of in scores]
        means["noisy"] = {
            name: float(np.mean([value[name] for value in values]))
            for name in values[0]
        }
    return means


def _table(
    evaluation: Evaluation, scores: list[dict[str, dict[str, float]]]
) -> dict[str, Any]:
    networks = [n for n in ("noisy", *NAMES) if n in scores[0]]
    measures = list(scores[0]["chip"])
    columns = [f"{n}: {MEASURES[m].title}" for n in networks for m in measures]
    rows = [
        [job.picture.name, *(round(one[n][m], 4) for n in networks for m in measures)]
        for job, one in zip(evaluation.jobs, scores, strict=True)
    ]
    return {
        "title": "Each picture",
        "columns": ["picture", *columns],
        "rows": rows,
    }


def _pictures(evaluation: Evaluation, index: int) -> list[tuple[str, str, Pixels]]:
    """File key, title and pixels of all that is shown of one picture."""
    job, found = evaluation.jobs[index], evaluation.found[index]
    picture = job.picture
    task = evaluation.config.task
    if isinstance(task, SegmentConfig):
        assert picture.label is not None  # it was scored
        maps = {
            n: class_map(_classes(found[n]), task.classes) for n in NAMES if n in found
        }
        errors = overlay(picture, _classes(found["chip"]), task.classes)
        return [
            ("input", "input", picture.pixels),
            *((name, NAMES[name], pixels) for name, pixels in maps.items()),
            ("truth", "truth", class_map(picture.label, task.classes)),
            ("overlay", "chip against truth", errors),
        ]
    noisy = _noisy(job)
    networks, multiple = load(evaluation.machines)
    outputs = {
        name: restore(network, noisy, multiple=multiple)
        for name, network in networks.items()
    }
    other = outputs.get("ann", picture.pixels)
    against = "ANN" if "ann" in outputs else "truth"
    difference = DIFFERENCE * np.abs(outputs["chip"] - other)
    return [
        ("input", "input: noisy", noisy),
        *((name, NAMES[name], outputs[name]) for name in NAMES if name in outputs),
        ("truth", "truth", picture.pixels),
        ("difference", f"|chip - {against}| x {DIFFERENCE}", difference),
    ]
