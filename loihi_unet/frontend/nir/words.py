# SPDX-License-Identifier: BSD-3-Clause
"""One synapse or one layer of neurons as a NIR node, our integers beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from export.facts import DECAY
from export.stock_compartment import CUBA, PerChannel
from export.stock_network import StockLayer
from export.synapse import Conv, Dense
from loihi_unet.frontend.nir.graph import Node
from loihi_unet.frontend.nir.primitives import NIRError

#: Our key in the graph's metadata, and what our keys in those of nodes begin with.
OURS = "loihi_unet"
# v of 24 bits cannot exceed a threshold from here on.
_NEVER = 1 << 17


def _ours(**values: Any) -> dict[str, Any]:
    """Our integers for a node's metadata; nir writes no arrays without axes."""
    return {f"{OURS}_{key}": value for key, value in values.items()}


def synapse_node(
    name: str,
    synapse: Conv | Dense,
    bias: npt.NDArray[Any],
    shape: tuple[int, int, int],
) -> Node:
    """Return a synapse as Conv2d, Linear or Affine.

    Parameters
    ----------
    name : str
        Of the node.
    synapse : Conv or Dense
    bias : ndarray
        What it adds, per output.
    shape : tuple of int
        (C, H, W) of its source.
    """
    weight = synapse.weight.astype(np.float64)
    ours = _ours(weight=synapse.weight.astype(np.int16))
    if isinstance(synapse, Dense):
        if synapse.delay is not None:
            ours |= _ours(delay=synapse.delay.astype(np.int8))
        if bias.any():
            return Node(name, "Affine", {"weight": weight, "bias": bias}, ours)
        return Node(name, "Linear", {"weight": weight}, ours)
    values = {
        "input_shape": np.array(shape[1:]),
        "weight": weight,
        "stride": np.array(synapse.stride),
        "padding": np.array(synapse.padding),
        "dilation": np.array(synapse.dilation),
        "groups": synapse.groups,
        "bias": bias,
    }
    return Node(name, "Conv2d", values, ours)


def neuron_node(
    layer: StockLayer, compartment: CUBA, shape: tuple[int, ...], dt: float
) -> tuple[Node, npt.NDArray[Any]]:
    """The neuron, and the bias that a synapse has to bring."""
    where = f"layer '{layer.name}'"
    full = _filler(shape)
    lost = full(compartment.v_decay) / DECAY.maximum
    kept = full(compartment.i_decay) / DECAY.maximum
    mant = compartment.bias.mant.astype(np.float64)
    vth = full(compartment.vth_mant)
    silent = bool((vth >= _NEVER).all())
    if not silent and (vth >= _NEVER).any():
        raise NIRError(f"{where}: only some of its neurons can fire")
    cuba = bool((kept < 1).any())
    leak = bool(lost.any())
    if (leak and not lost.all()) or (cuba and not (leak and kept.all())):
        raise NIRError(
            f"{where}: decay 0 beside another that is not; NIR's time constants are "
            "finite"
        )
    values: dict[str, Any] = {}
    if leak:
        values |= {
            "tau_mem" if cuba else "tau": dt / lost,
            "r": 1 / lost,
            "v_leak": full(mant) / lost,
        }
        mant = np.zeros_like(mant)
    else:
        values["r"] = np.full(shape, 1 / dt)
    if cuba:
        values |= {"tau_syn": dt / kept, "w_in": 1 / kept}
    if not silent:
        values |= {"v_threshold": vth, "v_reset": np.zeros(shape)}
    kind = ("Cuba" if cuba else "") + ("LI" if leak else "I") + ("" if silent else "F")
    ours = _ours(
        i_decay=compartment.i_decay,
        v_decay=compartment.v_decay,
        vth_mant=compartment.vth_mant,
        bias_mant=compartment.bias.mant,
    )
    return Node(layer.name, kind, values, ours), mant


def _filler(shape: tuple[int, ...]) -> Any:
    def full(value: PerChannel | npt.NDArray[Any]) -> npt.NDArray[Any]:
        each = np.asarray(value, dtype=np.float64).reshape(-1, *[1] * (len(shape) - 1))
        filled: npt.NDArray[Any] = np.broadcast_to(each, shape).copy()
        return filled

    return full
