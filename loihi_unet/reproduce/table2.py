# SPDX-License-Identifier: BSD-3-Clause
"""Table 2: segmentation by the systems of table 1, and by Spiking-FCN."""

from typing import Any

from loihi_unet.reproduce import standings
from loihi_unet.reproduce.cell import Cell
from loihi_unet.reproduce.contest import Contestants, System
from loihi_unet.reproduce.page import opening
from loihi_unet.reproduce.scales import Scale
from loihi_unet.reproduce.standings import Column
from loihi_unet.reproduce.table1 import COMPARED

CONTESTS = ("segment-drive", "segment-isbi2012", "segment-camseq01")
SYSTEMS = (
    *COMPARED,
    System(name="Spiking-FCN", way="DT", neuron="lif", fcn=True),
    System(name="Spiking-FCN, IF", way="DT", neuron="if", fcn=True),
)


def _columns(**heads: str) -> tuple[Column, ...]:
    return tuple(Column(key=(key,), head=head, digits=3) for key, head in heads.items())


COLUMNS = {
    "segment-drive": _columns(f1_fov="F1", jaccard_fov="JS", accuracy_fov="ACC"),
    "segment-isbi2012": _columns(f1="F1", jaccard="JS", accuracy="ACC"),
    "segment-camseq01": _columns(miou="mIoU", accuracy="ACC"),
}
#: The cells of arXiv 2307.10974's table that were at hand.
PAPER = {
    ("segment-drive", "ANN"): ".806 / .675 / .970",
    ("segment-drive", "flow"): ".794 / .658 / .970",
    ("segment-isbi2012", "ANN"): ".948 / .902 / .918",
    ("segment-isbi2012", "flow"): ".947 / .900 / .917",
    ("segment-camseq01", "ANN"): ".620",
    ("segment-camseq01", "flow"): ".651",
}


def cells(scale: Scale, contestants: dict[str, Contestants]) -> list[Cell]:
    """Return a cell for every system on every data set."""
    return standings.cells("table2", scale, contestants, SYSTEMS)


def page(record: dict[str, Any]) -> list[str]:
    """Return the page's lines."""
    lines = opening(
        record,
        "Table 2: segmentation",
        "DRIVE inside the field of view; ISBI 2012 on the last five sections; CamSeq01 "
        "without void. *Spiking-FCN*: the network of Kim et al. 2022 (arXiv "
        "2110.07742) at the U-Net's base width, with its neuron (leak 0.99, reset by "
        f"subtraction), and with the IF neuron that a chip holds. {standings.LEGEND}",
    )
    return [*lines, *standings.tables(record, COLUMNS, PAPER)]
