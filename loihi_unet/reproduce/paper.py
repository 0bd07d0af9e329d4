# SPDX-License-Identifier: BSD-3-Clause
"""The cells of the tables in arXiv 2307.10974, as it prints them.

DT: trained directly; FT: converted and fine-tuned; ML, RS, MT: its neurons. A dash is a
dash in the paper. Its Table 1 is segmentation and its Table 2 denoising; here the
targets have them the other way round.
"""

from collections.abc import Sequence
from typing import Any

from loihi_unet.reproduce.page import table, wrapped

#: Beside a row or a measure that the paper does not have.
NO_CELL = "-"

#: Columns of tables 1 and 2: system and way.
SYSTEMS = (
    *(("U-Net", "ANN"), ("Spiking-FCN", "DT"), ("ML", "DT"), ("ML", "FT")),
    *(("RS", "DT"), ("RS", "FT"), ("MT", "DT"), ("MT", "FT")),
)
#: Table 1: data, T and measure to its cells.
SEGMENTATION = {
    ("DRIVE", 10, "F1"): ".806 .710 .048 .740 .303 .771 .754 .794",
    ("DRIVE", 10, "JS"): ".675 .550 .024 .587 .179 .628 .605 .658",
    ("DRIVE", 10, "ACC"): ".970 .960 .921 .960 .668 .967 .965 .970",
    ("ISBI2012", 50, "F1"): ".948 - .895 .914 .887 .942 .897 .947",
    ("ISBI2012", 50, "JS"): ".902 - .811 .842 .798 .890 .813 .900",
    ("ISBI2012", 50, "ACC"): ".918 - .823 .865 .810 .909 .828 .917",
    ("CamSeq01", 20, "mIoU"): ".620 .313 .032 .165 - .208 .081 .651",
}
#: Table 2: data, T, measure and sigma to its cells; it has no Spiking-FCN.
DENOISING = {
    ("BSD68", 10, "PSNR", 15): "31.02 - 23.92 28.47 24.57 28.51 25.75 31.08",
    ("BSD68", 10, "PSNR", 25): "28.61 - 22.71 25.98 23.73 26.13 25.06 28.72",
    ("BSD68", 10, "PSNR", 50): "25.72 - 18.92 21.80 19.22 21.96 22.76 25.86",
    ("BSD68", 10, "SSIM", 15): ".868 - .544 .740 .572 .737 .757 .869",
    ("BSD68", 10, "SSIM", 25): ".799 - .480 .615 .534 .616 .694 .802",
    ("BSD68", 10, "SSIM", 50): ".684 - .308 .375 .324 .396 .524 .692",
    ("CBSD68", 20, "PSNR", 15): "33.32 - 23.77 26.31 26.10 27.57 27.84 33.14",
    ("CBSD68", 20, "PSNR", 25): "30.59 - 21.27 23.87 23.55 24.74 26.44 30.57",
    ("CBSD68", 20, "PSNR", 50): "27.14 - 16.41 19.74 18.78 19.23 22.86 27.24",
    ("CBSD68", 20, "SSIM", 15): ".920 - .538 .634 .665 .685 .828 .913",
    ("CBSD68", 20, "SSIM", 25): ".864 - .424 .515 .537 .547 .739 .858",
    ("CBSD68", 20, "SSIM", 50): ".749 - .236 .333 .325 .328 .539 .753",
}
#: Table 3, mIoU on CamSeq01: rows whose settings table and text leave no doubt of, by
#: (T, normalisation or None, neuron, fine-tuned); then the rest, whose ticks are lost.
ABLATION: dict[tuple[int, str | None, str, bool], str] = {
    (1000, None, "IF", False): ".592",
    (1000, None, "MT", False): ".623",
    (20, "connection", "MT", True): ".651",
}
ABLATION_FIRST, ABLATION_REST = ".002", (".272", ".144", ".199", ".603")
#: Table 4, mIoU on CamSeq01, connection-wise, fine-tuned, T = 20.
THRESHOLDS: dict[tuple[float, ...], str] = {
    (2.0,): ".214",
    (1.0,): ".199",
    (0.5,): ".306",
    (1.0, 0.5): ".325",
    (2.0, 1.0): ".363",
    (2.0, 1.0, 0.5): ".412",
    (2.0, 1.0, 0.5, 0.25): ".651",
    (2.0, 1.0, 0.5, 0.25, 0.125): ".651",
}
#: Table 5, energy on CamSeq01: network, mIoU, operations, joules.
ENERGY = (
    ("U-Net", ".620", "6.55e10", "3.01e-1"),
    ("Spiking-UNet", ".651", "2.92e8", "6.98e-4"),
)


def cell(cells: str, system: str, way: str) -> str:
    """Return a system's cell of a line of `SEGMENTATION` or `DENOISING`.

    Parameters
    ----------
    cells : str
        The line.
    system, way : str
        As in `SYSTEMS`. ``"flow"`` is the paper's own way of fine-tuning, so its FT.

    Returns
    -------
    str
        `NO_CELL` where the paper has none.
    """
    key = (system, "FT" if way == "flow" else way)
    return cells.split()[SYSTEMS.index(key)] if key in SYSTEMS else NO_CELL


def whole(cells: dict[Any, str], data: str, head: Sequence[str]) -> list[str]:
    """Return the paper's own rows on a data set as a Markdown table.

    Parameters
    ----------
    cells : dict
        `SEGMENTATION` or `DENOISING`.
    data : str
        Name of the data set.
    head : sequence of str
        Names of the keys after data and T.

    Returns
    -------
    list[str]
        Lines, an empty one at the end.
    """
    names = [" ".join(key) if key[1] != "ANN" else key[0] for key in SYSTEMS]
    rows = [(*key[1:], *line.split()) for key, line in cells.items() if key[0] == data]
    used = [i for i in range(len(names)) if any(row[-8:][i] != "-" for row in rows)]
    body = [(*row[:-8], *(row[-8:][i] for i in used)) for row in rows]
    return [
        *wrapped(f"The paper's own rows on {data}, at 64 channels:"),
        "",
        *table(("T", *head, *(names[i] for i in used)), body),
        "",
    ]
