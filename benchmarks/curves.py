# SPDX-License-Identifier: BSD-3-Clause
"""Quality against T and N, before and after fine-tuning, into docs/curves.json.

    python benchmarks/curves.py --train BSDS500-train --test Set12

Every point is a conversion with searched thresholds, scored as the integer network it
exports to, fine-tuned, and scored again. Points that the file already has are kept, so
a run that was stopped goes on. `render_results.py` draws them.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from export.files.atomic import write_text
from export.lowering import lower
from export.netx import write_network
from loihi_unet.conversion.convert import convert
from loihi_unet.files.spiking_file import load_spiking_unet
from loihi_unet.finetuning.config import FinetuneConfig, FinetuneFiles
from loihi_unet.finetuning.finetune import finetune
from loihi_unet.runs.evaluate_set import EvaluateConfig, report

CURVES = Path(__file__).parents[1] / "docs" / "curves.json"
STEPS = (1, 2, 4, 6, 8, 10, 20, 50)
THRESHOLDS = (1, 2, 3, 4, 5, 6, 7, 8)
#: T of the curve over N, N of the curve over T, N and last T of a second one.
AT_STEPS, AT_THRESHOLDS, MANY_THRESHOLDS, FEW_STEPS = 10, 4, 8, 4
SETTINGS = FinetuneConfig(
    method="flow", iterations=100, batch_size=4, validation_interval=100
)


def main() -> None:
    """Measure the points that are missing, cheap ones first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="denoise-gray", help="U-Net to convert")
    parser.add_argument("--train", type=Path, required=True, help="training pictures")
    parser.add_argument("--test", type=Path, required=True, help="test pictures")
    parser.add_argument("--sigma", type=float, default=25.0)
    parser.add_argument("--work", type=Path, default=Path("runs/curves"))
    arguments = parser.parse_args()
    points = {(steps, AT_THRESHOLDS) for steps in STEPS}
    points |= {(AT_STEPS, thresholds) for thresholds in THRESHOLDS}
    points |= {(steps, MANY_THRESHOLDS) for steps in STEPS if steps <= FEW_STEPS}
    rows = json.loads(CURVES.read_text(encoding="utf-8")) if CURVES.exists() else []
    done = {(row["T"], row["N"]) for row in rows if row["model"] == arguments.model}
    for steps, thresholds in sorted(points - done):
        row = measure(arguments, steps, thresholds)
        rows = sorted([*rows, row], key=lambda r: (r["model"], r["N"], r["T"]))
        write_text(CURVES, json.dumps(rows, indent=1, sort_keys=True) + "\n")
        print(json.dumps(row, sort_keys=True), flush=True)


def measure(
    arguments: argparse.Namespace, steps: int, thresholds: int
) -> dict[str, Any]:
    """Convert, score, fine-tune, score.

    Parameters
    ----------
    arguments : Namespace
        Of the command line.
    steps, thresholds : int
        T and N.

    Returns
    -------
    dict[str, Any]
        A row: PSNR in dB and SSIM of the U-Net and of the integers before and after.
    """
    arguments.work.mkdir(parents=True, exist_ok=True)
    path = arguments.work / f"{arguments.model}-t{steps}-n{thresholds}.safetensors"
    convert(
        arguments.model,
        path,
        arguments.train,
        num_steps=steps,
        num_thresholds=thresholds,
        search=True,
    )
    before = _score(arguments, path)
    tuned = path.with_name(f"tuned-{path.name}")
    resume = FinetuneFiles(tuned).last.exists()
    finetune(path, tuned, arguments.train, SETTINGS, resume)
    after = _score(arguments, tuned)
    return {
        "model": arguments.model,
        "data": arguments.test.name,
        "sigma": arguments.sigma,
        "T": steps,
        "N": thresholds,
        "q": before["q"],
        "ann": before["ann"],
        "before": before["chip"],
        "after": after["chip"],
        "finetune": SETTINGS.model_dump(),
        "seed": before["seed"],
    }


def _score(arguments: argparse.Namespace, path: Path) -> dict[str, Any]:
    snn = load_spiking_unet(path)
    side = snn.multiple
    network = path.with_suffix(".net")
    write_network(lower(snn, side, side), network)
    settings = EvaluateConfig(
        data=arguments.test, sigma=arguments.sigma, checkpoint=arguments.model
    )
    return report(network, settings, command="", workers=1)


if __name__ == "__main__":
    main()
