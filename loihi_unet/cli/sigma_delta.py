# SPDX-License-Identifier: BSD-3-Clause
"""``convert --neuron sigma-delta``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from loihi_unet.cli.console import err, out, print_json, print_next
from loihi_unet.cli.module import ModuleOptions, print_operations

if TYPE_CHECKING:
    from export.stock_network import StockNetwork

# Options of convert that mean something for sigma-delta neurons.
_OPTIONS = {
    *("checkpoint", "path", "data", "neuron", "size", "as_json"),
    *("shape", "allow", "scale", "mean", "std", "constant"),
    *("white_level", "label_colours"),
}


def convert_sigma_delta(
    context: typer.Context,
    source: str,
    path: Path | None,
    data: Path | None,
    size: tuple[int, int] | None,
    options: ModuleOptions,
    white_level: int | None,
    label_colours: Path | None,
    as_json: bool,
) -> None:
    """Convert, write the network, and say what it holds."""
    from loihi_unet.errors import ConversionError
    from loihi_unet.frontend.module.source import is_module

    _refuse_others(context)
    path = path or Path("runs/network.net")
    if is_module(source):
        network = _module(source, path, data, size, options, white_level)
    elif options.given:
        raise ConversionError(
            f"{source}: --input, --allow, --scale, --mean, --std and --constant "
            "are for FILE.py:FUNCTION"
        )
    else:
        from loihi_unet.data.datasets import Reading
        from loihi_unet.sigma_delta.convert import convert

        reading = Reading(white_level=white_level, label_colours=label_colours)
        with err.status("converting"):
            network = convert(source, path, data, size=size, reading=reading)
    _say(network, path, as_json)


def _module(
    source: str,
    path: Path,
    data: Path | None,
    size: tuple[int, int] | None,
    options: ModuleOptions,
    white_level: int | None,
) -> StockNetwork:
    from loihi_unet.conversion.module import crops
    from loihi_unet.data.pictures import load_pictures
    from loihi_unet.frontend.module.source import load_module
    from loihi_unet.sigma_delta.convert import convert_module, write

    shape, preparation = options.size(), options.preparation()
    err.print(f"{source}: the file is run, as any Python program", soft_wrap=True)
    module = load_module(source).float()
    pictures = load_pictures(data, shape[0], white_level)
    with err.status("converting"):
        network, _ = convert_module(
            module,
            crops(pictures, shape),
            allow=options.allow or [],
            preparation=preparation,
            size=size,
            source=source,
        )
    write(network, path)
    return network


def _say(network: StockNetwork, path: Path, as_json: bool) -> None:
    from loihi_unet.runs.hashes import hash_line, hashes

    if as_json:
        facts = {"layers": len(network.layers), "latency": network.num_steps}
        print_json({"out": str(path), **facts, **hashes(network)})
        return
    operations = network.provenance.get("operations", ())
    if operations:
        print_operations(str(path), operations)
    out.print(
        f"wrote {path}: {len(network.layers)} layers, a picture takes "
        f"{network.num_steps} steps",
        soft_wrap=True,
    )
    out.print(hash_line(hashes(network), network.input.shape[1:]), soft_wrap=True)
    if path.suffix == ".safetensors":
        print_next(f"loihi-unet export {path} --out NETWORK.net")


def _refuse_others(context: typer.Context) -> None:
    """Refuse options of neurons with windows and thresholds."""
    from loihi_unet.errors import ConversionError

    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name)
        if name not in _OPTIONS and given is not None and given.name == "COMMANDLINE":
            raise ConversionError(
                f"{parameter.opts[0]}: not for sigma-delta neurons, which take one "
                "step a picture and no multi-thresholds"
            )
