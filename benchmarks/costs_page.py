# SPDX-License-Identifier: BSD-3-Clause
"""docs/costs.md of what `costs` measured."""

from __future__ import annotations

from typing import Any


def page(record: dict[str, Any]) -> str:
    """Return the page of a record."""
    own, other, ann = record["fit"], record["neurobench"], record["onnx"]
    whole = own["effective"] + own["effective_transposed"]
    dense = own["dense"] + own["dense_transposed"]
    macs = record["macs"]
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
        f"{sides} crop of {record['picture']}, sigma {record['sigma']:g}.",
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
    slower = record["torch"]["seconds"] / ann["int8"]["seconds"]
    lines += [
        "",
        f"On an ordinary processor simulating the spikes takes {slower:.1f} times the",
        f"CPU time of the 8-bit ANN. At T = {record['T']} the spiking network executes",
        f"{ratio:.2f} synaptic operations for each multiply-accumulate of the U-Net,",
        "from which feature maps have been removed since (borders not taken off). Both",
        "compare algorithms on a CPU: the spikes are for a chip on which the ANN",
        "does not run, and no chip was at hand.",
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
