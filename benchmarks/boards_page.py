# SPDX-License-Identifier: BSD-3-Clause
"""Write docs/boards.md: which shipped model fits which board, and up to which picture.

python benchmarks/boards_page.py
"""

from typing import Any

from shipped_models import ROOT, Shipped, all_shipped, table

from export.errors import NetworkError
from export.files.atomic import write_text
from export.fit import boards, fit
from export.fit.systems import SYSTEMS

#: Sides of the square pictures that are counted.
SIDES = (32, 64, 128, 256, 512)
#: Mappings that a chip without graded spikes can have.
BINARY = ("parallel-if", "binary-if")

HEAD = """# Which model fits which board

Written by `python benchmarks/boards_page.py` from what `loihi-unet fit` counts
([fit.md](fit.md) says how, and which of it is extrapolated); scores from
[results.md](results.md), of these very integers. No chip was at hand.

An *Oheo Gulch* is one Loihi 2 chip, a *Kapoho Point* eight. A picture that is too large
for a board is cut into tiles that overlap: `evaluate --tile` does that, and changes no
score.

## Largest picture

Loihi 2, graded spikes. Square pictures, or tiles of larger ones; 1,024 is the largest
side that is tried.
""".splitlines()


def page() -> str:
    """Count everything and return the page."""
    models = all_shipped()
    systems = [system for system in SYSTEMS if system.chip == "loihi2"]
    head = ["model", "T", "N", "score of the integers"]
    head += [f"{s.name} ({_chips(s.chips.count)})" for s in systems]
    lines = [*HEAD, "", *table(head, [_largest(model) for model in models]), ""]
    lines += ["## Cores and chips of Loihi 2", ""]
    head = ["model", *(f"{side}x{side}" for side in SIDES)]
    lines += [*table(head, [_sizes(model) for model in models]), ""]
    lines += ["## Loihi 1", "", *_loihi1(models)]
    return "\n".join(lines).rstrip() + "\n"


def _chips(count: float) -> str:
    return "1 chip" if count == 1 else f"{count:,} chips"


def _network(model: Shipped, least: int = 64) -> Any:
    side = model.snn.multiple
    return model.network(*(2 * [max(side, least - least % side)]))


def _largest(model: Shipped) -> list[Any]:
    network = _network(model)
    found = boards(network, fit(network, chip="loihi2"))
    return [
        *(f"`{model.name}`", network.num_steps, model.snn.num_thresholds),
        model.headline,
        *(
            "none"
            if board.largest is None
            else f"**{'x'.join(map(str, board.largest))}**: {board.needed_cores:,} "
            f"cores, {_chips(board.needed_chips or 0)}"
            for board in found
        ),
    ]


def _sizes(model: Shipped) -> list[str]:
    cells = [f"`{model.name}`"]
    for side in SIDES:
        try:
            report = fit(model.network(side, side), chip="loihi2")
        except NetworkError:  # a side that this U-Net does not take
            cells.append("no multiple of " + str(model.snn.multiple))
            continue
        fits = report.cores is not None
        cells.append(
            f"{report.cores:,}, {report.chips:,}: {report.system or 'no board'}"
            if fits
            else "-"
        )
    return cells


def _loihi1(models: list[Shipped]) -> list[str]:
    """The largest picture that any board of Loihi 1 holds, or the first reason."""
    lines = [
        "Binary spikes: a neuron is several compartments ([mappings.md](mappings.md)).",
        "The integers as they ship; a network that is exported and fine-tuned for a",
        "mapping gets thresholds that fit it.",
        "",
    ]
    for model in models:
        network = _network(model)
        for mapping in BINARY:
            report = fit(network, chip="loihi1", mapping=mapping)
            held = [x for x in boards(network, report) if x.largest is not None]
            if held:
                what = "; ".join(
                    f"{'x'.join(map(str, x.largest or ()))} on {x.system} "
                    f"({_chips(x.needed_chips or 0)} of {x.chips})"
                    for x in held
                )
            else:
                what = f"none. {report.errors[0]}"
            lines.append(f"- `{model.name}`, `{mapping}`: {what}")
    return [*lines, ""]


def main() -> None:
    """Write the page."""
    write_text(ROOT / "docs" / "boards.md", page())


if __name__ == "__main__":
    main()
