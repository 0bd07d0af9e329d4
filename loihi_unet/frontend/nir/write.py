# SPDX-License-Identifier: BSD-3-Clause
"""StockNetwork -> NIR file, by the package nir."""

from __future__ import annotations

from pathlib import Path

from export.errors import UserError
from export.files.atomic import atomic
from export.network import Network
from export.stock_network import StockNetwork
from loihi_unet.frontend.nir.express import express
from loihi_unet.frontend.nir.primitives import NIRError
from loihi_unet.frontend.nir.read import nir_package


def write_nir(network: Network, path: str | Path) -> None:
    """Write a stock network as a NIR graph, atomically.

    Parameters
    ----------
    network : Network
        A `StockNetwork` of CUBA layers with convolutions and dense synapses.
    path : str or Path
        File, by custom ``*.nir``. Read back it gives the same integers.

    Raises
    ------
    UserError
        If nir is not installed, or NIR has no word for a layer.
    """
    if not isinstance(network, StockNetwork):
        raise NIRError(
            f"layer '{network.layers[0].name}': "
            f"{type(network.layers[0].compartment).__name__}; NIR has no "
            "multi-threshold neurons, only networks of stock neurons can be written"
        )
    nir = nir_package()
    graph = express(network)
    nodes = {}
    for name, node in graph.nodes.items():
        values = dict(node.values)
        if node.kind == "Output":
            values = {"output_type": {"output": values["input_type"]["input"]}}
        nodes[name] = getattr(nir, node.kind)(**values, metadata=dict(node.metadata))
    nir_graph = nir.NIRGraph(
        nodes=nodes,
        edges=list(graph.edges),
        metadata=dict(graph.metadata),
        type_check=False,
    )
    with atomic(Path(path)) as temporary:
        try:
            nir.write(temporary, nir_graph)
        except (ValueError, TypeError) as error:
            raise UserError(f"{path}: nir cannot write it ({error})") from error
