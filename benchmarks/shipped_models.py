# SPDX-License-Identifier: BSD-3-Clause
"""What ships with the package, and what docs/results.json has on it.

For docs/models.md (`models_page`) and docs/boards.md (`boards_page`).
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from export.lowering import lower
from export.network import Network
from loihi_unet.config import TrainConfig, parse_config
from loihi_unet.files.checkpoint import find_checkpoint
from loihi_unet.files.spiking_file import (
    find_spiking_unet,
    load_spiking_unet,
    published_networks,
)
from loihi_unet.spiking.spiking_unet import SpikingUNet

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "loihi_unet" / "models"
RESULTS = ROOT / "docs" / "results.json"
#: Size of the files that rows without `network_sha256_any_size` were measured with.
EXPORTED = (128, 128)
#: The score that one number is taken from, by task: data, sigma, measure, its name.
HEADLINES = (
    ("BSD68", 25.0, "psnr", "BSD68, sigma 25", "{:.2f} dB"),
    ("CBSD68", 25.0, "psnr", "CBSD68, sigma 25", "{:.2f} dB"),
    ("DRIVE", None, "f1", "DRIVE", "F1 {:.3f}"),
    ("ISBI2012", None, "f1", "ISBI 2012", "F1 {:.3f}"),
    ("CamSeq01", None, "miou", "CamSeq01", "mIoU {:.3f}"),
)


@dataclass(frozen=True)
class Shipped:
    """A model that ships.

    Attributes
    ----------
    name : str
        As every command takes it.
    """

    name: str

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """What `publish_model.py` wrote down."""
        text = (MODELS / f"{self.name}.json").read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text)
        return found

    @cached_property
    def config(self) -> TrainConfig:
        """Settings of the training."""
        return parse_config(self.recipe["config"], where=self.name)

    @cached_property
    def snn(self) -> SpikingUNet:
        """The fine-tuned network."""
        return load_spiking_unet(self.name)

    def network(self, height: int, width: int) -> Network:
        """Its integers for pictures of one size."""
        return lower(self.snn, height, width)

    @property
    def files(self) -> tuple[Path, Path]:
        """Of the U-Net and of the integers."""
        return find_checkpoint(self.name), find_spiking_unet(self.name)

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Rows of docs/results.json that were measured with these very integers."""
        exported = self.network(*EXPORTED)
        found: list[dict[str, Any]] = json.loads(RESULTS.read_text(encoding="utf-8"))
        return [row for row in found if _same(row, exported)]

    @property
    def headline(self) -> str:
        """One score of the integers in words; a dash where none is on record."""
        for data, sigma, measure, name, form in HEADLINES:
            for row in self.rows:
                if (row["data"], row["sigma"]) == (data, sigma):
                    return f"{name}: {form.format(row['chip'][measure])}"
        return "-"


def _same(row: dict[str, Any], network: Network) -> bool:
    if "network_sha256_any_size" in row:
        return bool(row["network_sha256_any_size"] == network.sha256_any_size)
    return bool(row["network_sha256"] == network.sha256)


def all_shipped() -> list[Shipped]:
    """Return every model that ships, by name."""
    return [Shipped(name) for name in sorted(published_networks())]


def table(head: list[str], rows: list[list[Any]]) -> list[str]:
    """Return a table's lines in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(map(str, cells))} |" for cells in lines]
