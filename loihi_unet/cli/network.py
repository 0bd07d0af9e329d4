# SPDX-License-Identifier: BSD-3-Clause
"""``export`` and ``inspect``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from export.mapping import MappingName
from loihi_unet.cli.console import (
    JsonOption,
    open_network,
    out,
    print_json,
    print_table,
)
from loihi_unet.cli.module import (
    AllowOption,
    ConstantOption,
    InputOption,
    MeanOption,
    ModuleOptions,
    ScaleOption,
    StdOption,
    inspect_module,
    print_operations,
)
from loihi_unet.cli.stock_options import with_stock_options

if TYPE_CHECKING:
    from export.network import Layer, Network
    from export.netx import StockOptions


def parse_size(text: str) -> tuple[int, int]:
    """``"128x96"`` as (height, width)."""
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None:
        raise typer.BadParameter(f"{text}: HEIGHTxWIDTH needed, e.g. 128x128")
    return int(match[1]), int(match[2])


def export(
    context: typer.Context,
    spiking: Annotated[
        str,
        typer.Argument(
            help="File written by convert or finetune, or name of a shipped network; "
            "for a NIR graph a network file of stock neurons."
        ),
    ] = "denoise-gray",
    path: Annotated[
        Path, typer.Option("--out", help="netx file to write, or a NIR graph (.nir).")
    ] = Path("runs/network.net"),
    size: Annotated[
        str | None,
        typer.Option(
            help="Image size HEIGHTxWIDTH; multiples of 2**levels, times the stem. "
            "Default: 128x128, or that of a torch module's input; of sigma-delta "
            "neurons that of the file."
        ),
    ] = None,
    mapping: Annotated[
        MappingName, typer.Option(help="Neurons on compartments.")
    ] = "graded",
    as_json: JsonOption = False,
) -> None:
    """Quantise a Spiking-UNet to integers and write it as a netx file.

    With --out FILE.nir: write a network of stock neurons as a NIR graph.

    Example: loihi-unet export denoise-gray --size 128x128 --out network.net
    """
    if path.suffix == ".nir":
        from loihi_unet.cli.nir import export_nir

        export_nir(context, Path(spiking), path, as_json)
        return
    from loihi_unet import api
    from loihi_unet.runs.hashes import hash_line, hashes

    network = api.export(
        spiking, parse_size(size) if size else None, mapping=mapping, out=path
    )
    if as_json:
        print_json({"out": str(path), **_hashes(network)})
    else:
        out.print(f"wrote {path}", soft_wrap=True)
        _, height, width = network.input.shape
        out.print(hash_line(hashes(network), (height, width)), soft_wrap=True)


@with_stock_options
def inspect(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="NETWORK",
            help="netx file (.net), name of a shipped network, or FILE.py:FUNCTION "
            "that returns a torch module (the file is run).",
        ),
    ],
    picture: Annotated[
        Path | None, typer.Option(help="Also draw the graph: PNG, SVG or PDF.")
    ] = None,
    shape: InputOption = None,
    allow: AllowOption = None,
    scale: ScaleOption = 1.0,
    mean: MeanOption = None,
    std: StdOption = None,
    constant: ConstantOption = None,
    as_json: JsonOption = False,
    stock: StockOptions | None = None,
) -> None:
    """Show what a netx file holds: layers, stages, delays, thresholds.

    Of a torch module: what becomes of each operation, and how faithful it is.

    Example: loihi-unet inspect network.net --picture network.png
    """
    from loihi_unet.frontend.module.source import is_module
    from loihi_unet.runs.hashes import hash_line, hashes

    if is_module(str(path)):
        options = ModuleOptions(shape, allow, scale, mean, std, constant)
        inspect_module(str(path), options, as_json=as_json)
        return
    network = open_network(path, stock)
    if picture is not None:
        from loihi_unet.report.drawing import draw_network

        draw_network(network, picture)
    rows = [_row(network, index) for index in range(len(network.layers))]
    for row, word in zip(rows, _words(network), strict=False):
        row["stock"] = word
    if as_json:
        source = network.input
        print_json(
            {
                **_hashes(network),
                "task": network.task,
                "num_steps": network.num_steps,
                "latency": network.latency,
                "input": {
                    "shape": source.shape,
                    "minimum": source.minimum,
                    "maximum": source.maximum,
                },
                "layers": rows,
                "provenance": dict(network.provenance),
            }
        )
        return
    columns = ["layer", "stage", "shape", "synapse", "from", "vth_mant", "bits"]
    cells = [
        [
            row["layer"],
            row["stage"],
            _times(row["shape"]),
            row["synapse"],
            _sources(row),
            _range(row["vth_mant"]),
            row["payload_bits"],
        ]
        for row in rows
    ]
    if "stock" in rows[0]:
        columns.append("stock")
        for cell, row in zip(cells, rows, strict=True):
            cell.append(row["stock"])
    title = (
        f"{path}: {network.task}, input {_times(network.input.shape)}, "
        f"T = {network.num_steps}, latency {network.latency} steps"
    )
    print_table(title, columns, cells)
    operations = network.provenance.get("operations", ())
    if operations:
        print_operations(str(path), operations)
    out.print("from: source, z = delay in steps, << = weight exponent")
    height, width = network.input.shape[1:]
    out.print(hash_line(hashes(network), (height, width)), soft_wrap=True)


def _hashes(network: Network) -> dict[str, str]:
    return {"sha256": network.sha256, "sha256_any_size": network.sha256_any_size}


def _words(network: Network) -> list[str]:
    """What stock netx makes of each layer of stock neurons; none for others."""
    from export.netx.stock_words import words

    return [] if network.in_windows else [*words(network).values()]


def _row(network: Network, index: int) -> dict[str, Any]:
    layer = network.layers[index]
    thresholds, bits = _spiking(layer)
    return {
        "layer": layer.name,
        "stage": network.stages[layer.name],
        "shape": layer.shape,
        "synapse": _kinds(layer),
        "from": [c.source for c in layer.connections],
        "delay": [c.delay for c in layer.connections],
        "weight_exp": [c.weight_exp for c in layer.connections],
        "vth_mant": thresholds,
        "payload_bits": bits,
        "mapping": getattr(layer.compartment, "mapping", ""),
        "bias_exp": layer.biases[0].exp if layer.biases else 0,
    }


def _kinds(layer: Layer) -> str:
    """Each kind of synapse once, in order."""
    return ", ".join(dict.fromkeys(type(c.synapse).__name__ for c in layer.connections))


def _spiking(layer: Layer) -> tuple[list[int], int]:
    """Thresholds and payload bits; none for what sends its state."""
    import numpy as np
    from typing_extensions import assert_never

    from export.compartment import MTIF, Accumulator
    from export.stock_compartment import CUBA, Delta, Sigma, SigmaDelta

    match layer.compartment:
        case MTIF(vth_mant=vth, num_thresholds=bits):
            return vth.tolist(), bits
        case CUBA(vth_mant=vth):
            return np.asarray(vth).reshape(-1).tolist(), 1
        case Delta(vth_mant=vth) | SigmaDelta(vth_mant=vth):
            return [vth], 24
        case Accumulator() | Sigma():
            return [], 0
        case _:
            assert_never(layer.compartment)


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _range(values: list[int]) -> str:
    if not values:
        return ""
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}..{high}"


def _sources(row: dict[str, Any]) -> str:
    lines = []
    parts = zip(row["from"], row["delay"], row["weight_exp"], strict=True)
    for source, delay, exponent in parts:
        wait = f" z{delay}" if delay else ""
        shift = f" <<{exponent}" if exponent else ""
        lines.append(f"{source}{wait}{shift}")
    return "\n".join(lines)
