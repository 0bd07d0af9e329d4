# SPDX-License-Identifier: BSD-3-Clause
"""Sigma-delta networks: what they cost against their ANN, and what video saves.

    python benchmarks/sigma_delta.py reach --data-root DIR
    python benchmarks/sigma_delta.py video --frames CamSeq01/image --train BSDS500-train
    python benchmarks/sigma_delta.py segment --run runs/street --frames CamSeq01

``reach`` scores the shipped networks, converted here, beside their floats.
``video`` streams a few cropped frames through denoise-gray at rising thresholds, and
counts the synaptic operations of each frame; the same network in windows of T steps
stands beside it. ``segment`` does the same for a trained segmentation of the street.
``table`` prints the rows of docs/sigma-delta.md.
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

from export.images import completed, decode, size_multiple
from export.lowering import lower
from export.netx import read_network
from export.stock_compartment import Sigma
from export.stock_network import StockNetwork
from export.synapse import Conv, ConvTranspose
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
from loihi_unet.runs.evaluate_video import FrameSequence, Scored, first_frame, given
from loihi_unet.runs.video import Video, run_video
from loihi_unet.sigma_delta.convert import convert
from loihi_unet.sigma_delta.search import Measured, search
from loihi_unet.sigma_delta.stages import sums
from loihi_unet.sigma_delta.thresholds import at_share, usual_payloads
from loihi_unet.tasks.judge import Judge
from loihi_unet.tasks.metrics import quality
from sim.backend import OverflowLayerError, create
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
    """A sigma-delta network's integers without steps, exact in float64.

    Equal to every backend (tests/loihi_unet/sigma_delta/test_pictures.py), and as fast
    as the float network.
    """

    def __init__(self, network: StockNetwork) -> None:
        self.network = network

    @torch.no_grad()
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Output of pictures (B, C, H, W) divided by 255."""
        levels = torch.round(255 * x).numpy()
        entering = np.stack([completed(self.network, one) for one in levels])
        first, *layers = self.network.layers
        sent = {first.name: torch.from_numpy(entering).double()}
        for layer in layers:
            value = torch.zeros(())
            for c in layer.connections:
                assert isinstance(c.synapse, Conv | ConvTranspose)
                value = value + sums(c.synapse, sent[c.source])
            if value.abs().max() >= 2**23:
                raise OverflowError(layer.name)
            if not isinstance(layer.compartment, Sigma):
                value = (value / 64).floor().clamp(min=0)
            sent[layer.name] = value
        found = decode(self.network, value.numpy().astype(np.int64))
        return torch.from_numpy(found).float()


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
        entering = clean + _noise(clean.shape, sigma, fixed)
        rows = [_float_row(ann, clean, entering)]
        usual: dict[str, float] = {}
        for share in SHARES:
            candidate = at_share(network, usual, share)
            try:
                run = run_video(candidate, entering, create("torch"))
            except OverflowLayerError as error:
                rows.append({"network": "sigma-delta overflows", "why": str(error)})
                print(kind, json.dumps(rows[-1]), flush=True)
                break
            usual = usual or usual_payloads(network, first_frame(run))
            rows.append(_row(run, clean, share))
            print(kind, json.dumps(rows[-1]), flush=True)
        rows.append(_searched_row(network, usual, clean, entering))
        print(kind, json.dumps(rows[-1]), flush=True)
        rows.append(_window_row(clean, entering))
        print(kind, json.dumps(rows[-1]), flush=True)
        found[kind] = rows
        _write({"video": found, "frames": {"count": count, "side": side}})
        draw(FIGURE)
    return found


def _searched_row(
    network: StockNetwork,
    usual: dict[str, float],
    clean: npt.NDArray[np.float32],
    entering: npt.NDArray[np.float32],
) -> dict[str, Any]:
    """Thresholds of each layer under the budget, beside one share for all."""

    def measure(candidate: StockNetwork) -> Measured:
        row = _row(run_video(candidate, entering, create("torch")), clean, 0.0)
        return Measured(float(np.mean(row["psnr"])), row["later"])

    found = search(network, usual, BUDGET, measure)
    run = run_video(found.network, entering, create("torch"))
    return {
        **_row(run, clean, 0.0),
        "network": f"a threshold for each layer, budget {BUDGET:g}",
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
    levels, pictures = sequence.levels[:count], sequence.pictures[:count]
    ann, _ = load_checkpoint(run)
    judge, multiple = sequence.judge, sequence.multiple
    found = [
        judge.judge(ann, picture, n, multiple=multiple)
        for n, picture in enumerate(pictures)
    ]
    rows: list[dict[str, Any]] = [
        {"network": "float", "measures": judge.measures(found)}
    ]
    usual: dict[str, float] = {}
    for share in SHARES:
        video = run_video(at_share(network, usual, share), levels, create("torch"))
        usual = usual or usual_payloads(network, first_frame(video))
        rows.append(_segment_row(sequence.score(video)) | {"share": share})
        print(json.dumps(rows[-1]), flush=True)

    _write({"segment": rows, "segment_frames": list(levels.shape)})
    draw(FIGURE)
    lowered = lower(windows, *levels.shape[2:])
    found, operations = [], []
    for n, picture in enumerate(pictures[:3]):  # all alike: it starts anew
        recording = create("torch").run(lowered, levels[n : n + 1])
        assert recording.output is not None
        output = torch.from_numpy(decode(lowered, recording.output)).float()
        shown = judge.judge(given(output), picture, n, multiple=multiple)
        found.append(shown)
        counted = activity(lowered, recording)
        operations.append(sum(link.effective for link in counted.links))
    rows.append(
        {
            "network": f"windows, T = {lowered.num_steps}",
            "measures": judge.measures(found),
            "operations": operations,
            "later": float(np.mean(operations)),
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


def _noise(
    shape: tuple[int, ...], sigma: float, fixed: bool
) -> npt.NDArray[np.float32]:
    random = np.random.default_rng(0)
    noise = random.normal(0, 1, (1 if fixed else shape[0], *shape[1:])) * sigma
    return np.rint(np.broadcast_to(noise, shape)).astype(np.float32)


def _psnr(
    clean: npt.NDArray[np.float32], outputs: npt.NDArray[np.floating[Any]]
) -> list[float]:
    return [
        round(quality(c.astype(np.uint8), (255 * o).astype(np.float32)).psnr, 3)
        for c, o in zip(clean, outputs, strict=True)
    ]


def _row(run: Video, clean: npt.NDArray[np.float32], share: float) -> dict[str, Any]:
    operations = run.operations()
    return {
        "network": "sigma-delta",
        "share": share,
        "psnr": _psnr(clean, run.outputs),
        "events": run.events().tolist(),
        "operations": operations.tolist(),
        "later": float(operations[1:].mean()),
    }


def _float_row(
    ann: Any,
    clean: npt.NDArray[np.float32],
    entering: npt.NDArray[np.float32],
) -> dict[str, Any]:
    with torch.no_grad():
        outputs = ann(torch.from_numpy(entering / np.float32(255))).numpy()
    return {"network": "float", "psnr": _psnr(clean, outputs)}


def _window_row(
    clean: npt.NDArray[np.float32], entering: npt.NDArray[np.float32]
) -> dict[str, Any]:
    """The shipped multi-threshold network, anew for every frame."""
    network = lower(load_spiking_unet("denoise-gray"), *clean.shape[2:])
    psnr, operations = [], []
    for n in range(min(2, len(clean))):  # all alike: it starts anew
        found = create("torch").run(network, entering[n : n + 1])
        assert found.output is not None
        psnr += _psnr(clean[n : n + 1], decode(network, found.output))
        counted = activity(network, found)
        operations.append(sum(link.effective for link in counted.links))
    return {
        "network": f"windows, T = {network.num_steps}",
        "psnr": psnr,
        "operations": operations,
        "later": float(np.mean(operations)),
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
