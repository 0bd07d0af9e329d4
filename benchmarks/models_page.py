# SPDX-License-Identifier: BSD-3-Clause
"""Write docs/models.md: a card for each model that ships.

python benchmarks/models_page.py
"""

import hashlib
from pathlib import Path
from typing import Any

from shipped_models import ROOT, Shipped, all_shipped, table

from export.files.atomic import write_text
from export.fit import fit
from export.synapse import AveragePool
from loihi_unet.config import DenoiseConfig, SegmentConfig
from loihi_unet.networks.operations import macs_per_pixel

#: What the owners of the pictures allow, by name of the data set.
LICENCES = {
    "BSDS500-train": (
        "the 200 training pictures of BSDS500 (Arbelaez et al. 2011, "
        "doi:10.1109/TPAMI.2010.161)",
        "non-commercial research and education, as Berkeley states",
    ),
    "DRIVE": (
        "the 20 training pictures of DRIVE (Staal et al. 2004, "
        "doi:10.1109/TMI.2004.825627)",
        "research and education only",
    ),
    "ISBI2012": (
        "the first 25 sections of ISBI 2012's training stack (Arganda-Carreras et al. "
        "2015, doi:10.3389/fnana.2015.00142)",
        "non-commercial research",
    ),
    "CamSeq01": (
        "the first 80 frames of CamSeq01 (Fauqueur et al. 2007)",
        "non-commercial research",
    ),
    "scikit-image": (
        "the photographs that ship with scikit-image",
        "free, each by its own licence in scikit-image",
    ),
}
UNKNOWN = ("pictures named", "not recorded: ask whoever owns the pictures")
#: Sides of the pictures whose cores are counted.
SIDES = (64, 128)
#: Measures that are shown, and their digits.
MEASURES = {"psnr": ("PSNR, dB", 2), "ssim": ("SSIM", 3), "miou": ("mIoU", 3)}
MEASURES |= {"f1": ("F1", 3), "jaccard": ("JS", 3), "accuracy": ("ACC", 3)}

HEAD = """# Models that ship

Written by `python benchmarks/models_page.py` from the files themselves, their recipes
(loihi_unet/models/*.json) and docs/results.json. The code is BSD-3-Clause; the weights
were made of pictures whose owners allow **research only**, and so do these weights: ask
the owners before any other use.

Each name stands for two files: the U-Net in floating point (`train`'s checkpoint, as
float16, with the scales of the default conversion), and the integers that were
fine-tuned from it (`export NAME`, `fit NAME`, `verify NAME`). *MAC a pixel*:
multiply-accumulates of the U-Net, borders not taken off. Which boards hold them:
[boards.md](boards.md).
""".splitlines()


def page() -> str:
    """Read everything that ships and return the page."""
    models = all_shipped()
    head = ["model", "for", "T", "N", "MAC a pixel", "score of the integers", "MB"]
    lines = [*HEAD, "", *table(head, [_row(model) for model in models]), ""]
    total = sum(_size(path) for model in models for path in model.files)
    lines += [f"Together {total / 1e6:.1f} MB.", ""]
    for model in models:
        lines += _card(model)
    return "\n".join(lines).rstrip() + "\n"


def _row(model: Shipped) -> list[Any]:
    return [
        f"[`{model.name}`](#{model.name})",
        _task(model),
        *(model.snn.num_steps, model.snn.num_thresholds),
        f"{macs_per_pixel(model.config.model):,.0f}",
        model.headline,
        f"{sum(map(_size, model.files)) / 1e6:.1f}",
    ]


def _task(model: Shipped) -> str:
    task = model.config.task
    channels = "gray" if model.config.model.in_channels == 1 else "colour"
    match task:
        case DenoiseConfig():
            return (
                f"denoising, {channels}, sigma {task.sigma_min:g}..{task.sigma_max:g}"
            )
        case SegmentConfig():
            return f"segmentation, {channels}, {task.classes} classes"
        case _:
            return task.kind


def _size(path: Path) -> int:
    return path.stat().st_size


def _card(model: Shipped) -> list[str]:
    network, config = model.network(128, 128), model.config
    recipe, shape = model.recipe, model.config.model
    data = recipe["data"]
    what, licence = LICENCES.get(data["name"], UNKNOWN)
    weights = sum(
        connection.synapse.weight.size
        for layer in network.layers
        for connection in layer.connections
        if not isinstance(connection.synapse, AveragePool)
    )
    stem = getattr(shape, "stem", 1)
    floats, integers = model.files
    rows: list[list[Any]] = [
        ["task", _task(model)],
        ["network", _network(model)],
        ["weights", f"{weights:,} of 8 bits on the chip"],
        ["MAC a pixel", f"{macs_per_pixel(shape):,.0f}"],
        ["sides of pictures", f"multiples of {model.snn.multiple}"],
        ["T, N", f"{network.num_steps}, {model.snn.num_thresholds}"],
        ["trained on", f"{what}: {data['name']}, {data['pictures']} pictures"],
        ["their SHA-256", f"`{data['sha256']}`"],
        ["licence of the data", licence],
        ["licence of the weights", "research only, as the data's"],
        ["seed", str(config.seed)],
        ["PyTorch", recipe["torch"]["trained"]],
        ["cores of Loihi 2", _cores(model)],
        ["network's SHA-256, any size", f"`{network.sha256_any_size}`"],
        *(
            [f"{kind}, {_size(path):,} bytes", f"`{_sha256(path)}`"]
            for kind, path in (("U-Net", floats), ("integers", integers))
        ),
    ]
    if stem > 1:
        rows.insert(2, ["space to depth", f"blocks of {stem}x{stem} pixels"])
    lines = [f"## {model.name}", "", *table(["", ""], rows), ""]
    lines += [*_scores(model), "Made by:", ""]
    return [*lines, *(f"    {command}" for command in recipe["commands"]), ""]


def _network(model: Shipped) -> str:
    shape = model.config.model
    depth = getattr(shape, "levels", None) or getattr(shape, "depth", None)
    unit = "levels" if hasattr(shape, "levels") else "layers"
    size = "" if depth is None else f", {depth} {unit}"
    return f"{shape.kind}, {shape.base_channels} channels{size}"


def _cores(model: Shipped) -> str:
    parts = []
    for side in SIDES:
        if side % model.snn.multiple:
            continue
        report = fit(model.network(side, side), chip="loihi2")
        parts.append(
            f"{side}x{side}: {report.problem or 'does not fit'}"
            if report.cores is None
            else f"{side}x{side}: {report.cores:,} on {report.chips:,} chips "
            f"({report.system or 'no board is so large'})"
        )
    return "; ".join(parts)


def _scores(model: Shipped) -> list[str]:
    """Rows of docs/results.json with these integers."""
    cells = [
        [
            row["data"],
            "" if row["sigma"] is None else f"{row['sigma']:g}",
            ", ".join(name for name, _ in _measures(row)),
            *(_values(row, kind) for kind in ("ann", "chip")),
        ]
        for row in model.rows
    ]
    if not cells:
        return ["No score of these integers is on record.", ""]
    head = ["data", "sigma", "measure", "U-Net, float", "integers"]
    return [*table(head, cells), ""]


def _measures(row: dict[str, Any]) -> list[tuple[str, str]]:
    return [(text, key) for key, (text, _) in MEASURES.items() if key in row["chip"]]


def _values(row: dict[str, Any], kind: str) -> str:
    scores = row[kind]
    if scores is None:
        return "-"
    return ", ".join(f"{scores[key]:.{MEASURES[key][1]}f}" for _, key in _measures(row))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    """Write the page."""
    write_text(ROOT / "docs" / "models.md", page())


if __name__ == "__main__":
    main()
