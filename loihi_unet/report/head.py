# SPDX-License-Identifier: BSD-3-Clause
"""What stands at the top of the page: the verdict in a sentence, quality by rung."""

from __future__ import annotations

from dataclasses import dataclass

from loihi_unet.report.schema import Compared, Report

RUNGS = (
    ("noisy", "input", "what the networks were given"),
    ("ann", "float ANN", "the trained network in floating point"),
    ("snn", "float SNN", "its spiking version in floating point"),
    ("chip", "integer network", "the integers that are exported"),
)

#: What the keys of a report's settings mean.
SETTINGS = {
    "num_steps": "time steps of a picture (T)",
    "T": "time steps of a picture (T)",
    "num_thresholds": "thresholds of a neuron (N)",
    "N": "thresholds of a neuron (N)",
    "base_threshold": "lowest threshold (q)",
    "q": "lowest threshold (q)",
    "sigma": "noise (sigma), gray levels",
    "seed": "seed of the noise",
    "width": "feature maps of the first layer",
    "images": "pictures",
    "finetuned": "fine-tuned",
}


@dataclass(frozen=True, kw_only=True)
class Measure:
    """How a measure is called and written."""

    title: str
    digits: int = 4
    unit: str = ""

    def text(self, value: float) -> str:
        """Value and unit."""
        return f"{value:.{self.digits}f}{self.unit}"

    @property
    def with_unit(self) -> str:
        """Title of a column of bare numbers."""
        return f"{self.title},{self.unit}" if self.unit else self.title

    def change(self, value: float) -> str:
        """Value with its sign, and unit."""
        return f"{value:+.{self.digits}f}{self.unit}"


# The first that is there is shown large.
MEASURES = {
    "psnr": Measure(title="PSNR", digits=2, unit=" dB"),
    "f1_fov": Measure(title="F1 (field of view)"),
    "f1_membrane": Measure(title="F1 (membrane)"),
    "miou_fov": Measure(title="mIoU (field of view)"),
    "miou": Measure(title="mIoU"),
    "top1": Measure(title="top-1"),
    "mean_recall": Measure(title="mean recall"),
    "ssim": Measure(title="SSIM"),
    "f1": Measure(title="F1"),
    "jaccard": Measure(title="Jaccard"),
    "accuracy": Measure(title="accuracy"),
}


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One step of the way from the input to the chip.

    Parameters
    ----------
    title, meaning : str
        What gave the output, and what that is.
    scores : tuple of (str, str)
        Title and value of each measure, the main one first.
    change : str or None
        Of the main measure, from the rung before.
    """

    title: str
    meaning: str
    scores: tuple[tuple[str, str], ...]
    change: str | None


def rungs(report: Report) -> list[Rung]:
    """Quality from rung to rung, and what each one loses."""
    ladder: list[Rung] = []
    before: dict[str, float] = {}
    for key, title, meaning in RUNGS:
        scores = {
            name: report.quality[f"{key}_{name}"]
            for name in MEASURES
            if f"{key}_{name}" in report.quality
        }
        if not scores:
            continue
        main = next(iter(scores))
        change = scores[main] - before[main] if main in before else None
        ladder.append(
            Rung(
                title=title,
                meaning=meaning,
                scores=tuple(
                    (MEASURES[name].title, MEASURES[name].text(value))
                    for name, value in scores.items()
                ),
                change=None if change is None else MEASURES[main].change(change),
            )
        )
        before = scores
    return ladder


def number(value: object) -> str:
    """A value for people: separators, six digits, no Python."""
    match value:
        case None:
            return "\u2013"  # a dash
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float() if abs(value) >= 1000:
            return f"{value:,.0f}"
        case float():
            return f"{value:.6g}"
        case list() | tuple():
            return ", ".join(map(number, value))
    return str(value)


def settings(report: Report) -> list[tuple[str, str]]:
    """Return what a run was set to, in words."""
    return [
        (SETTINGS.get(key, key.replace("_", " ")), number(value))
        for key, value in sorted(report.settings.items())
    ]


def pictures(compared: Compared) -> str:
    """As ``"3 of 128x128"``; of a report without sizes, the number."""
    if not compared.sizes:
        return number(compared.images)
    return ", ".join(f"{n:,} of {h}x{w}" for n, h, w in compared.sizes)


def covered(compared: Compared) -> str:
    """Share of the weights that had a say; never rounded up to all of them."""
    coverage = compared.coverage
    if coverage is None or coverage.weights is None or not coverage.weights.total:
        return "not counted"
    tenths = 1000 * coverage.weights.met // coverage.weights.total
    return f"{tenths / 10} %"


def statement(report: Report) -> str:
    """What was compared and what came out, in one sentence; empty if nothing was."""
    if not report.comparisons:
        return ""
    wrong = next((c for c in report.comparisons if c.word == "FAIL"), None)
    if wrong is not None:
        return f"{wrong.left} and {wrong.right} differ{_where(wrong)}."
    total = sum(c.compared for c in report.comparisons)
    # By backend on the left, in the order of the comparisons.
    sides: dict[str, list[str]] = {}
    for c in report.comparisons:
        sides.setdefault(c.left, []).append(c.right)
    same = "; ".join(f"{k} = {_listed(v)}" for k, v in sides.items())
    return f"{same}: {total:,} payloads and outputs compared, all of them equal."


def _where(wrong: Compared) -> str:
    why = "; ".join(wrong.reasons)
    if not wrong.mismatches:
        return f": {why or 'they ran different networks'}"
    share = f" in {wrong.mismatches:,} of {wrong.compared:,} values"
    layers = sum(1 for layer in wrong.layers if layer.mismatches)
    return f"{share}, in {layers} of {len(wrong.layers)} layers" + (why and f"; {why}")


def _listed(names: list[str]) -> str:
    return " = ".join(dict.fromkeys(names))
