# SPDX-License-Identifier: BSD-3-Clause
"""segment-drive's integers on DRIVE as a built-in set, and as folders of one's own.

    python benchmarks/drive_folders.py DRIVE

Prints both scores, and the configuration that describes DRIVE's folders.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from export.network import Network
from export.netx import write_network
from loihi_unet.config import load_config
from loihi_unet.runs.evaluate_set import EvaluateConfig, report
from loihi_unet.runs.network_source import load_network

CONFIG = """
loss = "cross_entropy"
[model]
residual = false
[task]
kind = "segment"
dataset = "folders"
[task.folders]
images = "{part}/images"
labels = "{part}/1st_manual"
label_name = "{first}_manual1"
masks = "{part}/mask"
mask_name = "{stem}_mask"
contrast = "clahe"
classes = ["background", "vessel"]
[task.folders.split]
by = "folders"
train = "training"
"""


def as_folders(network: Network, folder: Path) -> Network:
    """Return the network as if it had been trained on DRIVE as one's own folders."""
    path = folder / "drive.toml"
    path.write_text(CONFIG)
    task = load_config(path).task.model_dump(mode="json")
    train = {**network.provenance["train"], "task": task}
    return replace(network, provenance={**network.provenance, "train": train})


def both(data: Path, backend: str = "torch", source: str = "segment-drive") -> Any:
    """Score a network twice; rows as of `loihi_unet.runs.evaluate_set.report`."""
    network = load_network(Path(source))
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        folders = as_folders(network, Path(folder))
        for name, one in {"drive": network, "folders": folders}.items():
            path = Path(folder) / f"{name}.net"
            write_network(one, path)
            settings = EvaluateConfig(data=data, backend=backend)
            rows[name] = report(path, settings, command="", workers=1)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    rows = both(arguments.data)
    for name, row in rows.items():
        print(name, json.dumps({"pictures": row["pictures"], **row["chip"]}))
    print("equal:", rows["drive"]["chip"] == rows["folders"]["chip"])


if __name__ == "__main__":
    main()
