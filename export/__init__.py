# SPDX-License-Identifier: BSD-3-Clause
"""The frozen integer Network: what every backend runs, and the files that hold it.

`lower` makes a `Network` of a Spiking-UNet, `write_network` and `read_network` keep it
in lava-dl's netx format, `diff` says where two differ. A Network is an `Input` and a
tuple of `Layer`, each with its `Connection` objects (`Conv`, `ConvTranspose`,
`AveragePool`) and compartments: `MTIF` or, last, an `Accumulator`. Everything is
imported when it is first used; nothing here needs PyTorch but `lower`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from export.compartment import MTIF as MTIF
    from export.compartment import Accumulator as Accumulator
    from export.difference import diff as diff
    from export.layer import Connection as Connection
    from export.layer import Input as Input
    from export.layer import Layer as Layer
    from export.lowering import lower as lower
    from export.network import Network as Network
    from export.netx.read import read_network as read_network
    from export.netx.write import write_network as write_network
    from export.synapse import AveragePool as AveragePool
    from export.synapse import Conv as Conv
    from export.synapse import ConvTranspose as ConvTranspose

#: Where each public name lives.
_PUBLIC = {
    "Network": "export.network",
    "Input": "export.layer",
    "Layer": "export.layer",
    "Connection": "export.layer",
    "Conv": "export.synapse",
    "ConvTranspose": "export.synapse",
    "AveragePool": "export.synapse",
    "MTIF": "export.compartment",
    "Accumulator": "export.compartment",
    "lower": "export.lowering",
    "read_network": "export.netx",
    "write_network": "export.netx",
    "diff": "export.difference",
}

__all__ = ["MTIF", "Accumulator", "AveragePool", "Connection", "Conv", "ConvTranspose"]
__all__ += ["Input", "Layer", "Network", "diff", "lower", "read_network"]
__all__ += ["write_network"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'export' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
