# SPDX-License-Identifier: BSD-3-Clause
"""Tries each mend of Lava: does what it mends work here? Imports Lava."""

from __future__ import annotations

import importlib
import multiprocessing
import sys
import warnings
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np


def defaults_of_dataclasses() -> bool:
    """Two encoders are equal and share nothing."""
    from lava.magma.compiler.var_model import CoreEncoder

    one, other = CoreEncoder(), CoreEncoder()
    return bool(one == other and one.x is not other.x)


def start_method() -> bool:
    """The message infrastructure is imported and forks, where Python can."""
    importlib.import_module("lava.magma.runtime.message_infrastructure.multiprocessing")
    wanted = "spawn" if sys.platform == "win32" else "fork"
    return multiprocessing.get_start_method() == wanted


def shape_of_reshape() -> bool:
    """Both transforms of a reshaped port, without a warning."""
    from lava.magma.core.process.ports.ports import ReshapePort

    port = ReshapePort((2, 3), (6,))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        there = port.get_transform_func_fwd()(np.arange(6))
        back = port.get_transform_func_bwd()(there)
    return there.shape == (2, 3) and np.array_equal(back, np.arange(6))


def members_of_collections() -> bool:
    """A Process without ports has no such port, and `hasattr` says so."""
    from lava.magma.core.process.process import AbstractProcess

    return not hasattr(AbstractProcess().in_ports, "a_in")


def geometry_of_convolutions() -> bool:
    """128 channels, and 128 pixels with their margin, described in int8."""
    from lava.proc.conv import utils

    one, margin = np.ones(2, np.int8), np.array([2, 0], np.int8)
    payload = np.ones((124, 1, 1), np.int32)
    weight = np.ones((128, 1, 1, 1), np.int32)
    out = utils.conv(payload, weight, one, one, margin, one, np.int8(1))
    return out.shape == (128, 1, 128) and int(out.sum()) == 124 * 128


def arguments_of_inverse_square_roots() -> bool:
    """1 / sqrt(4) in 12 bits of fraction, of an array that holds the 4."""
    from lava.proc.graded.models import inv_sqrt

    return int(inv_sqrt(np.array([4 << 12]))) == int(inv_sqrt(4 << 12))


def counter_of_allocator() -> bool:
    """The allocator sends 3 and counts on."""
    from lava.proc.clp.nsm.models import PyAllocatorModel

    sent: list[list[int]] = []
    port = SimpleNamespace(shape=(1,), send=lambda data: sent.append(data.tolist()))
    trigger = SimpleNamespace(recv=lambda: np.array([1]))
    counter = np.array([3], np.int32)
    model = SimpleNamespace(
        allocate_out=port, trigger_in=trigger, next_alloc_id=counter
    )
    PyAllocatorModel.run_spk(model)
    return sent == [[3]] and model.next_alloc_id.tolist() == [4]


def weight_of_inputs() -> bool:
    """An input without a neuron whose weight is an array of shape (1,)."""
    from lava.lib.dl.netx.hdf5 import Network

    decay = {name: np.array([0]) for name in ("iDecay", "vDecay", "vThMant")}
    group = {
        "shape": np.array([2]),
        "neuron": {"type": "CUBA", **decay},
        "weight": np.array([32]),
        "bias": np.array([1]),
    }
    block, _ = Network.create_input(group)
    return bool(block.out.shape == (2,))


def object_detection() -> bool:
    """Slayer is imported; what its YOLO package lacks is no matter."""
    importlib.import_module("lava.lib.dl.slayer")
    return True


# By the name of the mend.
PROBES: dict[str, Callable[[], bool]] = {
    probe.__name__: probe
    for probe in (
        defaults_of_dataclasses,
        start_method,
        shape_of_reshape,
        members_of_collections,
        geometry_of_convolutions,
        arguments_of_inverse_square_roots,
        counter_of_allocator,
        weight_of_inputs,
        object_detection,
    )
}
