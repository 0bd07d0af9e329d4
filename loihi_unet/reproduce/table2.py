# SPDX-License-Identifier: BSD-3-Clause
"""Table 2: segmentation by the systems of table 1, and by Spiking-FCN."""

from typing import Any

from loihi_unet.reproduce import paper, standings
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


#: Test pictures, and T in the paper.
_DATA = {
    "segment-drive": ("DRIVE", 10),
    "segment-isbi2012": ("ISBI2012", 50),
    "segment-camseq01": ("CamSeq01", 20),
}


def _columns(name: str, **heads: str) -> tuple[Column, ...]:
    found = []
    for key, head in heads.items():
        line = (*_DATA[name], head)
        printed = line if line in paper.SEGMENTATION else ()
        found.append(Column(key=(key,), head=head, digits=3, paper=printed))
    return tuple(found)


COLUMNS = {
    "segment-drive": _columns(
        "segment-drive", f1_fov="F1", jaccard_fov="JS", accuracy_fov="ACC"
    ),
    "segment-isbi2012": _columns(
        "segment-isbi2012", f1="F1", jaccard="JS", accuracy="ACC"
    ),
    "segment-camseq01": _columns("segment-camseq01", miou="mIoU", accuracy="ACC"),
}


def cells(scale: Scale, contestants: dict[str, Contestants]) -> list[Cell]:
    """Return a cell for every system on every data set."""
    return standings.cells("table2", scale, contestants, SYSTEMS)


def page(record: dict[str, Any]) -> list[str]:
    """Return the page's lines."""
    lines = opening(
        record,
        "Table 2: segmentation",
        "The paper's Table 1. DRIVE inside the field of view (the paper does not say "
        "whether its scores are); ISBI 2012 on the last five sections; CamSeq01 "
        "without void, 11 classes where the paper has 32. *Spiking-FCN*: the network "
        "of Kim et al. 2022 (arXiv 2110.07742) at the U-Net's base width, with its "
        "neuron (leak 0.99, reset by subtraction), and with the IF neuron that a chip "
        f"holds. {standings.LEGEND}",
    )
    return [
        *lines,
        *standings.tables(record, COLUMNS, paper.SEGMENTATION, ("measure",)),
    ]
