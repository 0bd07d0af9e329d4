# SPDX-License-Identifier: BSD-3-Clause
"""netx's arguments as options of every command that reads a network file."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from export.netx import StockOptions

PANEL = "Files of lava-dl (arguments of its netx.hdf5.Network)"


def _option(help_text: str, **limits: Any) -> Any:
    return typer.Option(help=help_text, rich_help_panel=PANEL, **limits)


OPTIONS: dict[str, Any] = {
    "input_shape": Annotated[
        str | None,
        _option("C,H,W of the input, where the file does not say.", metavar="C,H,W"),
    ],
    "reset_interval": Annotated[
        int | None, _option("Time steps between resets of CUBA layers.", min=1)
    ],
    "reset_offset": Annotated[
        int | None, _option("Phase of the resets; needs --reset-interval.", min=0)
    ],
    "input_message_bits": Annotated[
        int | None,
        _option("Bits of the input's payloads; 0: spikes.", min=0, max=24),
    ],
    "num_layers": Annotated[
        int | None, _option("Read only so many entries of the file.", min=1)
    ],
    "skip_layers": Annotated[
        int | None, _option("Leave out so many first entries.", min=0)
    ],
    "spike_exp": Annotated[
        int | None,
        _option("Fraction bits of sigma-delta payloads (6).", min=0, max=7),
    ],
}


def with_stock_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options; it gets them as ``stock``, None if none is there.

    Parameters
    ----------
    command : callable
        With a parameter ``stock`` of type `export.netx.StockOptions` or None.

    Returns
    -------
    callable
        For typer, which reads its signature.
    """
    # The class behind ``stock`` is imported only when an option is given.
    names = {"StockOptions": object}
    signature = inspect.signature(command, eval_str=True, locals=names)
    kept = [p for name, p in signature.parameters.items() if name != "stock"]
    added = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
        )
        for name, annotation in OPTIONS.items()
    ]

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        given = {name: kwargs.pop(name, None) for name in OPTIONS}
        command(*args, stock=_options(given), **kwargs)

    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in kept]
    wrapped.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*parameters, *added]
    )
    wrapped.__annotations__ = {p.name: p.annotation for p in (*parameters, *added)}
    return wrapped


def _options(given: dict[str, Any]) -> StockOptions | None:
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        return None
    from export.netx import StockOptions
    from export.stock_network import Reset

    offset = given.pop("reset_offset", None)
    interval = given.pop("reset_interval", None)
    if interval is not None:
        given["reset"] = Reset(interval=interval, offset=offset or 0)
    elif offset is not None:
        raise typer.BadParameter("--reset-offset needs --reset-interval")
    if "input_shape" in given:
        given["input_shape"] = parse_shape(given["input_shape"])
    return StockOptions(**given)


def parse_shape(text: str) -> tuple[int, int, int]:
    """``"3,66,200"`` as (C, H, W)."""
    match = re.fullmatch(r"(\d{1,6}),(\d{1,6}),(\d{1,6})", text.replace(" ", ""))
    if match is None:
        raise typer.BadParameter(f"--input-shape {text}: C,H,W needed, e.g. 3,66,200")
    return int(match[1]), int(match[2]), int(match[3])
