# SPDX-License-Identifier: BSD-3-Clause
"""Table 1: denoising by neurons trained directly and fine-tuned."""

from typing import Any

from loihi_unet.reproduce import paper, standings
from loihi_unet.reproduce.cell import Cell
from loihi_unet.reproduce.contest import Contestants, System
from loihi_unet.reproduce.page import opening
from loihi_unet.reproduce.scales import Scale
from loihi_unet.reproduce.standings import Column

CONTESTS = ("denoise-gray", "denoise-colour")
#: What the paper compares, in both of its tables.
COMPARED = (
    System(name="U-Net", way="ANN"),
    System(name="ML", way="DT", neuron="ml"),
    System(name="RS", way="DT", neuron="rs"),
    System(name="MT", way="DT", neuron="mt"),
    System(name="ML", way="FT", neuron="ml"),
    System(name="RS", way="FT", neuron="rs"),
    System(name="MT", way="FT", neuron="mt"),
    System(name="MT", way="flow", neuron="mt"),
)
SYSTEMS = (
    *COMPARED,
    System(name="IF", way="DT", neuron="if"),
    System(name="IF, reset to zero", way="DT", neuron="if-zero"),
    System(name="IF", way="FT", neuron="if"),
    System(name="IF, reset to zero", way="FT", neuron="if-zero"),
)
#: Test pictures, and T in the paper.
_DATA = {"denoise-gray": ("BSD68", 10), "denoise-colour": ("CBSD68", 20)}
COLUMNS = {
    name: tuple(
        Column(
            key=(f"{sigma}", "psnr"),
            head=f"sigma {sigma}",
            digits=2,
            paper=(*_DATA[name], "PSNR", sigma),
        )
        for sigma in (15, 25, 50)
    )
    for name in CONTESTS
}


def cells(scale: Scale, contestants: dict[str, Contestants]) -> list[Cell]:
    """Return a cell for every system on gray and on colour pictures."""
    return standings.cells("table1", scale, contestants, SYSTEMS)


def page(record: dict[str, Any]) -> list[str]:
    """Return the page's lines."""
    lines = opening(
        record,
        "Table 1: denoising",
        "PSNR in dB by blind models, sigma 0..55; the paper's Table 2. "
        f"{standings.LEGEND}",
    )
    keys = ("measure", "sigma")
    return [*lines, *standings.tables(record, COLUMNS, paper.DENOISING, keys)]
