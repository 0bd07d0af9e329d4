# SPDX-License-Identifier: BSD-3-Clause
"""The compartment's arithmetic for Lava's models, in place on int32."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from typing_extensions import assert_never

from export.mapping import MappingName
from export.synapse import Shape

Int32 = npt.NDArray[np.int32]


def potential_shape(
    shape: Shape, num_thresholds: int, mapping: MappingName
) -> tuple[int, ...]:
    """(W, H, C), or (K, W, H, C) where K compartments stand for a neuron."""
    if mapping == "parallel-if":
        return ((1 << num_thresholds) - 1, *shape)
    return shape


def rest(v: Int32, vth: Int32, mapping: MappingName) -> None:
    """Set potentials to what they are at the start of a window, in place."""
    v[...] = 0
    if mapping == "parallel-if":
        v += np.arange(len(v), dtype=np.int32)[:, None, None, None] * vth


def fire(v: Int32, vth: Int32, num_thresholds: int, mapping: MappingName) -> Int32:
    """Emit a step's payloads and reset by subtraction, in place.

    Parameters
    ----------
    v : ndarray, shape `potential_shape`, int32
        Potentials after integration.
    vth : ndarray, shape (1,) or (C,), int32
        Base threshold.
    num_thresholds : int
        N.
    mapping : {"graded", "parallel-if", "binary-if"}
        Which compartments stand for a neuron.

    Returns
    -------
    ndarray, shape (W, H, C), int32
        Payloads 0 .. 2**N - 1: graded spikes, or binary spikes added up.
    """
    match mapping:
        case "graded":
            return fire_graded(v, vth, num_thresholds)
        case "parallel-if":
            return fire_parallel(v, vth)
        case "binary-if":
            return fire_planes(v, vth, num_thresholds)
        case _:
            assert_never(mapping)


def fire_parallel(v: Int32, vth: Int32) -> Int32:
    """Sum of the binary spikes of K compartments of threshold K * vth.

    Examples
    --------
    >>> v = np.array([25, 35, 45], dtype=np.int32).reshape(3, 1, 1, 1)
    >>> fire_parallel(v, np.array([10], dtype=np.int32)).item(), v.ravel().tolist()
    (2, [25, 5, 15])
    """
    threshold = len(v) * vth
    spikes = v >= threshold
    v -= spikes * threshold
    summed: Int32 = spikes.sum(axis=0, dtype=np.int32)
    return summed


def fire_planes(v: Int32, vth: Int32, num_thresholds: int) -> Int32:
    """Sum of N binary outputs, plane i weighted with 2**i (eq. 4-6).

    Examples
    --------
    >>> v = np.array([-1, 9, 10, 75, 1000], dtype=np.int32)
    >>> fire_planes(v, np.array([10], dtype=np.int32), 3).tolist(), v.tolist()
    ([0, 0, 1, 7, 7], [-1, 9, 0, 5, 930])
    """
    payload = np.zeros_like(v)
    for plane in reversed(range(num_thresholds)):
        # int64: a threshold of 17 bits times 2**15 leaves 32 bits.
        threshold = vth.astype(np.int64) << plane
        spikes = v >= threshold
        v -= (spikes * threshold).astype(np.int32)
        payload += spikes.astype(np.int32) << plane
    return payload


def fire_graded(v: Int32, vth: Int32, num_thresholds: int) -> Int32:
    """Emit graded spikes and reset by subtraction, in closed form.

    ``g = min(max(v, 0) // vth, 2**N - 1)``, what N compares and subtractions
    give (`export.compartment.MTIF`).

    Parameters
    ----------
    v : ndarray, shape (W, H, C), int32
        Potential after integration; reset in place.
    vth : ndarray, shape (1,) or (C,), int32
        Base threshold.
    num_thresholds : int
        N.

    Returns
    -------
    ndarray, shape (W, H, C), int32
        Payloads 0 .. 2**N - 1.

    Examples
    --------
    >>> v = np.array([-1, 9, 10, 75, 1000], dtype=np.int32)
    >>> fire_graded(v, np.array([10], dtype=np.int32), 3)
    array([0, 0, 1, 7, 7], dtype=int32)
    >>> v
    array([ -1,   9,   0,   5, 930], dtype=int32)
    """
    # NumPy divides by a scalar several times faster than by an array of one.
    by = vth[0] if len(vth) == 1 else vth
    payload: Int32 = np.floor_divide(v, by)
    np.clip(payload, 0, (1 << num_thresholds) - 1, out=payload)
    v -= payload * by
    return payload
