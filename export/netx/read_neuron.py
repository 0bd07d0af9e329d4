# SPDX-License-Identifier: BSD-3-Clause
"""Group ``neuron`` of a stock layer -> compartment."""

from __future__ import annotations

import numpy as np

from export.compartment import Bias
from export.facts import DECAY
from export.files.hdf5_group import Group, located
from export.stock_compartment import (
    CUBA,
    STATE_SHIFT,
    Delta,
    PerChannel,
    Sigma,
    SigmaDelta,
    StockCompartment,
)
from export.synapse import IntArray, Shape

# Threshold of netx's default neuron, ``1 << 18 - 1``: v never exceeds it.
NEVER = 1 << 17


def read_neuron(
    group: Group, shape: Shape, spike_exp: int, *, first: bool
) -> StockCompartment:
    """Compartment of a stock layer, as netx.hdf5.Network.get_neuron_params makes it.

    Parameters
    ----------
    group : Group
        The layer.
    shape : tuple of int
        (C, H, W) of its compartments.
    spike_exp : int
        Fraction bits of sigma-delta payloads.
    first : bool
        Whether it is the input layer.

    Raises
    ------
    NetworkError
        If a value is missing or out of range.
    UnsupportedLayerError
        If stock netx would ignore what the file asks for.
    """
    if "neuron" not in group:
        if group.text("type") not in ("dense", "dense_rec"):
            raise group.error("neuron", "missing, a group needed")
        # Non-leaky integrator that v = u never makes spike (create_dense).
        return CUBA(
            i_decay=0,
            v_decay=DECAY.maximum,
            vth_mant=NEVER,
            bias=_bias(group, shape, STATE_SHIFT),
        )
    neuron = group.group("neuron")
    kind = neuron.text("type")
    if "messageBits" in neuron:
        raise neuron.unsupported(
            "messageBits", "found: stock netx cannot read this key (NetDict)"
        )
    with neuron.located():
        match kind:
            case "CUBA" | "LOIHI":
                _refuse_ignored(neuron)
                mant = np.zeros(shape[0], dtype=np.int32) if first else None
                return CUBA(
                    i_decay=_per_channel(neuron, "iDecay"),
                    v_decay=_per_channel(neuron, "vDecay"),
                    vth_mant=_per_channel(neuron, "vThMant"),
                    bias=_bias(group, shape, STATE_SHIFT, mant),
                )
            case "SDNN":
                return _sigma_delta(group, neuron, shape, spike_exp, first)
            case _:
                raise neuron.unsupported(
                    "type", f"neuron '{kind}' found, CUBA, LOIHI or SDNN allowed"
                )


def _per_channel(neuron: Group, key: str) -> PerChannel:
    """One number, or one per channel (per neuron, of a flat layer)."""
    values = neuron.integers(key).reshape(-1)
    return int(values[0]) if len(values) == 1 else values


def _refuse_ignored(neuron: Group) -> None:
    """Refuse settings that stock Lava's LIF would not honour."""
    for key, allowed, why in (
        ("refDelay", (0, 1), "stock Lava's LIF has no refractory delay"),
        ("wgtExp", (0,), "stock netx ignores it"),
        ("weight_exp", (0,), "stock netx ignores it"),
        ("gradedSpike", (0,), "stock Lava's LIF sends binary spikes"),
    ):
        if key in neuron and (flag := neuron.flag(key)) not in allowed:
            raise neuron.unsupported(key, f"{flag} found, {why}")


def _sigma_delta(
    group: Group, neuron: Group, shape: Shape, spike_exp: int, first: bool
) -> StockCompartment:
    if "activation" in neuron and neuron.text("activation") != "relu":
        raise neuron.unsupported(
            "activation", f"'{neuron.text('activation')}' found, stock netx makes ReLU"
        )
    if first:
        return Delta(vth_mant=neuron.integer("vThMant"), spike_exp=spike_exp)
    if "sigma_output" in neuron:
        if not neuron.flag("sigma_output"):
            raise neuron.unsupported(
                "sigma_output", "False found, stock netx takes its presence for True"
            )
        if "bias" in group:
            raise group.unsupported("bias", "found, a sigma output has none")
        return Sigma()
    return SigmaDelta(
        vth_mant=neuron.integer("vThMant"),
        spike_exp=spike_exp,
        bias=_bias(group, shape, 0),
    )


@located
def _bias(group: Group, shape: Shape, exp: int, mant: IntArray | None = None) -> Bias:
    if mant is None and "bias" in group:
        mant = group.integers("bias").reshape(-1)
        if len(mant) == 1:  # slayer's norm before it has seen any data
            mant = np.full(shape[0], int(mant[0]), dtype=np.int32)
    if mant is None:
        mant = np.zeros(shape[0], dtype=np.int32)
    return Bias(mant=mant, exp=exp)
