# SPDX-License-Identifier: BSD-3-Clause
"""Which rankings of the papers hold in docs/reproduce/, claim by claim."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

#: Measure that decides, and its digits, by contest.
DECIDES = {
    "denoise-gray": (("25", "psnr"), 2),
    "denoise-colour": (("25", "psnr"), 2),
    "segment-drive": (("f1_fov",), 3),
    "segment-isbi2012": (("f1",), 3),
    "segment-camseq01": (("miou",), 3),
}
KINDS = ("ML", "RS", "MT")
#: Decibels below its DCNN that SPIDEN's article allows itself.
SPIDEN_GAP = 0.25


class Claim(NamedTuple):
    """One comparison of a paper, tried here.

    Attributes
    ----------
    text : str
        What the paper says.
    where : str
        Data and setting.
    numbers : str
        What was measured.
    holds : bool
        Whether it is so here.
    """

    text: str
    where: str
    numbers: str
    holds: bool


def claims(folder: Path) -> list[Claim]:
    """Return every claim that the records in a folder decide.

    Parameters
    ----------
    folder : Path
        Holds ``table1.json``, ``table2.json``, ``table3.json`` and ``spiden.json``.

    Returns
    -------
    list[Claim]
        Claim by claim.
    """
    contests = [*_rows(folder, "table1"), *_rows(folder, "table2")]
    ablation = _rows(folder, "table3")
    return [
        *_finetuning(contests),
        *_neurons(contests),
        *_normalisation(ablation),
        *_thresholds(ablation),
        *_spiden(_rows(folder, "spiden")),
    ]


def _rows(folder: Path, name: str) -> list[dict[str, Any]]:
    record = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = record["rows"]
    return rows


def _scores(rows: list[dict[str, Any]]) -> dict[str, dict[tuple[str, str], float]]:
    """Return by contest what each neuron reached in each way."""
    by_subject: dict[str, dict[tuple[str, str], float]] = {}
    for row in rows:
        value = row["floats"]
        if value is None:  # flow: integers only
            continue
        for key in DECIDES[row["subject"]][0]:
            value = value[key]
        by_subject.setdefault(row["subject"], {})[row["system"], row["way"]] = value
    return by_subject


def _finetuning(rows: list[dict[str, Any]]) -> Iterator[Claim]:
    for name, scores in _scores(rows).items():
        digits = DECIDES[name][1]
        for kind in KINDS:
            tuned, direct = scores[kind, "FT"], scores[kind, "DT"]
            numbers = f"{tuned:.{digits}f} against {direct:.{digits}f}"
            yield Claim("FT above DT", f"{name}, {kind}", numbers, tuned > direct)


def _neurons(rows: list[dict[str, Any]]) -> Iterator[Claim]:
    for name, scores in _scores(rows).items():
        digits = DECIDES[name][1]
        for way in ("DT", "FT"):
            for better, worse in (("MT", "RS"), ("RS", "ML")):
                high, low = scores[better, way], scores[worse, way]
                numbers = f"{high:.{digits}f} against {low:.{digits}f}"
                yield Claim(
                    f"{better} above {worse}", f"{name}, {way}", numbers, high > low
                )


def _ablation(rows: list[dict[str, Any]], key: str) -> Iterator[tuple[Any, ...]]:
    """Yield pairs of rows that differ in one setting only."""
    settings = ("subject", "T", "finetuned", "normalisation", "neuron")
    groups: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        rest = tuple(row[name] for name in settings if name != key)
        groups.setdefault(rest, {})[row[key]] = row
    yield from groups.items()


def _normalisation(rows: list[dict[str, Any]]) -> Iterator[Claim]:
    for (name, steps, tuned, neuron), pair in _ablation(rows, "normalisation"):
        where = f"{name}, {neuron}, T = {steps}{', fine-tuned' if tuned else ''}"
        # Integers ran on more pictures, but not for T = 1000.
        score = "few_snn" if pair["layer"]["chip"] is None else "chip"
        high, low = (pair[key][score] for key in ("connection", "layer"))
        yield Claim(
            "connection-wise above layer-wise",
            where,
            _pair(name, high, low),
            high > low,
        )


def _thresholds(rows: list[dict[str, Any]]) -> Iterator[Claim]:
    for (name, steps, tuned, how), pair in _ablation(rows, "neuron"):
        if pair["MT"]["chip"] is None:
            continue
        where = f"{name}, {how}-wise, T = {steps}{', fine-tuned' if tuned else ''}"
        high, low = (pair[key]["chip"] for key in ("MT", "IF"))
        yield Claim("MT above IF, integers", where, _pair(name, high, low), high > low)


def _pair(name: str, high: float, low: float) -> str:
    digits = DECIDES[name][1]
    return f"{high:.{digits}f} against {low:.{digits}f}"


def _spiden(rows: list[dict[str, Any]]) -> Iterator[Claim]:
    dcnn = next(row for row in rows if row["subject"] == "trained")
    sigma = next(iter(dcnn["floats"]))
    reference = dcnn["floats"][sigma]["psnr"]
    names = {"trained": "direct", "tuned": "from the DCNN's weights"}
    for row in rows:
        if row["subject"] in names and row["T"] is not None:
            gap = reference - row["chip"][sigma]["psnr"]
            yield Claim(
                f"SPIDEN at most {SPIDEN_GAP} dB below its DCNN",
                f"{names[row['subject']]}, T = {row['T']}",
                f"{gap:.2f} dB",
                gap <= SPIDEN_GAP,
            )
