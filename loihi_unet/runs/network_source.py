# SPDX-License-Identifier: BSD-3-Clause
"""The integer network that a path or a name means."""

from __future__ import annotations

import functools
from pathlib import Path

from export.errors import NetworkError
from export.network import Network
from export.netx import StockOptions, read_network
from loihi_unet.errors import DataError

#: Height and width of a shipped network, as ``export`` has them if nobody asks.
SHIPPED_SIZE = (128, 128)


def load_network(source: Path, stock: StockOptions | None = None) -> Network:
    """Read a network file, or export a network that comes with the package.

    Parameters
    ----------
    source : Path
        A netx file, or one of `loihi_unet.files.spiking_file.published_networks`; of
        the two, the file. A shipped network is made at `SHIPPED_SIZE` with mapping
        ``graded``, equal to the file that ``loihi-unet export NAME`` writes.
    stock : StockOptions or None
        netx's arguments, for a file of lava-dl.

    Returns
    -------
    Network
        As `export.netx.read_network`.

    Raises
    ------
    NetworkError
        If it is neither, or the file cannot be used.
    """
    if not is_shipped(source):
        if not source.exists():
            from loihi_unet.files.spiking_file import published_networks

            raise NetworkError(
                f"{source}: no such file, nor a network that comes with the package "
                f"({', '.join(published_networks())})"
            )
        return read_network(source, stock)
    if stock is not None:
        raise NetworkError(
            f"{source}: netx's arguments found, which are for files of lava-dl"
        )
    return _export(str(source))


def load_for_pictures(source: Path) -> Network:
    """Read a network as `load_network`, one that takes pictures.

    Raises
    ------
    DataError
        If its stock neurons take spike trains, video or biases.
    NetworkError
        As `load_network`.
    """
    network = load_network(source)
    if not network.takes_pictures:
        raise DataError(
            f"{source}: stock neurons take arrays, not pictures (docs/netx_stock.md)"
        )
    return network


def is_shipped(source: Path) -> bool:
    """Whether it names a network that comes with the package, not a file."""
    if source.is_file() or len(source.parts) != 1:
        return False
    from loihi_unet.files.spiking_file import published_networks

    return str(source) in published_networks()


def anywhere(source: Path) -> Path:
    """Return the source such that processes in other folders find it, too."""
    return source if is_shipped(source) else source.resolve()


@functools.lru_cache(maxsize=1)
def _export(name: str) -> Network:
    from export.lowering import lower
    from loihi_unet.files.spiking_file import load_spiking_unet

    return lower(load_spiking_unet(name), *SHIPPED_SIZE)
