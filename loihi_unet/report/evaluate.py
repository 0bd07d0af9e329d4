# SPDX-License-Identifier: BSD-3-Clause
"""report.json, pictures and page of a scored data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_never

from export.files.atomic import write_text
from loihi_unet.config import (
    ClassifyConfig,
    DenoiseConfig,
    RestoreConfig,
    SegmentConfig,
)
from loihi_unet.data.pictures import Picture, write_picture
from loihi_unet.plural import counted
from loihi_unet.report import render_report
from loihi_unet.report.difference import signed_difference
from loihi_unet.report.head import MEASURES
from loihi_unet.report.overlay import class_map, legend, overlay
from loihi_unet.runs.evaluate_job import load
from loihi_unet.runs.evaluate_set import Evaluation
from loihi_unet.tasks.classify import class_of
from loihi_unet.tasks.denoise import restore
from loihi_unet.tasks.metrics import quality
from loihi_unet.tasks.restore import restored, target_of
from loihi_unet.tasks.segment import find_classes
from loihi_unet.versions import versions

#: A difference has its full colour at the largest one but a thousandth of them.
PERCENTILE = 99.9
NAMES = {"ann": "float ANN", "snn": "float SNN", "chip": "integer network"}

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
    names = [fact.name for fact in evaluation.facts]
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
        name = names[index]
        group = (
            f"{name}, {rank} {MEASURES[main].title} of {len(scores)}"
            if len(scores) > 1
            else name
        )
        for key, title, pixels, *scale in _pictures(evaluation, index):
            file = f"{place}-{key}.png"
            write_picture(folder / file, pixels)
            picture = {"file": file, "title": title, "group": group}
            shown.append(picture | ({"scale": scale[0]} if scale else {}))
    quality_of = {
        f"{network}_{name}": value
        for network, measures in _means(evaluation, scores).items()
        for name, value in measures.items()
    }
    report: dict[str, Any] = {
        "title": f"{row['data']}: {counted(row['pictures'], 'picture')} on "
        f"{row['backend']}",
        "torch_only": [f"all of this, on {row['backend']}"],
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
        "tables": [_table(names, scores), *_class_tables(evaluation)],
    }
    write_text(folder / "report.json", json.dumps(report, indent=2, sort_keys=True))
    return render_report(folder)


def _legend(evaluation: Evaluation) -> list[tuple[str, str]]:
    task = evaluation.config.task
    if isinstance(task, SegmentConfig):
        return list(legend(task.classes).items())
    return []


def _scores(evaluation: Evaluation) -> list[dict[str, dict[str, float]]]:
    """Measures of each picture, by network; for denoising also of its input."""
    judge = evaluation.judge
    scores = []
    for job, counts in zip(evaluation.jobs, evaluation.found, strict=True):
        measures = {name: judge.measures([one]) for name, one in counts.items()}
        if evaluation.config.task.kind == "denoise":
            picture = job.picture
            noisy = quality(picture.pixels, judge.shown(picture, job.index))
            measures = {"noisy": noisy._asdict(), **measures}
        scores.append({name: _quoted(one) for name, one in measures.items()})
    return scores


def _quoted(measures: dict[str, float]) -> dict[str, float]:
    """Measures that a report knows, the main one first."""
    return {name: measures[name] for name in MEASURES if name in measures}


def _means(
    evaluation: Evaluation, scores: list[dict[str, dict[str, float]]]
) -> dict[str, dict[str, float]]:
    row = evaluation.row
    means = {name: row[name] for name in NAMES if row[name] is not None}
    if "noisy" in scores[0]:
        values = [quality_of["noisy"] for quality_of in scores]
        means["noisy"] = {
            name: float(np.mean([value[name] for value in values]))
            for name in values[0]
        }
    return means


def _table(
    names: list[str], scores: list[dict[str, dict[str, float]]]
) -> dict[str, Any]:
    networks = [n for n in ("noisy", *NAMES) if n in scores[0]]
    measures = list(scores[0]["chip"])
    titles = {"noisy": "input", **NAMES}
    columns = [
        f"{titles[n]}: {MEASURES[m].with_unit}" for n in networks for m in measures
    ]
    rows = [
        [name, *(round(one[n][m], 4) for n in networks for m in measures)]
        for name, one in zip(names, scores, strict=True)
    ]
    return {
        "title": "Each picture",
        "columns": ["picture", *columns],
        "rows": rows,
    }


def _class_tables(evaluation: Evaluation) -> list[dict[str, Any]]:
    """What the integer network made of each class; empty where there is none."""
    confusions = [one["chip"] for one in evaluation.found]
    classes = evaluation.judge.classes(confusions)
    if classes is None:
        return []
    what = "pictures" if evaluation.config.task.kind == "classify" else "pixels"
    rows = [
        [value if isinstance(value, str) else _rounded(value) for value in one.values()]
        for one in classes["table"]
    ]
    return [
        {
            "title": "Each class, integer network",
            "note": f"Share of the {what} that have a class.",
            "columns": list(classes["table"][0]),
            "rows": rows,
        },
        {
            "title": "Confusion matrix, integer network",
            "note": f"Number of {what}: true class by row, found by column.",
            "columns": ["class", *classes["names"]],
            "rows": [
                [name, *counts]
                for name, counts in zip(
                    classes["names"], classes["confusion"], strict=True
                )
            ],
        },
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


#: File key, title, pixels, and of a signed difference its scale in gray levels.
Shown = list[tuple[str, str, Pixels] | tuple[str, str, Pixels, float]]


def _pictures(evaluation: Evaluation, index: int) -> Shown:
    """File key, title and pixels of all that is shown of one picture."""
    picture = evaluation.jobs[index].picture
    task = evaluation.config.task
    match task:
        case SegmentConfig():
            return _segmented(evaluation, picture, task)
        case ClassifyConfig():
            counts = evaluation.found[index]["chip"]
            assert isinstance(counts, dict)
            said = task.folders.classes[int(counts["all"].sum(axis=0).argmax())]
            true = task.folders.classes[class_of(picture)]
            return [
                ("input", f"integer network: {said}; truth: {true}", picture.pixels)
            ]
        case RestoreConfig():
            return _pair(evaluation, picture, task)
        case DenoiseConfig():
            return _denoised(evaluation, index, picture)
        case _:
            assert_never(task)


def _segmented(evaluation: Evaluation, picture: Picture, task: SegmentConfig) -> Shown:
    assert picture.label is not None  # it was scored
    networks, multiple = load(evaluation.files)
    classes = {
        name: find_classes(network, picture, multiple=multiple)
        for name, network in networks.items()
    }
    maps = {n: class_map(classes[n], task.classes) for n in NAMES if n in classes}
    errors = overlay(picture, classes["chip"], task.classes)
    return [
        ("input", "input", picture.pixels),
        *((name, NAMES[name], pixels) for name, pixels in maps.items()),
        ("truth", "truth", class_map(picture.label, task.classes)),
        ("overlay", "integer network against truth", errors),
    ]


def _pair(evaluation: Evaluation, picture: Picture, task: RestoreConfig) -> Shown:
    networks, multiple = load(evaluation.files)
    outputs = {
        name: restored(network, picture, task, multiple=multiple)
        for name, network in networks.items()
    }
    large = picture.pixels.repeat(task.scale, axis=1).repeat(task.scale, axis=2)
    return _restorations("input", large, outputs, target_of(picture))


def _denoised(evaluation: Evaluation, index: int, picture: Picture) -> Shown:
    noisy = evaluation.judge.shown(picture, index)
    networks, multiple = load(evaluation.files)
    outputs = {
        name: restore(network, noisy, multiple=multiple)
        for name, network in networks.items()
    }
    return _restorations("input: noisy", noisy, outputs, picture.pixels)


def _restorations(
    title: str, given: Pixels, outputs: dict[str, Pixels], truth: Pixels
) -> Shown:
    other = outputs.get("ann", truth)
    against = "ANN" if "ann" in outputs else "truth"
    pixels, scale = signed_difference(outputs["chip"], other, PERCENTILE)
    return [
        ("input", title, given),
        *((name, NAMES[name], outputs[name]) for name in NAMES if name in outputs),
        ("truth", "truth", truth),
        ("difference", f"integer network minus {against}", pixels, scale),
    ]
