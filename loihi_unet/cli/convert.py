# SPDX-License-Identifier: BSD-3-Clause
"""``convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from loihi_unet.cli.console import (
    SYSTEMS,
    JsonOption,
    LabelColoursOption,
    WhiteLevelOption,
    err,
    print_json,
    print_table,
    print_white_levels,
)
from loihi_unet.cli.module import (
    AllowOption,
    ConstantOption,
    InputOption,
    MeanOption,
    ModuleOptions,
    ScaleOption,
    StdOption,
    convert_module,
)


def convert(
    context: typer.Context,
    checkpoint: Annotated[
        str,
        typer.Argument(
            help="Run folder, checkpoint, name of a shipped model, a NIR graph, or "
            "FILE.py:FUNCTION that returns a torch module (the file is run)."
        ),
    ] = "denoise-gray",
    path: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="File to write; default: runs/spiking.safetensors, and "
            "runs/network.net of a NIR graph or of sigma-delta neurons.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Images to measure activations on; default: the scales stored with "
            "the checkpoint, else scikit-image's pictures. For a NIR graph: its input, "
            "a .npy of integers (T, C, H, W)."
        ),
    ] = None,
    dt: Annotated[
        float | None,
        typer.Option(help="Seconds of a time step; for NIR graphs, which have none."),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="T, time steps of one image; default: 10.", min=1),
    ] = None,
    thresholds: Annotated[
        int | None,
        typer.Option(help="N, thresholds of a neuron; 1: plain IF; default: 4."),
    ] = None,
    chip: Annotated[
        Literal["loihi1", "loihi2"] | None,
        typer.Option(help="Choose T and N for this chip, and say why."),
    ] = None,
    system: Annotated[
        str | None, typer.Option(help=f"And for this system: {SYSTEMS}.")
    ] = None,
    fewer: Annotated[
        bool,
        typer.Option(help="Give each layer as few of them as the output allows."),
    ] = False,
    base_threshold: Annotated[
        float | None,
        typer.Option(help="Lowest threshold q; without: 2 / 2**thresholds, or search."),
    ] = None,
    search: Annotated[
        bool | None,
        typer.Option(
            help="Choose each layer's thresholds on crops of the data; default: yes, "
            "unless --base-threshold gives them."
        ),
    ] = None,
    percentile: Annotated[
        float, typer.Option(help="Of a layer's activations; 100 is the maximum.")
    ] = 99.9,
    normalisation: Annotated[
        Literal["connection", "layer"], typer.Option(help="Equation 8 or 7.")
    ] = "connection",
    per: Annotated[
        Literal["channel", "layer"] | None,
        typer.Option(
            "--thresholds-per",
            help="A threshold for each feature map, or one for a layer; default: "
            "channel, where thresholds are searched and --normalisation is connection.",
        ),
    ] = None,
    bits: Annotated[
        float | None,
        typer.Option(help="Thresholds on average over all neurons, at most.", min=1),
    ] = None,
    neuron: Annotated[
        Literal["multi-threshold", "sigma-delta"],
        typer.Option(
            help="sigma-delta: stock neurons, one step a picture; --out NAME.net is "
            "the network file at once, NAME.safetensors is for export."
        ),
    ] = "multi-threshold",
    size: Annotated[
        str | None,
        typer.Option(
            help="HEIGHTxWIDTH of a sigma-delta network; default: 128x128, or that of "
            "a torch module's input."
        ),
    ] = None,
    shape: InputOption = None,
    allow: AllowOption = None,
    scale: ScaleOption = 1.0,
    mean: MeanOption = None,
    std: StdOption = None,
    constant: ConstantOption = None,
    white_level: WhiteLevelOption = None,
    label_colours: LabelColoursOption = None,
    as_json: JsonOption = False,
) -> None:
    """Convert a trained network to a multi-threshold Spiking-UNet.

    A NIR graph holds trained spiking neurons: it becomes a network file at once, as
    sigma-delta neurons do if --out is NAME.net.

    Example: loihi-unet convert runs/gray --data BSDS500-train --out snn.safetensors
    """
    from loihi_unet.cli.network import parse_size
    from loihi_unet.cli.nir import convert_nir, is_nir
    from loihi_unet.cli.sigma_delta import convert_sigma_delta
    from loihi_unet.data.datasets import Reading
    from loihi_unet.errors import ConversionError
    from loihi_unet.frontend.module.source import is_module

    if neuron == "sigma-delta":
        convert_sigma_delta(
            context,
            checkpoint,
            path,
            data,
            parse_size(size) if size else None,
            ModuleOptions(shape, allow, scale, mean, std, constant),
            white_level,
            label_colours,
            as_json,
        )
        return
    if size is not None:
        raise ConversionError("--size: of sigma-delta networks; others: export --size")
    if is_module(checkpoint):
        other = (base_threshold, chip, system, label_colours)
        if any(value is not None for value in other) or normalisation == "layer":
            raise ConversionError(
                f"{checkpoint}: --base-threshold, --normalisation, --chip, --system "
                "and --label-colours are for networks that loihi-unet has trained"
            )
        if search is False:
            per = "layer"
        convert_module(
            checkpoint,
            path or Path("runs/spiking.safetensors"),
            data,
            ModuleOptions(shape, allow, scale, mean, std, constant),
            num_steps=16 if steps is None else steps,
            num_thresholds=6 if thresholds is None else thresholds,
            per=per or "channel",
            percentile=percentile,
            fewer=fewer,
            bits=bits,
            white_level=white_level,
            as_json=as_json,
        )
        return
    if ModuleOptions(shape, allow, scale, mean, std, constant).given:
        raise ConversionError(
            f"{checkpoint}: --input, --allow, --scale, --mean, --std and --constant "
            "are for FILE.py:FUNCTION"
        )
    from loihi_unet.conversion.convert import convert as run_conversion
    from loihi_unet.errors import ConfigError
    from loihi_unet.runs.advice import advise_for

    if is_nir(checkpoint):
        convert_nir(context, Path(checkpoint), path, dt, data, as_json)
        return
    if dt is not None:
        raise ConfigError("--dt: only NIR graphs are converted with a time step")
    path = path or Path("runs/spiking.safetensors")

    why: tuple[str, ...] = ()
    if system is not None and chip is None:
        raise ConfigError("--system: needs --chip")
    if chip is not None:
        if steps is not None or thresholds is not None:
            raise ConfigError("--chip: chooses --steps and --thresholds itself")
        advice = advise_for(checkpoint, chip, system)
        steps, thresholds = advice.num_steps, advice.num_thresholds
        why = (*advice.why, f"Export it with --mapping {advice.mapping}.")
    if search is None:
        search = base_threshold is None
    if per is None:
        per = "channel" if search and normalisation == "connection" else "layer"
    with err.status("converting"):
        snn = run_conversion(
            checkpoint,
            path,
            data,
            percentile=percentile,
            normalisation=normalisation,
            num_steps=10 if steps is None else steps,
            num_thresholds=4 if thresholds is None else thresholds,
            base_threshold=base_threshold,
            search=search,
            fewer=fewer,
            per=per,
            bits=bits,
            reading=Reading(white_level=white_level, label_colours=label_colours),
        )
    scales = {layer.name: layer.scale for layer in snn.layers}
    numbers = {x.name: snn.thresholds(x) for x in snn.layers if x.spiking}
    if as_json:
        chosen = {"steps": snn.num_steps, "why": why} if chip else {}
        print_json(
            {"out": str(path), "scales": scales, "thresholds": numbers, **chosen}
        )
    else:
        rows = [
            [name, _range(scale), numbers.get(name, "")]
            for name, scale in scales.items()
        ]
        print_table(f"wrote {path}", ["layer", "scale", "thresholds"], rows)
        for sentence in why:
            typer.echo(sentence)
        print_white_levels(snn.provenance.get("white_levels", ()))


def _range(scale: float | tuple[float, ...]) -> object:
    if not isinstance(scale, tuple):
        return scale
    return f"{min(scale):.3g} .. {max(scale):.3g}, {len(scale)} channels"
