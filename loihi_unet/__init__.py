# SPDX-License-Identifier: BSD-3-Clause
"""Spiking U-Nets for Intel Loihi, from PyTorch to integers that are EXACT everywhere.

The whole way, in Python::

    import loihi_unet

    loihi_unet.train("denoise-gray", "BSDS500-train", "runs/gray")
    loihi_unet.convert("runs/gray", "runs/snn.safetensors", "BSDS500-train")
    network = loihi_unet.export("runs/snn.safetensors", (128, 128))
    torch = loihi_unet.simulate(network, "photo.png", backend="torch")
    lava = loihi_unet.simulate(network, "photo.png", backend="lava")
    print(loihi_unet.verify(torch, lava).verdict)  # EXACT

`train`, `convert`, `finetune`, `export`, `simulate`, `verify` and `evaluate` do what
the commands of the same names do; `convert` and `finetune` take any torch module, too
(docs/your-own-network.md). `load` and `save` read and write whatever they make.
`convert_nir` and `write_nir` read and write NIR graphs.
The integer network itself is in the package `export`, the backends that run it are in
`sim`. Everything is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loihi_unet.api import evaluate as evaluate
    from loihi_unet.api import export as export
    from loihi_unet.api import load as load
    from loihi_unet.api import save as save
    from loihi_unet.api import simulate as simulate
    from loihi_unet.api import verify as verify
    from loihi_unet.finetuning.config import FinetuneConfig as FinetuneConfig
    from loihi_unet.frontend.nir.convert import convert_nir as convert_nir
    from loihi_unet.frontend.nir.write import write_nir as write_nir
    from loihi_unet.own_network import convert as convert
    from loihi_unet.own_network import finetune as finetune
    from loihi_unet.training.train import train as train

#: Where each public name lives.
_PUBLIC = {
    "train": "loihi_unet.training.train",
    "convert": "loihi_unet.own_network",
    "finetune": "loihi_unet.own_network",
    "FinetuneConfig": "loihi_unet.finetuning.config",
    "export": "loihi_unet.api",
    "simulate": "loihi_unet.api",
    "verify": "loihi_unet.api",
    "evaluate": "loihi_unet.api",
    "convert_nir": "loihi_unet.frontend.nir.convert",
    "write_nir": "loihi_unet.frontend.nir.write",
    "load": "loihi_unet.api",
    "save": "loihi_unet.api",
}

__all__ = ["FinetuneConfig", "convert", "evaluate", "export", "finetune", "load"]
__all__ += ["convert_nir", "save", "simulate", "train", "verify", "write_nir"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from loihi_unet.versions import own_version

        return own_version()
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'loihi_unet' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, "__version__"])
