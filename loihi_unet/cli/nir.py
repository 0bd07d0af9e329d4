# SPDX-License-Identifier: BSD-3-Clause
"""NIR graphs for ``convert`` and ``export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from loihi_unet.cli.console import err, open_network, out, print_json, print_table

if TYPE_CHECKING:
    from export.network import Network
    from loihi_unet.frontend.nir.convert import Converted

# Options of convert and export that mean something for a NIR graph.
_OPTIONS = {"checkpoint", "spiking", "path", "data", "dt", "as_json"}


def is_nir(source: str) -> bool:
    """Whether the argument of ``convert`` is a NIR file."""
    from export.files.recognise import recognise

    try:
        return recognise(Path(source)) == "nir"
    except OSError:
        return False


def convert_nir(
    context: typer.Context,
    source: Path,
    path: Path | None,
    dt: float | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Convert a NIR file and say what rounding did to it."""
    from loihi_unet.frontend.nir.convert import convert_nir as convert

    _refuse_others(context)
    path = path or Path("runs/network.net")
    with err.status("converting"):
        converted = convert(source, path, dt, data)
    if as_json:
        print_json({"out": str(path), **converted.record()})
    else:
        _tables(path, converted)


def _refuse_others(context: typer.Context) -> None:
    """Refuse options that a NIR graph has no use for."""
    from loihi_unet.errors import ConfigError

    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name)
        if name not in _OPTIONS and given is not None and given.name == "COMMANDLINE":
            raise ConfigError(
                f"{parameter.opts[0]}: not for NIR graphs, whose neurons are trained"
            )


def _tables(path: Path, converted: Converted) -> None:
    if converted.errors:
        columns = ["layer", "parameter", "NIR", "integers", "error"]
        rows = [
            [
                row.layer,
                row.parameter,
                _range(*row.nir, "{:.4g}"),
                _range(*row.integers, "{}"),
                f"{row.error:.2%}",
            ]
            for row in converted.errors
        ]
        print_table("what rounding does, in steps of dt and units of v", columns, rows)
        out.print("error: largest difference, as a share of the largest value")
        print_table(
            "states keep within 24 bits",
            ["layer", "how long"],
            [*converted.proofs.items()],
        )
    if converted.agreement:
        columns = ["layer", "spikes", "of integers", "in both", "correlation"]
        rows = [
            [
                row.layer,
                *(row.spikes if row.same is not None or any(row.spikes) else ("", "")),
                "" if row.same is None else f"{row.same:.1%}",
                "" if row.correlation is None else f"{row.correlation:.4f}",
            ]
            for row in converted.agreement
        ]
        print_table("agreement with the float network, on the data", columns, rows)
        out.print("in both: of all spikes of either; correlation: of rates, or of v")
    _wrote(path, converted.network)


def _wrote(path: Path, network: Network) -> None:
    from loihi_unet.runs.hashes import hash_line, hashes

    out.print(f"wrote {path}", soft_wrap=True)
    out.print(hash_line(hashes(network), network.input.shape[1:]), soft_wrap=True)


def _range(low: Any, high: Any, form: str) -> str:
    first, last = form.format(low), form.format(high)
    return first if first == last else f"{first}..{last}"


def export_nir(context: typer.Context, source: Path, path: Path, as_json: bool) -> None:
    """Write a network file as a NIR graph."""
    from loihi_unet.frontend.nir.write import write_nir

    _refuse_others(context)
    network = open_network(source)
    write_nir(network, path)
    if as_json:
        print_json(
            {
                "out": str(path),
                "sha256": network.sha256,
                "sha256_any_size": network.sha256_any_size,
            }
        )
    else:
        _wrote(path, network)
