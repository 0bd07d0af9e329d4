# SPDX-License-Identifier: BSD-3-Clause
"""What ships and the corners against what else computes the same U-Net.

All networks of one size take turns in one run: one float32 forward, onnxruntime in
float32 and in int8, SpikingJelly, and the torch backend at each T and N.
"""

from __future__ import annotations

import functools
import statistics
import sys
from collections.abc import Callable
from typing import Any

import int8_limit
import torch
from timing import MODEL, converted, exact, interleaved, noisy_crop, shipped_network

from export.lowering import lower
from export.network import Network
from loihi_unet.conversion.calibrate import measure_scales
from loihi_unet.conversion.normalise import spiking_unet
from loihi_unet.files.checkpoint import (
    Calibration,
    load_checkpoint,
    weights_sha256,
)
from loihi_unet.networks.net import Net
from sim.torch.simulator import TorchSimulator

CORNERS = ((1, 8), (4, 4), (4, 8), (10, 4))
#: Channels of the first level, side of the image, rounds.
SIZES = ((16, 128, 15), (16, 256, 7), (64, 128, 5), (64, 256, 3))
WIDE = 64
#: SpikingJelly's T, and the largest network that is worth waiting for.
PEER_STEPS = (4, 10)
PEER_CHANNELS, PEER_SIDE = 16, 256

Jobs = dict[str, Callable[[], Any]]


def measure(limit: float) -> list[dict[str, Any]]:
    """One row for each network.

    Parameters
    ----------
    limit : float
        int8 multiply-adds a second.
    """
    return [
        row
        for channels, side, rounds in SIZES
        for row in _rows(channels, side, rounds, limit)
    ]


def _rows(channels: int, side: int, rounds: int, limit: float) -> list[dict[str, Any]]:
    model, networks = _networks(channels, side)
    image = noisy_crop(side)
    pixels = torch.from_numpy(image).float() / 255
    simulator = TorchSimulator()
    runs = {
        name: functools.partial(simulator.run, network, image, layers=())
        for name, network in networks.items()
    }
    others: Jobs = {"ann": lambda: _forward(model, pixels)}
    others |= _onnx(model, pixels)
    if channels <= PEER_CHANNELS and side <= PEER_SIDE:
        others |= _spikingjelly(model, pixels)
    every = {**others, **runs}
    seconds = dict(zip(every, interleaved(list(every.values()), rounds), strict=True))
    beside = {name: seconds[name] for name in others}
    return [
        _row(name, network, seconds[name], beside, limit, channels)
        for name, network in networks.items()
    ]


def _row(
    name: str,
    network: Network,
    seconds: float,
    beside: dict[str, float],
    limit: float,
    channels: int,
) -> dict[str, Any]:
    side, steps = network.input.shape[1], network.num_steps
    image = noisy_crop(side)
    simulator = TorchSimulator()
    key = f"{name}_{side}" + ("" if channels < WIDE else f"_{channels}ch")
    work = int8_limit.multiply_adds(network)
    row: dict[str, Any] = {
        "key": key,
        "config": {
            "name": name,
            "channels": channels,
            "size": f"{side}x{side}",
            "T": steps,
            "batch": len(image),
        },
        "seconds": seconds,
        "beside": beside,
        "over_ann": seconds / beside["ann"],
        "multiply_adds": work,
        "over_int8_limit": seconds * limit / work,
    }
    if "ort_int8" in beside:
        row["over_ort_int8"] = seconds / beside["ort_int8"]
        row["over_ort_float32"] = seconds / beside["ort_float32"]
    peer = f"spikingjelly_T{steps}"
    if peer in beside:
        row["spikingjelly_over_ours"] = beside[peer] / seconds
    if (channels, side) == (16, 128):
        recording = simulator.run(network, image)
        shares = [float((p != 0).mean()) for p in recording.payloads.values()]
        row["nonzero_share"] = statistics.mean(shares)
        row["exact"] = exact(recording, network, "reference")
    else:
        recording = simulator.run(network, image, layers=())
        row["exact"] = exact(recording, network, "float32")
    return row


@torch.inference_mode()
def _forward(model: torch.nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = model(pixels)
    return result


def _networks(channels: int, side: int) -> tuple[Net, dict[str, Network]]:
    """Float U-Net, and its integers by name."""
    model, config = load_checkpoint(MODEL)
    if channels == model.config.base_channels:
        networks = {f"T{T}N{N}": converted(T, N, side) for T, N in CORNERS}
        return model.eval(), {"shipped": shipped_network(side), **networks}
    torch.manual_seed(0)
    wide = Net(model.config.model_copy(update={"base_channels": channels})).eval()
    batches = [torch.from_numpy(noisy_crop(128)).float() / 255]
    calibration = Calibration(
        normalisation="connection",
        percentile=99.9,
        scales=measure_scales(
            wide, batches, normalisation="connection", percentile=99.9
        ),
        data_sha256="",
        weights_sha256=weights_sha256(wide),
    )

    def of(num_steps: int, num_thresholds: int) -> Network:
        snn = spiking_unet(
            wide,
            calibration,
            num_steps=num_steps,
            num_thresholds=num_thresholds,
            base_threshold=2 / 2**num_thresholds,
            provenance={"train": config.model_dump(mode="json")},
        )
        return lower(snn, side, side)

    return wide, {f"T{T}N{N}": of(T, N) for T, N in CORNERS}


def _onnx(model: Net, pixels: torch.Tensor) -> Jobs:
    try:
        import peer_onnx

        found = peer_onnx.jobs(model, pixels)
    except ModuleNotFoundError as error:
        print(f"onnxruntime: left out, needs '{error.name}'", file=sys.stderr)
        return {}
    return {f"ort_{name}": job for name, job in found.items()}


def _spikingjelly(model: Net, pixels: torch.Tensor) -> Jobs:
    """SpikingJelly's multi-step forward on the CPU, channels last, which is faster."""
    try:
        from peer_spikingjelly import SpikingJellyUNet
    except ModuleNotFoundError as error:
        print(f"SpikingJelly: left out, needs '{error.name}'", file=sys.stderr)
        return {}
    own, _ = load_checkpoint(MODEL)
    network = SpikingJellyUNet(own.to(memory_format=torch.channels_last)).eval()

    def job(steps: int) -> Callable[[], Any]:
        frames = pixels.repeat(steps, 1, 1, 1, 1)
        return lambda: _forward(network, frames)

    return {f"spikingjelly_T{T}": job(T) for T in PEER_STEPS}
