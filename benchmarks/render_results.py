# SPDX-License-Identifier: BSD-3-Clause
"""Write docs/results.md and its plot from results.json, curves.json and reproduce/.

python benchmarks/render_results.py
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import results_plot
from rankings import Claim, claims

from loihi_unet.reproduce import paper

matplotlib.use("Agg")
import matplotlib.pyplot as plt

DOCS = Path(__file__).parents[1] / "docs"

#: Of SPIDEN (doi:10.3389/fnins.2023.1224457), which does not state T: DCNN, SNN.
SPIDEN = {("denoise", "Set12", 25): ("30.43 (DCNN)", "30.18 (SPIDEN)")}
#: The paper's name of a measure of ours; whole pictures, as it does not say otherwise.
PRINTED = {"psnr": "PSNR", "ssim": "SSIM", "f1": "F1", "jaccard": "JS"}
PRINTED |= {"accuracy": "ACC", "miou": "mIoU"}

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
whose network is 64 channels wide and trained on a GPU; all of its cells are below.

denoise-gray ships with T = 1 since 0.2.0; its rows with T = 4 are of the network that
shipped before.
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
    lines += [*_missing(rows), *_short(rows), *_operations(rows), *_printed(rows)]
    lines += [*_rankings(), *TAIL, ""]
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
    names = [name for name in MEASURES if name in row["chip"]]
    return [
        row["data"],
        "" if sigma is None else f"{sigma:g}",
        *(row["T"], _thresholds(row), row["width"]),
        *("yes" if row[key] else "no" for key in ("searched", "finetuned")),
        "<br>".join(MEASURES[name] for name in names),
        *("<br>".join(_values(row[kind], names)) for kind in ("ann", "snn", "chip")),
        *(_beside(row, names, *system) for system in (("U-Net", "ANN"), ("MT", "FT"))),
    ]


def _lines(data: str, sigma: float | None) -> dict[str, str]:
    """The paper's lines on some data, by measure."""
    found = {key[2]: line for key, line in paper.SEGMENTATION.items() if key[0] == data}
    found |= {
        key[2]: line
        for key, line in paper.DENOISING.items()
        if (key[0], key[3]) == (data, sigma)
    }
    return found


def _beside(row: dict[str, Any], names: list[str], system: str, way: str) -> str:
    """The paper's numbers for a row's measures, line by line."""
    key = (row["task"], row["data"], row["sigma"])
    if key in SPIDEN:
        return SPIDEN[key][way != "ANN"]
    lines = _lines(row["data"], row["sigma"])
    cells = [
        paper.cell(lines[PRINTED[name]], system, way)
        if PRINTED.get(name) in lines
        else paper.NO_CELL
        for name in names
    ]
    return "" if set(cells) == {paper.NO_CELL} else "<br>".join(cells)


def _thresholds(row: dict[str, Any]) -> str:
    few = row["bits"] < row["N"]
    return f"{row['N']} at most, {row['bits']:g} on average" if few else f"{row['N']}"


def _values(scores: dict[str, float] | None, names: list[str]) -> list[str]:
    if scores is None:
        return []
    return [f"{scores[name]:.{2 if name == 'psnr' else 3}f}" for name in names]


def _wanted() -> list[tuple[str, float | None]]:
    """Data and sigma that the paper has."""
    keys = [(key[0], None) for key in paper.SEGMENTATION]
    return list(dict.fromkeys([*keys, *((key[0], key[3]) for key in paper.DENOISING)]))


def _missing(rows: list[dict[str, Any]]) -> list[str]:
    measured = {(row["data"], row["sigma"]) for row in rows}
    absent = [key for key in _wanted() if key not in measured]
    if not absent:
        return []
    lines = ["## Not measured yet", ""]
    for data, sigma in absent:
        noise = "" if sigma is None else f", sigma {sigma:g}"
        cells = _lines(data, sigma).items()
        what = "; ".join(
            f"{name} {paper.cell(line, 'U-Net', 'ANN')} (U-Net), "
            f"{paper.cell(line, 'MT', 'FT')} (Spiking-UNet)"
            for name, line in cells
        )
        lines.append(f"- {data}{noise}: the paper has {what}.")
    return [*lines, ""]


def _short(rows: list[dict[str, Any]]) -> list[str]:
    """Data on which the best integers stay below the paper's spiking network."""
    best: dict[Any, tuple[float, str, int]] = {}
    for row in rows:
        key = (row["task"], row["data"], row["sigma"])
        names = [name for name in MEASURES if name in row["chip"]]
        name = next((name for name in names if name in PRINTED), names[0])
        candidate = (row["chip"][name], name, row["T"])
        best[key] = max(best.get(key, candidate), candidate)
    lines = []
    for key, (value, name, num_steps) in best.items():
        _, data, sigma = key
        printed = _lines(data, sigma).get(PRINTED.get(name, ""))
        cell = paper.cell(printed, "MT", "FT") if printed else paper.NO_CELL
        wanted = SPIDEN[key][1].split()[0] if key in SPIDEN else cell
        if wanted != paper.NO_CELL and value < float(wanted):
            noise = "" if sigma is None else f", sigma {sigma:g}"
            digits = 2 if name == "psnr" else 3
            lines.append(
                f"- {data}{noise}, T = {num_steps}: {MEASURES[name]} "
                f"{value:.{digits}f} against {wanted}. {TRIED.get(key, '')}".rstrip()
            )
    return ["## Below the paper", "", *lines, ""] if lines else []


def _operations(rows: list[dict[str, Any]]) -> list[str]:
    """Quality against operations, and where each point is from."""
    results_plot.draw(rows, DOCS / "results_macs.png")
    body = [
        (point.name, f"{point.macs:,.0f}", f"{point.psnr:.2f}", point.source)
        for point in results_plot.points(rows)
    ]
    head = ("network", "MAC a pixel", f"PSNR, {results_plot.DATA}, sigma 25", "source")
    return [
        "## Quality against operations",
        "",
        "![PSNR on BSD68 at sigma 25 against multiply-accumulates a pixel]"
        "(results_macs.png)",
        "",
        "Multiply-accumulates of the network as a CNN, whatever its neurons then do,",
        "on an endless picture (`loihi_unet.networks.operations`); of published",
        "networks by the layers that their articles state. DnCNN-S is trained for",
        "sigma 25 alone, and FFDNet is told sigma; the others are blind. DnCNN trains",
        "on 400 pictures, FFDNet on 5,544, the paper and ours on 200.",
        "",
        *_table(head, body),
        "",
    ]


def _printed(rows: list[dict[str, Any]]) -> list[str]:
    """Every cell of the paper's tables 1 and 2, with the best integers beside it."""
    names = [" ".join(key) if key[1] != "ANN" else key[0] for key in paper.SYSTEMS]
    ours = {text: name for name, text in PRINTED.items()}
    body = []
    for data, sigma in _wanted():
        steps = {k[0]: k[1] for k in (*paper.SEGMENTATION, *paper.DENOISING)}[data]
        for measure, line in _lines(data, sigma).items():
            name = ours[measure]
            found = [
                row
                for row in rows
                if (row["data"], row["sigma"]) == (data, sigma) and name in row["chip"]
            ]
            best = max(found, key=lambda row: row["chip"][name], default=None)
            digits = 2 if name == "psnr" else 3
            body.append(
                (
                    *(data, "" if sigma is None else f"{sigma:g}", measure, steps),
                    *line.split(),
                    "-" if best is None else f"{best['chip'][name]:.{digits}f}",
                    "-" if best is None else f"{best['T']}",
                )
            )
    head = ("data", "sigma", "measure", "T", *names, "ours, integers", "ours, T")
    return [
        "## The paper's own tables",
        "",
        "All cells of Tables 1 and 2 of arXiv 2307.10974, 64 channels, and the best",
        "integers of the rows above. *DT*: trained directly, *FT*: converted and",
        "fine-tuned; a dash: no cell in the paper. Its CamSeq01 has 32 classes, ours",
        "11. Tables 3 to 5 are in [reproduce](reproduce.md), beside our rows.",
        "",
        *_table(head, body),
        "",
    ]


def _rankings() -> list[str]:
    """What the papers rank, and where it is otherwise here."""
    by_text: dict[str, list[Claim]] = {}
    for claim in claims(DOCS / "reproduce"):
        by_text.setdefault(claim.text, []).append(claim)
    body, exceptions = [], []
    for text, group in by_text.items():
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
