# SPDX-License-Identifier: BSD-3-Clause
"""``convert`` and ``inspect`` of somebody's torch module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from loihi_unet.cli.console import err, out, print_json, print_table

if TYPE_CHECKING:
    from loihi_unet.frontend.module.fidelity import Operation
    from loihi_unet.frontend.module.read import Preparation
    from loihi_unet.runs.quality import Quality

InputOption = Annotated[
    str | None,
    typer.Option("--input", help="CxHxW of a module's input, as 3x64x64."),
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(help="Consent to a replacement, as max_pool2d=average."),
]
ScaleOption = Annotated[
    float, typer.Option(help="What pixels 0..1 are multiplied by; 255: gray levels.")
]
MeanOption = Annotated[
    str | None, typer.Option(help="Then subtracted: one number, or one a channel.")
]
StdOption = Annotated[
    str | None, typer.Option(help="Then divided by: one number, or one a channel.")
]
ConstantOption = Annotated[
    float | None, typer.Option(help="Value of a module's second input.")
]


class ModuleOptions(NamedTuple):
    """What the command line says about a module."""

    shape: str | None
    allow: list[str] | None
    scale: float
    mean: str | None
    std: str | None
    constant: float | None

    @property
    def given(self) -> bool:
        """Whether any differs from what it is without."""
        return self != ModuleOptions(None, None, 1.0, None, None, None)

    def preparation(self) -> Preparation:
        """Return what the network expects of a pixel."""
        import math

        from loihi_unet.errors import ConversionError
        from loihi_unet.frontend.module.read import Preparation
        from loihi_unet.frontend.module.source import parse_numbers

        mean, std = parse_numbers(self.mean, 0.0), parse_numbers(self.std, 1.0)
        numbers = (self.scale, *mean, *std, self.constant or 0.0)
        if not all(map(math.isfinite, numbers)) or not self.scale or not all(std):
            raise ConversionError(
                "--scale, --mean, --std, --constant: finite numbers needed, --scale "
                "and --std other than 0"
            )
        return Preparation(scale=self.scale, mean=mean, std=std, constant=self.constant)

    def size(self) -> tuple[int, int, int]:
        """Return (C, H, W)."""
        from loihi_unet.conversion.module import parse_shape
        from loihi_unet.errors import ConversionError

        if self.shape is None:
            raise ConversionError("--input CxHxW: needed for FILE.py:FUNCTION")
        return parse_shape(self.shape)


def convert_module(
    source: str,
    path: Path,
    data: Path | None,
    options: ModuleOptions,
    *,
    num_steps: int,
    num_thresholds: int,
    per: Literal["channel", "layer"],
    percentile: float,
    fewer: bool,
    bits: float | None,
    white_level: int | None,
    as_json: bool,
) -> None:
    """Convert, write, and say where the quality went."""
    from dataclasses import replace

    from loihi_unet.conversion.module import convert, crops
    from loihi_unet.data.pictures import fingerprint, load_pictures
    from loihi_unet.files.spiking_file import save_spiking_unet
    from loihi_unet.frontend.module.read import Prepared
    from loihi_unet.frontend.module.source import load_module
    from loihi_unet.runs.quality import with_headroom

    shape, preparation = options.size(), options.preparation()
    _say(source)
    module = load_module(source).float()
    pictures = load_pictures(data, shape[0], white_level)
    with err.status("converting"):
        converted = convert(
            module,
            crops(pictures, shape),
            num_steps=num_steps,
            num_thresholds=num_thresholds,
            allow=options.allow or [],
            preparation=preparation,
            per=per,
            percentile=percentile,
            fewer=fewer,
            bits=bits,
            source=source,
        )
        prepared = Prepared(module, preparation).eval()
        snn, measured = with_headroom(
            prepared, converted.reading.usable(), converted.snn, converted.x
        )
    provenance = {
        **snn.provenance,
        "data_sha256": fingerprint(pictures),
        "quality": measured.as_json(),
    }
    save_spiking_unet(path, replace(snn, provenance=provenance))
    operations = converted.reading.operations
    if as_json:
        print_json(
            {
                "out": str(path),
                "operations": _rows_json(operations),
                "quality": measured.as_json(),
            }
        )
        return
    print_operations(source, _rows_json(operations))
    _print_quality(path, measured)


def inspect_module(source: str, options: ModuleOptions, *, as_json: bool) -> None:
    """Show what would become of each operation."""
    import torch

    from loihi_unet.frontend.module.read import read_module
    from loihi_unet.frontend.module.source import load_module

    shape, preparation = options.size(), options.preparation()
    _say(source)
    reading = read_module(
        load_module(source),
        torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)),
        allow=options.allow or [],
        preparation=preparation,
    )
    if as_json:
        print_json({"operations": _rows_json(reading.operations)})
        return
    print_operations(source, _rows_json(reading.operations))


def _say(source: str) -> None:
    err.print(
        f"{source}: the file is run, as any Python program",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )


def _rows_json(operations: tuple[Operation, ...]) -> list[dict[str, Any]]:
    from loihi_unet.frontend.module.fidelity import as_json

    return as_json(operations)


def print_operations(source: str, operations: Sequence[Mapping[str, Any]]) -> None:
    """Print what became of each operation, from the JSON values of the table."""
    columns = ["layer", "operation", "fidelity", "how", "line"]
    rows = [[item[column] for column in columns] for item in operations]
    print_table(f"{source}: what becomes of it", columns, rows)


def _print_quality(path: Path, quality: Quality) -> None:
    stages = [[s.name, f"{100 * s.error:.3f} %", s.correlation] for s in quality.stages]
    print_table(
        f"wrote {path}; against the float network, on the calibration pictures",
        ["output of", "error, of its range", "correlation"],
        stages,
    )
    layers = [
        [
            item.name,
            f"{100 * item.error:.2f} %",
            item.num_thresholds,
            item.headroom,
            item.certain,
        ]
        for item in quality.layers
    ]
    print_table(
        "what each layer costs when all before it are float",
        ["layer", "error, of its values", "N", "bits left of 24", "on any picture"],
        layers,
    )
    where = quality.may_overflow
    out.print(
        "no picture can make a potential leave 24 bits"
        if not where
        else f"a picture far from these could make {', '.join(where)} leave 24 bits: "
        "its run would end with an error that names layer and step",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
