# SPDX-License-Identifier: BSD-3-Clause
"""Write docs/results.md and its plot from results.json, curves.json and reproduce/.

python benchmarks/render_results.py
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from rankings import Claim, claims

matplotlib.use("Agg")
import matplotlib.pyplot as plt

DOCS = Path(__file__).parents[1] / "docs"

#: What arXiv 2307.10974 reports: (task, data, sigma) to (U-Net, Spiking-UNet, T); for
#: Set12 SPIDEN (doi:10.3389/fnins.2023.1224457), which does not state T.
PAPER = {
    ("denoise", "BSD68", 15): ("31.02", "31.08", 10),
    ("denoise", "BSD68", 25): ("28.61", "28.72", 10),
    ("denoise", "BSD68", 50): ("25.72", "25.86", 10),
    ("denoise", "CBSD68", 15): ("33.32", "33.14", 20),
    ("denoise", "CBSD68", 25): ("30.59", "30.57", 20),
    ("denoise", "CBSD68", 50): ("27.14", "27.24", 20),
    ("denoise", "Set12", 25): ("30.43 (DCNN)", "30.18 (SPIDEN)", None),
    ("drive", "DRIVE", None): (".806 .675 .970", ".794 .658 .970", 10),
    ("isbi2012", "ISBI2012", None): (".948 .902 .918", ".947 .900 .917", 50),
    ("camseq01", "CamSeq01", None): (".620", ".651", 20),
}

#: What was tried where the integers stay below the paper's spiking network.
TRIED = {
    ("denoise", "Set12", 25): (
        "SPIDEN trains for sigma 25 alone, these models for sigma 0..55. A U-Net of 16 "
        "channels for sigma 25 alone (`--config denoise-gray25`) came to 30.02 dB "
        "before conversion, so width and training time bind, not the conversion: 64 "
        "channels (`denoise-gray25-paper`) want a GPU."
    ),
}

#: Why a ranking of the papers does not hold here.
WHY = {
    "RS above ML": (
        "Both leak, and reset to zero. In a step ML sends 0 to 3, RS 0 or 1 times a "
        "coefficient that every pixel of a feature map shares, so a layer of 8 maps "
        "says less in 4 steps; and ML's rows trained half as long again, since it has "
        "three potentials. The paper has 64 maps and 10 to 50 steps."
    ),
    "SPIDEN at most 0.25 dB below its DCNN": (
        "From random weights the gap nearly halves with each doubling of T, so the "
        "neuron's T + 1 levels bind. From the DCNN's weights T = 16 gains little over "
        "T = 8: after 1000 iterations the length of training binds. Wider networks and "
        "longer trainings were not tried."
    ),
}

#: Measures that are shown, in this order, under these names.
MEASURES = {
    "psnr": "PSNR",
    "ssim": "SSIM",
    "f1_fov": "F1 (fov)",
    "jaccard_fov": "JS (fov)",
    "accuracy_fov": "ACC (fov)",
    "f1": "F1",
    "jaccard": "JS",
    "miou": "mIoU",
    "accuracy": "ACC",
    "f1_membrane": "F1 of membrane",
}

COLUMNS = ("data", "sigma", "T", "N", "width", "searched", "fine-tuned", "measure")
COLUMNS += (
    "ANN",
    "float SNN, converted",
    "integers",
    "paper: U-Net",
    "paper: Spiking-UNet",
)

HEAD = """# Results

Rendered from results.json by `python benchmarks/render_results.py`; each row was
written by its command below. *integers*: the network that goes to the chip, bit-exact
on every backend. PSNR in dB on the output clipped to 0..255, data range 255; noise
seeded, rounded, not clipped; blind models, sigma 0..55. *paper*: arXiv 2307.10974,
whose network is 64 channels wide and trained on a GPU (F1 JS ACC for DRIVE and EM).

Rows of BSD68, CBSD68 and DRIVE, whose sides are no multiples of 16, were measured
before all commands padded pictures alike (version 0.1.0 reflected without the edge
pixel here); they have not been measured again.
""".splitlines()


TAIL = """## Where the networks come from

denoise-gray, denoise-colour and segment-drive ship with the package; the commands that
made them are in loihi_unet/models/*.json. Seed 0 everywhere. CamSeq01, of whose 101
frames the first 80 train:

    loihi-unet train --config segment-camseq01 --data CamSeq01 --out segment-camseq01
    loihi-unet convert segment-camseq01 --steps 4 --thresholds 8 --data CamSeq01 \\
        --thresholds-per layer --out camseq01-t4.safetensors
    loihi-unet finetune camseq01-t4.safetensors --data CamSeq01 --iterations 150 \\
        --method flow --batch-size 4 --patch-size 192 --learning-rate 5e-5 \\
        --validation-interval 50 \\
        --out segment-camseq01.safetensors
    loihi-unet export segment-camseq01.safetensors --size 256x256 \\
        --out segment-camseq01.net

37 minutes of training and 8 of fine-tuning on two busy cores. Without zoom, light and
weighted classes in training, the same U-Net stayed at a mean IoU of 0.55 after half the
iterations. ISBI 2012: `--config segment-isbi2012`, the same conversion; how long it was
fine-tuned was not recorded.
""".splitlines()


def main() -> None:
    """Render the page."""
    rows = _read("results.json")
    lines = [*HEAD, "", *_table(COLUMNS, [_cells(row) for row in rows]), ""]
    for row in rows:
        lines += [f"    {row['command']}", ""]
    lines += [*_missing(rows), *_short(rows), *_rankings(), *TAIL, ""]
    lines += _curves(_read("curves.json"))
    (DOCS / "results.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def _read(name: str) -> list[dict[str, Any]]:
    path = DOCS / name
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(map(str, cells))} |" for cells in lines]


def _cells(row: dict[str, Any]) -> list[Any]:
    sigma = row["sigma"]
    paper = PAPER.get((row["task"], row["data"], sigma), ("", "", None))
    names = [name for name in MEASURES if name in row["chip"]]
    return [
        row["data"],
        "" if sigma is None else f"{sigma:g}",
        *(row["T"], _thresholds(row), row["width"]),
        *("yes" if row[key] else "no" for key in ("searched", "finetuned")),
        "<br>".join(MEASURES[name] for name in names),
        *("<br>".join(_values(row[kind], names)) for kind in ("ann", "snn", "chip")),
        *paper[:2],
    ]


def _thresholds(row: dict[str, Any]) -> str:
    few = row["bits"] < row["N"]
    return f"{row['N']} at most, {row['bits']:g} on average" if few else f"{row['N']}"


def _values(scores: dict[str, float] | None, names: list[str]) -> list[str]:
    if scores is None:
        return []
    return [f"{scores[name]:.{2 if name == 'psnr' else 3}f}" for name in names]


def _missing(rows: list[dict[str, Any]]) -> list[str]:
    measured = {(row["task"], row["data"], row["sigma"]) for row in rows}
    absent = [key for key in PAPER if key not in measured]
    if not absent:
        return []
    lines = ["## Not measured yet", ""]
    for task, data, sigma in absent:
        noise = "" if sigma is None else f", sigma {sigma}"
        paper = PAPER[task, data, sigma]
        lines.append(
            f"- {task}, {data}{noise}: the paper has {paper[0]} (U-Net) and {paper[1]} "
            f"(Spiking-UNet, T = {paper[2]})."
        )
    return [*lines, ""]


def _short(rows: list[dict[str, Any]]) -> list[str]:
    """Data on which the best integers stay below the paper's spiking network."""
    best: dict[Any, tuple[float, str, int]] = {}
    for row in rows:
        key = (row["task"], row["data"], row["sigma"])
        name = next(name for name in MEASURES if name in row["chip"])
        found = (row["chip"][name], name, row["T"])
        best[key] = max(best.get(key, found), found)
    lines = []
    for key, (value, name, num_steps) in best.items():
        if key not in PAPER:
            continue
        paper = float(PAPER[key][1].split()[0])
        if value < paper:
            _, data, sigma = key
            noise = "" if sigma is None else f", sigma {sigma:g}"
            digits = 2 if name == "psnr" else 3
            lines.append(
                f"- {data}{noise}, T = {num_steps}: {MEASURES[name]} "
                f"{value:.{digits}f} against {paper:g}. {TRIED.get(key, '')}".rstrip()
            )
    return ["## Below the paper", "", *lines, ""] if lines else []


def _rankings() -> list[str]:
    """What the papers rank, and where it is otherwise here."""
    found: dict[str, list[Claim]] = {}
    for claim in claims(DOCS / "reproduce"):
        found.setdefault(claim.text, []).append(claim)
    body, exceptions = [], []
    for text, group in found.items():
        held = [claim for claim in group if claim.holds]
        body.append((text, f"{len(held)} of {len(group)}"))
        not_held = [claim for claim in group if not claim.holds]
        if not_held:
            listed = "; ".join(f"{x.where}: {x.numbers}" for x in not_held)
            exceptions += [f"- **{text}** is not so for {listed}.", ""]
            exceptions += [f"  {WHY[text]}", ""] if text in WHY else []
    return [
        "## Rankings of the papers",
        "",
        "At equal width, data and training time, on small networks and squares",
        "([reproduce.md](reproduce.md)); counted from the rows in reproduce/*.json.",
        "",
        *_table(("claim", "holds"), body),
        "",
        *exceptions,
    ]


def _curves(rows: list[dict[str, Any]]) -> list[str]:
    """Table of quality against T and N, and its plot."""
    if not rows:
        return []
    _draw(rows)
    first = rows[0]
    settings = first["finetune"]
    head = ("T", "N", "q", "ANN", "converted", "fine-tuned", "fine-tuned - ANN")
    cells = [
        [
            *(row["T"], row["N"], f"{row['q']:g}", f"{row['ann']['psnr']:.2f}"),
            *(f"{row[kind]['psnr']:.2f}" for kind in ("before", "after")),
            f"{row['after']['psnr'] - row['ann']['psnr']:+.2f}",
        ]
        for row in rows
    ]
    return [
        "## Quality against T and N",
        "",
        f"`{first['model']}` on {first['data']}, sigma {first['sigma']:g}: PSNR in dB",
        "of the integer network, converted with searched thresholds, and after",
        f"{settings['iterations']} iterations of fine-tuning on "
        f"{settings['batch_size']} crops each. Measured by",
        f"`python benchmarks/curves.py --train BSDS500-train --test {first['data']}`.",
        "",
        "![PSNR against T and N](curves.png)",
        "",
        *_table(head, cells),
        "",
    ]


def _draw(rows: list[dict[str, Any]]) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, dpi=110)
    for axis, over, fixed in ((axes[0], "T", "N"), (axes[1], "N", "T")):
        values = sorted({row[fixed] for row in rows})
        groups = {v: [row for row in rows if row[fixed] == v] for v in values}
        for number, (value, points) in enumerate(
            (v, sorted(g, key=lambda row: row[over]))
            for v, g in groups.items()
            if len(g) > 2
        ):
            x = [row[over] for row in points]
            for kind, style in (("before", ":"), ("after", "-")):
                label = {"before": "converted", "after": "fine-tuned"}[kind]
                axis.plot(
                    x,
                    [row[kind]["psnr"] for row in points],
                    f"o{style}",
                    color=f"C{number}",
                    markersize=3,
                    label=f"{fixed} = {value}, {label}",
                )
        axis.axhline(rows[0]["ann"]["psnr"], color="gray", linewidth=1, label="ANN")
        axis.set_xlabel(over)
        axis.legend(fontsize=7)
        axis.grid(alpha=0.3)
    axes[0].set_xscale("log")
    axes[0].set_xticks(sorted({row["T"] for row in rows}))
    axes[0].xaxis.set_major_formatter("{x:g}")
    axes[0].minorticks_off()
    axes[0].set_ylabel("PSNR (dB)")
    figure.tight_layout()
    figure.savefig(DOCS / "curves.png")


if __name__ == "__main__":
    main()
