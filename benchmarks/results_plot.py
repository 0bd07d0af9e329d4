# SPDX-License-Identifier: BSD-3-Clause
"""The plot of docs/results.md: PSNR against multiply-accumulates a pixel."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

from loihi_unet.networks.config import DnCNNConfig, UNetConfig
from loihi_unet.networks.operations import macs_per_pixel

matplotlib.use("Agg")
import matplotlib.pyplot as plt

DATA, SIGMA = "BSD68", 25.0


class Point(NamedTuple):
    """A denoiser.

    Attributes
    ----------
    name : str
        Its name.
    macs : float
        Multiply-accumulates a pixel.
    psnr : float
        On BSD68 at sigma 25, dB.
    source : str
        Where the numbers are from.
    kind : str
        ``"published"``, ``"float"`` or ``"integers"``.
    """

    name: str
    macs: float
    psnr: float
    source: str
    kind: str = "published"


def _ffdnet() -> float:
    """15 layers of 64 channels on 2x2 blocks, with a plane that holds sigma."""
    return 9 * (5 * 64 + 13 * 64 * 64 + 64 * 4) / 4


#: Operations of a pixel in the paper's Table 5: 6.55e10 for a picture of 256x256.
_PAPER_MACS = 6.55e10 / 256**2
_DNCNN = "Zhang et al. 2017, doi:10.1109/TIP.2017.2662206, and its repository's table"
_PAPER = "arXiv 2307.10974, Table 2; operations of its Table 5 (CamSeq01, another head)"
PUBLISHED = (
    Point("DnCNN-S", macs_per_pixel(DnCNNConfig(depth=17)), 29.23, _DNCNN),
    Point("DnCNN-B (blind)", macs_per_pixel(DnCNNConfig(depth=20)), 29.16, _DNCNN),
    Point(
        "FFDNet (told sigma)", _ffdnet(), 29.19, "Zhang et al. 2018, arXiv 1710.04026"
    ),
    Point("paper: U-Net (blind)", _PAPER_MACS, 28.61, _PAPER),
    Point("paper: Spiking-UNet (blind)", _PAPER_MACS, 28.72, _PAPER),
)


def ours(rows: Iterable[dict[str, Any]]) -> list[Point]:
    """Return the U-Nets and the integers of docs/results.json, equal ones once."""
    found: dict[tuple[float, float, str], Point] = {}
    for row in rows:
        if (row["data"], row["sigma"]) != (DATA, SIGMA):
            continue
        # Rows of before it was written down are of plain U-Nets of four levels.
        plain = macs_per_pixel(UNetConfig(base_channels=row["width"]))
        macs = row.get("macs_per_pixel", plain)
        name = f"ours, {row['width']} channels"
        how = f"T = {row['T']}, N = {row['N']}"
        for kind, key, text in (("float", "ann", "U-Net"), ("integers", "chip", how)):
            if row[key] is not None:
                psnr = row[key]["psnr"]
                point = Point(f"{name}, {text}", macs, psnr, "a row above", kind)
                found.setdefault((macs, round(psnr, 2), kind), point)
    return list(found.values())


def points(rows: Iterable[dict[str, Any]]) -> list[Point]:
    """Return everything that is drawn, fewest operations first."""
    return sorted([*PUBLISHED, *ours(rows)], key=lambda point: (point.macs, point.psnr))


def draw(rows: Iterable[dict[str, Any]], path: Path) -> None:
    """Draw the plot."""
    figure, axis = plt.subplots(figsize=(7, 4), dpi=110)
    marks = {"published": ("s", "C7"), "float": ("o", "C0"), "integers": ("*", "C1")}
    for kind, (mark, colour) in marks.items():
        group = [point for point in points(rows) if point.kind == kind]
        label = {"published": "published", "float": "ours, floating point"}
        axis.scatter(
            [point.macs for point in group],
            [point.psnr for point in group],
            marker=mark,
            color=colour,
            label=label.get(kind, "ours, integers"),
            zorder=3,
        )
    named = [point for point in points(rows) if point.kind != "float"]
    for point in named:
        axis.annotate(
            point.name,
            (point.macs, point.psnr),
            xytext=(-6, 4) if point.kind == "published" else (7, -4),
            textcoords="offset points",
            fontsize=7,
            horizontalalignment="right" if point.kind == "published" else "left",
        )
    axis.set_xscale("log")
    axis.set_xlabel("multiply-accumulates a pixel, of the network as a CNN")
    axis.set_ylabel(f"PSNR on {DATA}, sigma {SIGMA:g} (dB)")
    axis.grid(alpha=0.3)
    axis.margins(0.08, 0.1)
    axis.legend(fontsize=8, loc="center right")
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})
    plt.close(figure)
