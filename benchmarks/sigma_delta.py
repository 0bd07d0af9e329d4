# SPDX-License-Identifier: BSD-3-Clause
"""Sigma-delta networks: what they cost against their ANN, and what video saves.

    python benchmarks/sigma_delta.py reach --data-root DIR
    python benchmarks/sigma_delta.py video --frames CamSeq01/image --train BSDS500-train
    python benchmarks/sigma_delta.py segment --run runs/street --frames CamSeq01

``reach`` scores the shipped networks, converted here, beside their floats.
``video`` streams a few cropped frames through denoise-gray at rising thresholds, and
counts the synaptic operations of each frame; the same network in windows of T steps
stands beside it. ``segment`` does the same for a trained segmentation of the street.
``table`` puts the rows into docs/sigma-delta.md.
All write docs/sigma-delta.json; ``video`` and ``segment`` draw docs/sigma-delta.png.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sigma_delta_page import JSON, draw, table

from export.images import decode, size_multiple
from export.lowering import lower
from export.netx import read_network
from export.stock_network import StockNetwork
from loihi_unet.conversion.convert import convert as run_conversion
from loihi_unet.data.crops import centre_crop
from loihi_unet.data.datasets import load_data
from loihi_unet.data.pictures import load_pictures
from loihi_unet.files.checkpoint import (
    find_checkpoint,
    load_checkpoint,
    read_checkpoint,
)
from loihi_unet.files.spiking_file import load_spiking_unet
from loihi_unet.runs.evaluate_set import EvaluateConfig
from loihi_unet.runs.evaluate_video import FrameSequence, Scored
from loihi_unet.runs.frames_at_once import FramesAtOnce, Given
from loihi_unet.sigma_delta.convert import convert
from loihi_unet.sigma_delta.search import Measured, search
from loihi_unet.sigma_delta.thresholds import at_share, usual_payloads
from loihi_unet.tasks.judge import Judge
from loihi_unet.tasks.metrics import quality
from sim.backend import create
from sim.statistics import activity

FIGURE = Path("docs/sigma-delta.png")
#: Network, data to calibrate on, data to score, and how many pictures of it.
REACH = (
    ("denoise-gray", "denoising/BSDS500-train", "denoising/Set12", 12),
    ("denoise-colour", "denoising/BSDS500-train", "denoising/CBSD68", 68),
    ("segment-drive", "segmentation/DRIVE", "segmentation/DRIVE", 20),
)
#: Decibels that thresholds of each layer may cost.
BUDGET = 0.2
#: Mean IoU that they may cost.
LESS_IOU = 0.01
SHARES = (0.0, 0.0156, 0.0625, 0.125, 0.25, 0.5)
#: Kinds of noise: none, the same in every frame, another in every frame.
NOISES = {"none": (0.0, False), "fixed": (25.0, True), "fresh": (25.0, False)}


def reach(root: Path, only: str | None) -> list[dict[str, Any]]:
    """Score shipped networks in sigma-delta form beside their ANN."""
    rows = []
    for name, train, test, count in REACH:
        if only not in (None, name):
            continue
        with tempfile.TemporaryDirectory() as folder:
            network = convert(name, Path(folder) / "a.net", root / train)
        config = read_checkpoint(find_checkpoint(name)).record.config
        pictures = load_data(
            config.task, root / test, config.model.in_channels, split="test"
        )
        judge = Judge(task=config.task, sigma=25.0, seed=0)
        ann, _ = load_checkpoint(name)
        found: dict[str, list[Any]] = {"ann": [], "sigma_delta": []}
        for n in range(count):
            for kind, run in (("ann", ann), ("sigma_delta", AtOnce(network))):
                one = judge.judge(run, pictures[n], n, multiple=size_multiple(network))
                found[kind].append(one)
        rows.append(
            {
                "network": name,
                "data": f"{test.split('/')[-1]}, {count} pictures",
                **{kind: judge.measures(scores) for kind, scores in found.items()},
                "layers": len(network.layers),
                "relays": sum("@" in layer.name for layer in network.layers),
                "latency": network.num_steps,
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows


class AtOnce:
    """A sigma-delta network's integers, which every backend has, without its steps."""

    def __init__(self, network: StockNetwork) -> None:
        self.network = network

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Output of a picture (1, C, H, W) divided by 255."""
        frames = FramesAtOnce(self.network, torch.round(255 * x).numpy())
        return torch.from_numpy(frames.run(self.network).outputs).float()


def video(
    frames: Path, train: Path, count: int, side: int
) -> dict[str, list[dict[str, Any]]]:
    """Quality and operations of a frame, over thresholds and kinds of noise."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.net"
        convert("denoise-gray", path, train, size=(side, side))
        network = read_network(path)
    assert isinstance(network, StockNetwork)
    pictures = load_pictures(frames, 1)
    clean = np.stack(
        [centre_crop(pictures[n].pixels, side, side, "") for n in range(count)]
    ).astype(np.float32)
    ann = read_checkpoint(find_checkpoint("denoise-gray")).model.eval()
    found = {}
    for kind, (sigma, fixed) in NOISES.items():
        entering = clean + noise(clean.shape, sigma, fixed)
        frames_at_once = FramesAtOnce(network, entering)
        usual = usual_payloads(network, frames_at_once.run(network).first)
        rows = [_float_row(ann, clean, entering)]
        for share in SHARES:
            given = frames_at_once.run(at_share(network, usual, share))
            rows.append(_row(given, clean, share))
        rows.append(_searched_row(network, usual, clean, frames_at_once))
        rows.append(_window_row(clean, entering))
        for row in rows:
            print(kind, json.dumps(row), flush=True)
        found[kind] = rows
        _write({"video": found, "frames": {"count": count, "side": side}})
        draw(FIGURE)
    return found


def _searched_row(
    network: StockNetwork,
    usual: dict[str, float],
    clean: npt.NDArray[np.float32],
    frames: FramesAtOnce,
) -> dict[str, Any]:
    """Thresholds of each layer under the budget, beside one share for all."""

    def measure(candidate: StockNetwork) -> Measured:
        row = _row(frames.run(candidate), clean, 0.0)
        return Measured(float(np.mean(row["psnr"])), row["later"])

    found = search(network, usual, BUDGET, measure)
    return {
        **_row(frames.run(found.network), clean, 0.0),
        "network": f"each layer its own, budget {BUDGET:g} dB",
        "share": None,
        "common_share": found.common,
        "later_at_common": found.at_common.operations,
        "shares": dict(found.shares),
    }


def segment(run: str, data: Path, count: int) -> list[dict[str, Any]]:
    """Mean IoU and operations of a frame of a trained segmentation."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.net"
        network = convert(run, path, data)
        windows = run_conversion(
            run,
            Path(folder) / "a.safetensors",
            data,
            num_steps=4,
            num_thresholds=8,
            search=True,
            per="channel",
        )
    sequence = FrameSequence(network, EvaluateConfig(data=data, sigma=0.0), run)
    levels = sequence.levels(count)
    ann, _ = load_checkpoint(run)
    judge, multiple = sequence.judge, sequence.multiple
    found = [
        judge.judge(ann, sequence.pictures[n], n, multiple=multiple)
        for n in range(count)
    ]
    rows: list[dict[str, Any]] = [
        {"network": "float", "measures": judge.measures(found)}
    ]
    frames = FramesAtOnce(network, levels)
    usual = usual_payloads(network, frames.run(network).first)
    for share in SHARES:
        scored = sequence.score(frames.run(at_share(network, usual, share)))
        rows.append(_segment_row(scored) | {"share": share})
        print(json.dumps(rows[-1]), flush=True)

    def measure(candidate: StockNetwork) -> Measured:
        scored = sequence.score(frames.run(candidate))
        return Measured(scored.quality, scored.later_operations)

    searched = search(network, usual, LESS_IOU, measure)
    rows.append(
        _segment_row(sequence.score(frames.run(searched.network)))
        | {
            "network": f"each layer its own, budget {LESS_IOU:g}",
            "common_share": searched.common,
            "later_at_common": searched.at_common.operations,
            "shares": dict(searched.shares),
        }
    )
    print(json.dumps(rows[-1]), flush=True)
    _write({"segment": rows, "segment_frames": list(levels.shape)})
    lowered = lower(windows, *levels.shape[2:])
    judged, operations = [], []
    for n in range(count):  # all alike: it starts anew
        recording = create("torch").run(lowered, levels[n : n + 1])
        assert recording.output is not None
        judged.append(sequence.judged(n, decode(lowered, recording.output)[0]))
        counted = activity(lowered, recording)
        operations.append(sum(link.effective for link in counted.links))
        del recording
    rows.append(
        {
            "network": f"windows, T = {lowered.num_steps}",
            "measures": judge.measures(judged),
            "operations": operations,
            "later": float(np.mean(operations[1:])),
        }
    )
    print(json.dumps(rows[-1]), flush=True)
    _write({"segment": rows, "segment_frames": list(levels.shape)})
    draw(FIGURE)
    return rows


def _segment_row(scored: Scored) -> dict[str, Any]:
    return {
        "network": "sigma-delta",
        "measures": scored.measures,
        "operations": [frame["operations"] for frame in scored.frames],
        "later": scored.later_operations,
    }


def noise(shape: tuple[int, ...], sigma: float, fixed: bool) -> npt.NDArray[np.float32]:
    random = np.random.default_rng(0)
    drawn = random.normal(0, 1, (1 if fixed else shape[0], *shape[1:])) * sigma
    return np.rint(np.broadcast_to(drawn, shape)).astype(np.float32)


def psnr(
    clean: npt.NDArray[np.float32], outputs: npt.NDArray[np.floating[Any]]
) -> list[float]:
    return [
        round(quality(c.astype(np.uint8), (255 * o).astype(np.float32)).psnr, 3)
        for c, o in zip(clean, outputs, strict=True)
    ]


def _row(given: Given, clean: npt.NDArray[np.float32], share: float) -> dict[str, Any]:
    return {
        "network": "sigma-delta",
        "share": share,
        "psnr": psnr(clean, given.outputs),
        "events": given.events.tolist(),
        "operations": given.operations.tolist(),
        "later": float(given.operations[1:].mean()),
    }


def _float_row(
    ann: Any,
    clean: npt.NDArray[np.float32],
    entering: npt.NDArray[np.float32],
) -> dict[str, Any]:
    with torch.no_grad():
        outputs = ann(torch.from_numpy(entering / np.float32(255))).numpy()
    return {"network": "float", "psnr": psnr(clean, outputs)}


def _window_row(
    clean: npt.NDArray[np.float32], entering: npt.NDArray[np.float32]
) -> dict[str, Any]:
    """The shipped multi-threshold network, anew for every frame."""
    network = lower(load_spiking_unet("denoise-gray"), *clean.shape[2:])
    scores, operations = [], []
    for n in range(len(clean)):  # all alike: it starts anew
        found = create("torch").run(network, entering[n : n + 1])
        assert found.output is not None
        scores += psnr(clean[n : n + 1], decode(network, found.output))
        counted = activity(network, found)
        operations.append(sum(link.effective for link in counted.links))
    return {
        "network": f"windows, T = {network.num_steps}",
        "psnr": scores,
        "operations": operations,
        "later": float(np.mean(operations[1:])),
    }


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["reach", "video", "segment", "table"])
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--only", help="One of the networks of reach.")
    parser.add_argument("--frames", type=Path)
    parser.add_argument("--run", help="A trained segmentation.")
    parser.add_argument("--train", type=Path, help="Pictures to calibrate on.")
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--side", type=int, default=64)
    words = parser.parse_args()
    record = json.loads(JSON.read_text()) if JSON.exists() else {}
    if words.what == "reach":
        rows = {row["network"]: row for row in record.get("reach", [])}
        rows |= {row["network"]: row for row in reach(words.data_root, words.only)}
        _write({"reach": list(rows.values())})
    elif words.what == "table":
        table()
    elif words.what == "segment":
        segment(words.run, words.frames, words.count)
    else:
        video(words.frames, words.train, words.count, words.side)


def _write(parts: dict[str, Any]) -> None:
    """Put parts into the record, beside those that are there."""
    record = json.loads(JSON.read_text()) if JSON.exists() else {}
    JSON.write_text(json.dumps(record | parts, indent=1) + "\n")


if __name__ == "__main__":
    main()
