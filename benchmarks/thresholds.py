# SPDX-License-Identifier: BSD-3-Clause
"""Quality and operations of thresholds per channel, into docs/thresholds.*.

    python benchmarks/thresholds.py --train BSDS500-train --test Set12

Every point is a conversion with thresholds per channel, scored as the integer network
it exports to; with ``--iterations`` it is fine-tuned through its steps, with the
trained network as teacher, and scored again. Points that the file already has are
kept. ``--train`` left out: only the page and the figure are drawn anew.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

from export.files.atomic import write_text
from export.lowering import lower
from export.netx import write_network
from loihi_unet.conversion.convert import convert
from loihi_unet.data.datasets import load_data
from loihi_unet.data.pictures import hold_out
from loihi_unet.files.spiking_file import load_spiking_unet
from loihi_unet.finetuning.config import FinetuneConfig, FinetuneFiles
from loihi_unet.finetuning.cost import cost
from loihi_unet.finetuning.finetune import finetune
from loihi_unet.finetuning.objective import training_config
from loihi_unet.runs.evaluate_set import EvaluateConfig, report
from loihi_unet.tasks.make import make_task

matplotlib.use("Agg")
import matplotlib.pyplot as plt

DOCS = Path(__file__).parents[1] / "docs"
MODEL = "denoise-gray"
#: T, N and the average of N.
POINTS: tuple[tuple[int, int, float | None], ...] = (
    (1, 8, None),
    (1, 8, 6.0),
    (2, 8, None),
    (4, 8, None),
    (10, 8, None),
    (1, 4, None),
    (2, 4, None),
    (4, 4, None),
    (6, 4, None),
    (8, 4, None),
    (10, 4, None),
    (20, 4, None),
    (50, 4, None),
    (10, 7, None),
    (10, 6, None),
    (10, 5, None),
    (10, 3, None),
    (10, 2, None),
    (4, 2, None),
    (10, 1, None),
)


def main() -> None:
    """Measure the points that are missing, then draw all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=Path, help="training pictures")
    parser.add_argument("--test", type=Path, help="test pictures")
    parser.add_argument("--sigma", type=float, default=25.0)
    parser.add_argument("--iterations", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("runs/thresholds"))
    arguments = parser.parse_args()
    path = DOCS / "thresholds.json"
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    if arguments.train is not None:
        for point in POINTS:
            for row in measure(arguments, *point, rows):
                rows = [*rows, row]
                write_text(path, json.dumps(rows, indent=1, sort_keys=True) + "\n")
                print(json.dumps(row, sort_keys=True), flush=True)
    render(rows)


def measure(
    arguments: argparse.Namespace,
    steps: int,
    thresholds: int,
    bits: float | None,
    rows: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    """Convert and score, fine-tune and score; what `rows` has is left out."""
    arguments.work.mkdir(parents=True, exist_ok=True)
    name = f"t{steps}-n{thresholds}" + ("" if bits is None else f"-b{bits:g}")
    path = arguments.work / f"{name}.safetensors"
    wanted = {"T": steps, "N": thresholds, "budget": bits}
    done = {
        row["iterations"] for row in rows if all(row[k] == wanted[k] for k in wanted)
    }
    if not path.exists():
        convert(
            MODEL,
            path,
            arguments.train,
            num_steps=steps,
            num_thresholds=thresholds,
            search=True,
            per="channel",
            bits=bits,
        )
    measured = (
        [] if 0 in done else [{**wanted, "iterations": 0, **score(arguments, path)}]
    )
    if arguments.iterations and arguments.iterations not in done:
        tuned = path.with_name(f"tuned-{path.name}")
        settings = FinetuneConfig(
            teacher=MODEL, iterations=arguments.iterations, batch_size=4
        )
        resume = FinetuneFiles(tuned).last.exists()
        finetune(path, tuned, arguments.train, settings, resume)
        scored = score(arguments, tuned)
        measured.append({**wanted, "iterations": arguments.iterations, **scored})
    return measured


def score(arguments: argparse.Namespace, path: Path) -> dict[str, Any]:
    """PSNR of the integers and of the trained network, and what a picture costs."""
    snn = load_spiking_unet(path)
    network = path.with_suffix(".net")
    write_network(lower(snn, *[snn.multiple] * 2), network)
    settings = EvaluateConfig(
        data=arguments.test, sigma=arguments.sigma, checkpoint=MODEL
    )
    evaluated = report(network, settings, command="", workers=1)
    config = training_config(snn, where=str(path)).model_copy(
        update={"batch_size": 4, "patch_size": 64}
    )
    pictures = load_data(config.task, arguments.train, config.model.in_channels)
    task = make_task(config, *hold_out(pictures, config.validation_images))
    counted = cost(snn, task)
    return {
        "data": arguments.test.name,
        "sigma": arguments.sigma,
        "seed": evaluated["seed"],
        "bits": evaluated["bits"],
        "ann": evaluated["ann"]["psnr"],
        "chip": evaluated["chip"]["psnr"],
        "events": counted.events,
        "operations": counted.operations,
    }


def render(rows: list[dict[str, Any]]) -> None:
    """Write docs/thresholds.md and its figure."""
    flow = {
        (row["T"], row["N"]): row["after"]["psnr"] - row["ann"]["psnr"]
        for row in json.loads((DOCS / "curves.json").read_text(encoding="utf-8"))
        if row["model"] == MODEL
    }
    rows = sorted(rows, key=lambda r: (r["T"], -r["bits"], r["iterations"]))
    lines = [
        "# Thresholds per channel",
        "",
        f"`{MODEL}` on {rows[0]['data']}, sigma {rows[0]['sigma']:g}, noise seed "
        f"{rows[0]['seed']}: dB of the integer network below its trained network "
        f"({rows[0]['ann']:.2f}). *iterations*: of fine-tuning through the steps, 0: "
        "converted only. *flow*: thresholds per layer, 100 iterations by flow, from "
        "[results.md](results.md). *operations*: effective synaptic operations per "
        "pixel and picture, *messages* per neuron and picture, on four training crops. "
        "Measured by `python benchmarks/thresholds.py --train BSDS500-train --test "
        "Set12`.",
        "",
        "![dB below the trained network against synaptic operations](thresholds.png)",
        "",
        "| T | N | bits | iterations | integers - ANN | flow | messages | operations |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        old = None if row["budget"] else flow.get((row["T"], row["N"]))
        beside = "" if old is None else f"{old:.2f}"
        lines.append(
            f"| {row['T']} | {row['N']} | {row['bits']:.2f} | {row['iterations']} | "
            f"{row['chip'] - row['ann']:.3f} | {beside} | {row['events']:.2f} | "
            f"{row['operations']:.0f} |"
        )
    for remark in sorted({row["remark"] for row in rows if "remark" in row}):
        of = [f"T = {r['T']}, N = {r['N']}" for r in rows if r.get("remark") == remark]
        lines += ["", f"{'; '.join(of)}: {remark}."]
    write_text(DOCS / "thresholds.md", "\n".join(lines) + "\n")
    figure, axes = plt.subplots(figsize=(6, 4), dpi=150)
    for row in rows:
        tuned = row["iterations"] > 0
        below = row["ann"] - row["chip"]
        axes.scatter(row["operations"], below, marker="o" if tuned else "x", c="C0")
        if tuned or row["T"] == 1:
            axes.annotate(
                f"T = {row['T']}, {row['bits']:.3g} bits",
                (row["operations"], below),
                xytext=(5, 4),
                textcoords="offset points",
                fontsize=8,
            )
    axes.set(xscale="log", yscale="log")
    axes.set_xlabel("synaptic operations per pixel")
    axes.set_ylabel("dB below the trained network")
    axes.margins(x=0.2, y=0.1)
    axes.grid(alpha=0.3, which="both")
    figure.tight_layout()
    figure.savefig(DOCS / "thresholds.png")


if __name__ == "__main__":
    main()
