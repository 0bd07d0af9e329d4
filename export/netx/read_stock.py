# SPDX-License-Identifier: BSD-3-Clause
"""Stock netx HDF5 file -> StockNetwork; also the layers of one that we wrote.

Keys and defaults are those of lava-dl 0.6.0: lava.lib.dl.netx.hdf5.Network for what
it loads, slayer's ``export_hdf5`` for the layers that it does not. What stock netx
would ignore, although it changes the result, is refused.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from export.errors import NetworkError
from export.facts import PAYLOAD
from export.files.hdf5 import open_file
from export.files.hdf5_group import Group
from export.network import Input
from export.netx.options import StockOptions
from export.netx.read_stock_graph import Reader
from export.netx.refused import survey
from export.netx.schema import MAX_LAYERS
from export.stock_compartment import CUBA
from export.stock_network import Frames, StockLayer, StockNetwork


def read_stock(path: str | Path, options: StockOptions | None = None) -> StockNetwork:
    """Read a netx file that lava-dl wrote.

    Parameters
    ----------
    path : str or Path
        File.
    options : StockOptions, optional
        What the file does not say.

    Returns
    -------
    StockNetwork
        Runs with the same spikes and states as stock ``netx.hdf5.Network``, and as
        slayer itself where netx has no such layer.

    Raises
    ------
    NetworkError
        If the file is missing, damaged, or holds values that no network may hold.
    UnsupportedLayerError
        If it holds what is not supported: one line that says why.
    """
    path = Path(path)
    with open_file(path, "network") as root, root.located():
        return read_stock_group(root, options or StockOptions(), f"stock {path.name}")


def read_stock_group(
    root: Group, options: StockOptions, origin: str, input_name: str = "input"
) -> StockNetwork:
    """Read the graph below an open file's root; see `read_stock`."""
    groups = root.group("layer")
    count = len(groups.names())
    if options.num_layers is not None:
        count = min(count, options.num_layers)
    if count > MAX_LAYERS:
        raise root.error("layer", f"{count} entries found, {MAX_LAYERS} allowed")
    if not count:
        raise root.error("layer", "nothing found, one entry or more needed")
    entries = [groups.group(str(i)) for i in range(count)]
    survey(entries)
    reader = Reader(entries, options, input_name)
    source, layers = _rest(reader, options.skip_layers)
    network = StockNetwork(
        input=source,
        layers=layers,
        num_steps=options.num_steps or 1,
        reset=options.reset,
        task="stock",
        provenance={"file": origin},
    )
    steps = options.num_steps
    if steps is None and "simulation" in root:
        steps = root.group("simulation").integer("tSample")
    steps = network.latency if steps is None else steps
    return dataclasses.replace(network, num_steps=steps)


def _rest(reader: Reader, skipped: int) -> tuple[Input, tuple[StockLayer, ...]]:
    """Input and layers that netx's ``skip_layers`` leaves."""
    kept = tuple(x for x in reader.layers if reader.entry_of[x.name] >= skipped)
    if not kept:
        raise NetworkError(
            f"skip_layers: {skipped} found, fewer needed: no layer is left"
        )
    inside = {layer.name for layer in kept}
    outside = {c.source for layer in kept for c in layer.connections} - inside
    if len(outside) != 1:
        raise NetworkError(
            f"skip_layers: {skipped} found, the rest would need "
            f"{' and '.join(sorted(outside))} as its input; one can be"
        )
    name = outside.pop()
    if name == reader.source.name:
        return reader.source, kept
    node = next(layer for layer in reader.layers if layer.name == name)
    binary = isinstance(node.compartment, CUBA)
    return (
        Frames(
            name=name,
            shape=node.shape,
            minimum=0 if binary else PAYLOAD.minimum,
            maximum=1 if binary else PAYLOAD.maximum,
            scale=node.scale,
        ),
        kept,
    )
