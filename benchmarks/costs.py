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
        "fit": ours(network, activity(network, recording)),
        "neurobench": neurobench(network, recording),
        "onnx": onnx_int8(images, clean),
        "loihi1": costs_sanafe.measure(),
        "torch": {
            "seconds": cpu_seconds(lambda: simulator.run(network, images, layers=())),
            "psnr": quality(clean, 255 * decode(network, recording.output[0])).psnr,
        },
    }


def page(record: dict[str, Any]) -> str:
    """Return the page of a record."""
    own, other, ann = record["fit"], record["neurobench"], record["onnx"]
    whole = own["effective"] + own["effective_transposed"]
    dense = own["dense"] + own["dense_transposed"]
    macs = dense / record["T"]
    sides = "x".join(2 * [str(record["side"])])
    counts = [
        ("effective synaptic operations", own["effective"], other["effective"]),
        ("dense synaptic operations", own["dense"], other["dense"]),
        ("bytes of weights, thresholds, biases", own["footprint"], other["footprint"]),
    ]
    lines = [
        "# A second opinion on costs",
        "",
        "Written by `python benchmarks/costs.py` (costs.json), which needs",
        "`neurobench`, `sanafe`, `onnx` and `onnxruntime`; the package needs none.",
        f"`{record['model']}`, T = {record['T']}, N = {record['N']}, on one noisy",
        f"{sides} crop of {PICTURE}, sigma {SIGMA:g}.",
        "",
        "## fit beside NeuroBench",
        "",
        f"NeuroBench {other['version']} counted the same spikes: its hooks stood on a",
        "torch module that shows a recording to the network's synapses once more.",
        "",
        "| count, of a picture | fit | NeuroBench | |",
        "| --- | --- | --- | --- |",
    ]
    for name, mine, theirs in counts:
        verdict = "equal" if round(mine) == round(theirs) else "differ"
        lines.append(f"| {name} | {mine:,.0f} | {theirs:,.0f} | {verdict} |")
    sparse = "equal" if abs(own["sparsity"] - other["sparsity"]) < 1e-12 else "differ"
    lines += [
        f"| activation sparsity | {own['sparsity']:.6f} | {other['sparsity']:.6f} | "
        f"{sparse} |",
        "",
        "The operations above are without transposed convolutions: NeuroBench hooks",
        "`Conv1d`, `Conv2d`, `Conv3d` and `Linear`, and silently leaves out",
        f"`ConvTranspose2d`. `fit` counts {own['effective_transposed']:,.0f} effective",
        f"and {own['dense_transposed']:,.0f} dense operations of them, so {whole:,.0f}",
        f"and {dense:,.0f} in all. NeuroBench calls operations on payloads above 1",
        "multiply-accumulates, on binary ones accumulates; both are in its number. Its",
        "footprint is that of a module's parameters and buffers in their dtype: here",
        "int8 weights, int32 thresholds and int16 biases, as they lie on the chip. It",
        "does not count what stands on a core besides (axons, potentials), which `fit`",
        "does in words of a core.",
        "",
        "## The same U-Net as an 8-bit ANN",
        "",
        f"onnxruntime {ann['version']}, static quantisation per channel, calibrated on",
        f"{ann['calibration']} noisy crops of scikit-image's photographs, not tuned.",
        "CPU seconds of one thread, the fastest of five calls, on a machine that had",
        "other work; bytes of the file, or of what lies on the chip.",
        "",
        "| | operations | bytes | CPU ms | PSNR, dB |",
        "| --- | --- | --- | --- | --- |",
    ]
    rows = [
        ("U-Net, float32, onnxruntime", f"{macs:,.0f} MAC", ann["float32"]),
        ("U-Net, 8 bits, onnxruntime", f"{macs:,.0f} MAC", ann["int8"]),
        (
            "Spiking-UNet, torch backend",
            f"{whole:,.0f} effective",
            {"bytes": own["footprint"], **record["torch"]},
        ),
    ]
    for name, operations, one in rows:
        lines.append(
            f"| {name} | {operations} | {one['bytes']:,} | "
            f"{1000 * one['seconds']:.1f} | {one['psnr']:.2f} |"
        )
    ratio = whole / macs
    faster = record["torch"]["seconds"] / ann["int8"]["seconds"]
    lines += [
        "",
        f"On an ordinary processor the 8-bit ANN takes {faster:.1f} times less CPU",
        f"time than simulating the spikes. At T = {record['T']} the spiking network",
        f"executes {ratio:.2f} synaptic operations for each multiply-accumulate of the",
        "U-Net. Both compare algorithms on a CPU: what the spikes are for is a chip on",
        "which the ANN does not run, and no chip was at hand.",
        "",
        *_loihi1(record["loihi1"]),
    ]
    return "\n".join(lines)


def _loihi1(record: dict[str, Any]) -> list[str]:
    """Energy of the small network, in nanojoules."""
    other, own = record["sanafe"], record["fit"]
    terms = {term["what"]: term for term in own["terms"]}
    rows = (
        ("synaptic operations", "synapse", "synaptic operations"),
        ("updates and firing of neurons", "soma", "compartment updates"),
        ("spikes on their way", "network", "spikes to other cores"),
    )
    same = "the same neurons fired" if other["same_spikes"] else "OTHER neurons fired"
    events, mine = other["synaptic_events"], own["synaptic_events"]
    lines = [
        "## Energy on a Loihi 1, beside SANA-FE",
        "",
        f"SANA-FE {other['version']} with its own file of a Loihi, and a chain of",
        f"three 3x3 convolutions of IF neurons on {record['side']}x{record['side']}",
        f"pixels, T = {record['T']}, `parallel-if`. At every step {same} as here,",
        f"and it counts {events:,} synaptic operations where `fit` counts {mine:,}.",
        "",
        "| nanojoules of a picture | SANA-FE | fit, low | fit, high |",
        "| --- | --- | --- | --- |",
    ]
    for name, theirs, ours_ in rows:
        term = terms[ours_]
        lines.append(
            f"| {name} | {1e9 * other['energy'][theirs]:.1f} | "
            f"{1e9 * term['low']:.1f} | {1e9 * term['high']:.1f} |"
        )
    low, high = (sum(term[k] for term in own["terms"]) for k in ("low", "high"))
    total = other["energy"]["total"]
    inside = "inside" if low <= total <= high else "outside"
    return [
        *lines,
        f"| all | {1e9 * total:.1f} | {1e9 * low:.1f} | {1e9 * high:.1f} |",
        "",
        f"SANA-FE's sum lies {inside} the interval. It runs one step more, for a",
        "spike is integrated a step after it was sent; its neuron resets by",
        "subtraction in one compartment, where `fit` counts the two that a Loihi 1",
        "needs; it has a spike's firing with the neuron, `fit` with the spike's way;",
        "all of it lies on one core, so no message crosses the mesh. Static power is",
        "in neither.",
        "",
    ]


def main() -> None:
    """Measure and write both files."""
    record = measure()
    text = json.dumps(record, indent=1, sort_keys=True) + "\n"
    write_text(DOCS / "costs.json", text)
    write_text(DOCS / "costs.md", page(record))


if __name__ == "__main__":
    main()
