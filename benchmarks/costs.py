# SPDX-License-Identifier: BSD-3-Clause
"""A second opinion on costs: docs/costs.json and docs/costs.md.

    pip install neurobench onnx onnxruntime sanafe   # benchmarks only
    python benchmarks/costs.py

The shipped gray denoiser on one noisy crop: what `fit` counts beside NeuroBench's
counters on the very same spikes, and the U-Net it came from as an 8-bit network in
onnxruntime. A small network: its energy on a Loihi 1 by SANA-FE.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import costs_page
import costs_sanafe
import numpy as np
import torch
from torch import nn

from export.files.atomic import write_text
from export.fit import Activity
from export.fit.structure import describe
from export.images import decode
from export.lowering import lower
from export.network import Network
from export.synapse import AveragePool, Conv, ConvTranspose
from loihi_unet.data.pictures import load_pictures
from loihi_unet.files.checkpoint import load_checkpoint
from loihi_unet.files.spiking_file import load_spiking_unet
from loihi_unet.networks.operations import macs_per_pixel
from loihi_unet.tasks.denoise import noisy_picture
from loihi_unet.tasks.metrics import quality
from sim.backend import create
from sim.recording import Recording
from sim.statistics import activity

DOCS = Path(__file__).parents[1] / "docs"
MODEL, PICTURE, SIGMA, SEED = "denoise-gray", "camera.png", 25.0, 0
CORNER, SIDE = (96, 160), 128
#: Calls of which the fastest counts.
CALLS = 5


class Sent(nn.Module):
    """What NeuroBench takes for the activation of a layer."""

    def forward(self, payload: torch.Tensor) -> torch.Tensor:
        """Return what the layer sends."""
        return payload


class Replay(nn.Module):
    """A recording shown to a network's synapses once more, for counters that hook in.

    float64, for NeuroBench adds operations up in the dtype of the network.

    Parameters
    ----------
    network : Network
        Integers.
    recording : Recording
        All layers, all steps.
    """

    def __init__(self, network: Network, recording: Recording) -> None:
        super().__init__()
        self.network, self.recording = network, recording
        self.synapses = nn.ModuleList()
        self.sources: list[str] = []
        for layer in network.layers:
            for connection in layer.connections:
                self.synapses.append(_module(connection.synapse).double())
                self.sources.append(connection.source)
        self.sent = nn.ModuleList(Sent() for _ in recording.payloads)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Replay every step; the images are those that were recorded."""
        steps = self.network.num_steps
        payloads = {
            name: torch.from_numpy(np.asarray(value)).double()
            for name, value in self.recording.payloads.items()
        }
        for step in range(steps):
            for synapse, source in zip(self.synapses, self.sources, strict=True):
                known = source in payloads
                synapse(payloads[source][:, step] if known else images.double())
            for module, payload in zip(self.sent, payloads.values(), strict=True):
                module(payload[:, step])
        return images


def _module(synapse: Any) -> nn.Module:
    """The synapse as torch has it, with its weights and no bias."""
    match synapse:
        case Conv(weight=weight, groups=groups):
            found: Any = nn.Conv2d(
                weight.shape[1] * groups,
                weight.shape[0],
                weight.shape[2:],
                synapse.stride,
                synapse.padding,
                synapse.dilation,
                groups,
                bias=False,
            )
        case ConvTranspose(weight=weight):
            found = nn.ConvTranspose2d(
                *weight.shape[:2],
                weight.shape[2:],
                synapse.stride,
                synapse.padding,
                synapse.output_padding,
                bias=False,
            )
        case AveragePool(channels=count, kernel_size=window):
            weight = np.full((count, 1, *window), synapse.weight_mant)
            found = nn.Conv2d(count, count, window, window, groups=count, bias=False)
        case _:
            raise TypeError(f"{type(synapse).__name__}: no synapse of a U-Net")
    found.weight.data = torch.tensor(np.asarray(weight), dtype=torch.float64)
    return found


class Stored(nn.Module):
    """What lies on the chip, as buffers of the width that it takes there."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        for number, layer in enumerate(network.layers):
            for index, connection in enumerate(layer.connections):
                if not isinstance(connection.synapse, AveragePool):
                    levels = np.asarray(connection.synapse.weight) // 2
                    name = f"weight{number}_{index}"
                    self.register_buffer(name, torch.tensor(levels, dtype=torch.int8))
            theta = getattr(layer.compartment, "vth_mant", None)
            if theta is not None:
                value = torch.tensor(np.asarray(theta), dtype=torch.int32)
                self.register_buffer(f"theta{number}", value)
            bias = torch.zeros(layer.shape[0], dtype=torch.int16)
            self.register_buffer(f"bias{number}", bias)


def neurobench(network: Network, recording: Recording) -> dict[str, Any]:
    """Return what NeuroBench counts on a recording, per image.

    Parameters
    ----------
    network, recording
        All layers, all steps.
    """
    from neurobench.metrics.static import Footprint
    from neurobench.metrics.workload import ActivationSparsity, SynapticOperations
    from neurobench.models import TorchModel

    model = TorchModel(Replay(network, recording))
    model.add_activation_module(Sent)
    model.register_hooks()
    images = torch.from_numpy(np.array(recording.images))
    with torch.no_grad():
        model(images)
        operations = SynapticOperations()
        found = operations(model, None, (images, None))
        sparsity = ActivationSparsity()(model, None, (images, None))
    model.cleanup_hooks()
    return {
        "effective": found["Effective_MACs"] + found["Effective_ACs"],
        "dense": found["Dense"],
        "sparsity": sparsity,
        "footprint": Footprint()(TorchModel(Stored(network))),
        "version": importlib.metadata.version("neurobench"),
    }


def ours(network: Network, counts: Activity) -> dict[str, Any]:
    """Return the same counts by `fit`, transposed convolutions by themselves.

    Parameters
    ----------
    network : Network
        Integers.
    counts : Activity
        Of the recording.
    """
    transposed = {
        (link.source, layer.name)
        for layer in describe(network).layers
        for link in layer.links
        if link.transposed
    }
    effective = {True: 0.0, False: 0.0}
    for link in counts.links:
        key = (link.source, link.target) in transposed
        effective[key] += link.effective / counts.images
    dense = {True: 0, False: 0}
    for layer in describe(network).layers:
        for link in layer.links:
            dense[link.transposed] += link.synapses * network.num_steps
    sending = [node for node in counts.layers if node.name != network.input.name]
    neurons = sum(int(np.prod(network.nodes[node.name].shape)) for node in sending)
    messages = sum(node.messages for node in sending) / counts.images
    weights = sum(
        np.asarray(connection.synapse.weight).size
        for layer in network.layers
        for connection in layer.connections
        if not isinstance(connection.synapse, AveragePool)
    )
    thetas = sum(
        np.asarray(getattr(layer.compartment, "vth_mant", [])).size
        for layer in network.layers
    )
    return {
        "effective": effective[False],
        "effective_transposed": effective[True],
        "dense": dense[False],
        "dense_transposed": dense[True],
        "sparsity": 1 - messages / (neurons * network.num_steps),
        "footprint": weights
        + 4 * thetas
        + 2 * sum(layer.shape[0] for layer in network.layers),
    }


def onnx_int8(noisy: np.ndarray, clean: np.ndarray) -> dict[str, Any]:
    """Return bytes, CPU seconds and quality of the U-Net as an 8-bit ANN.

    Parameters
    ----------
    noisy, clean : ndarray, shape (1, C, H, W) and (C, H, W)
        Gray levels.
    """
    import onnxruntime
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantType,
        quantize_static,
    )

    model, _ = load_checkpoint(MODEL)
    pixels = torch.from_numpy(np.asarray(noisy, np.float32) / np.float32(255))
    calibration = [
        noisy_picture(picture, index, sigma=SIGMA, seed=1)[None, :, :SIDE, :SIDE]
        / np.float32(255)
        for index, picture in enumerate(load_pictures(None, 1))
        if picture.name != PICTURE and min(picture.size) >= SIDE
    ]

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = iter(calibration)

        def get_next(self) -> dict[str, np.ndarray] | None:
            one = next(self.left, None)
            return None if one is None else {"x": np.asarray(one, np.float32)}

    with tempfile.TemporaryDirectory() as folder:
        floats, integers = (str(Path(folder) / f"{n}.onnx") for n in ("f", "q"))
        torch.onnx.export(
            model, (pixels,), floats, input_names=["x"], dynamo=False, opset_version=17
        )
        quantize_static(
            floats,
            integers,
            Reader(),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        found: dict[str, Any] = {"calibration": len(calibration)}
        for name, path in (("float32", floats), ("int8", integers)):
            session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
            [output] = session.run(None, {"x": pixels.numpy()})
            call = _bound(session, pixels.numpy())
            found[name] = {
                "bytes": os.path.getsize(path),
                "seconds": cpu_seconds(call),
                "psnr": quality(clean, 255 * output[0]).psnr,
            }
        return found | {"version": onnxruntime.__version__}


def _bound(session: Any, pixels: np.ndarray) -> Callable[[], Any]:
    return lambda: session.run(None, {"x": pixels})


def cpu_seconds(call: Callable[[], Any]) -> float:
    """Return the least CPU time that a call takes, all threads together."""
    call()
    found = []
    for _ in range(CALLS):
        started = time.process_time()
        call()
        found.append(time.process_time() - started)
    return min(found)


def measure() -> dict[str, Any]:
    """Run everything and return the record."""
    torch.set_num_threads(1)
    snn = load_spiking_unet(MODEL)
    model, _ = load_checkpoint(MODEL)
    picture = next(p for p in load_pictures(None, 1) if p.name == PICTURE)
    rows, columns = (slice(start, start + SIDE) for start in CORNER)
    noisy = noisy_picture(picture, 0, sigma=SIGMA, seed=SEED)[None, :, rows, columns]
    images, clean = np.rint(noisy).astype(np.int32), picture.pixels[:, rows, columns]
    network = lower(snn, SIDE, SIDE)
    simulator = create("torch")
    recording = simulator.run(network, images)
    assert recording.output is not None
    return {
        "model": MODEL,
        "network_sha256_any_size": network.sha256_any_size,
        "T": network.num_steps,
        "N": snn.num_thresholds,
        "side": SIDE,
        "macs": round(macs_per_pixel(model.config) * SIDE**2),
        "picture": PICTURE,
        "sigma": SIGMA,
        "fit": ours(network, activity(network, recording)),
        "neurobench": neurobench(network, recording),
        "onnx": onnx_int8(images, clean),
        "loihi1": costs_sanafe.measure(),
        "torch": {
            "seconds": cpu_seconds(lambda: simulator.run(network, images, layers=())),
            "psnr": quality(clean, 255 * decode(network, recording.output[0])).psnr,
        },
    }


def main() -> None:
    """Measure and write both files."""
    record = measure()
    text = json.dumps(record, indent=1, sort_keys=True) + "\n"
    write_text(DOCS / "costs.json", text)
    write_text(DOCS / "costs.md", costs_page.page(record))


if __name__ == "__main__":
    main()
