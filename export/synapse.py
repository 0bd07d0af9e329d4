# SPDX-License-Identifier: BSD-3-Clause
"""Synapses of the integer network: what a connection does to a payload.

Weights are mantissas, even integers -256..254 (the mixed-sign 8-bit synapse has
no low bit). Axis orders are torch's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from export.errors import NetworkError, RangeError
from export.facts import DELAY, WEIGHT_MANT
from export.leaves import ADDED_LATER

IntArray = npt.NDArray[np.signedinteger[Any]]
Shape = tuple[int, int, int]  # (C, H, W)
Pair = tuple[int, int]  # (along H, along W)


def integers(values: npt.ArrayLike, where: str) -> IntArray:
    """Copy ``values`` into a read-only int32 array.

    Parameters
    ----------
    values : array_like of numbers
        Integers of any dtype; floats are accepted when they hold integers, as
        stock netx files store them.
    where : str
        Place named in an error.

    Returns
    -------
    ndarray of int32
        Read-only copy.

    Raises
    ------
    NetworkError
        If a value is not a finite integer.
    RangeError
        If a value does not fit int32.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise NetworkError(f"{where}: dtype {array.dtype} found, integers are allowed")
    if array.dtype.kind == "f":
        bad = array[~np.isfinite(array) | (array != np.round(array))]
        if bad.size:
            raise NetworkError(f"{where}: {bad.flat[0]} found, integers are allowed")
    info = np.iinfo(np.int32)
    if array.size and (array.min() < info.min or array.max() > info.max):
        raise RangeError(f"{where}: a value outside {info.min}..{info.max}")
    result = np.array(array, dtype=np.int32)
    result.flags.writeable = False
    return result


def _weight(values: npt.ArrayLike, ndim: int, kind: str) -> IntArray:
    weight = integers(values, f"{kind} weight")
    if weight.ndim != ndim or 0 in weight.shape:
        raise NetworkError(
            f"{kind} weight: shape {weight.shape} found, {ndim} non-empty axes needed"
        )
    low, high = int(weight.min()), int(weight.max())
    if not WEIGHT_MANT.contains(low, high):
        raise RangeError(f"{kind} weight: {low}..{high} outside {WEIGHT_MANT}")
    odds = weight & 1  # NumPy's % takes several times as long
    if odds.any():
        odd = int(weight[odds != 0][0])
        raise RangeError(
            f"{kind} weight: {odd} found, the mixed-sign synapse holds even mantissas"
        )
    return weight


def _pair(value: tuple[int, ...], minimum: int, what: str) -> None:
    ok = isinstance(value, tuple) and len(value) == 2
    if not ok or any(type(v) is not int or v < minimum for v in value):
        raise NetworkError(f"{what}: {value} found, two integers >= {minimum} needed")


@dataclass(frozen=True, kw_only=True, eq=False)
class Conv:
    """Two-dimensional cross-correlation, as ``torch.nn.Conv2d`` without bias.

    Parameters
    ----------
    weight : ndarray, shape (C_out, C_in // groups, K_h, K_w), int32
        Weight mantissas, even, -256..254.
    stride, padding, dilation : tuple of int
        Along (H, W).
    groups : int
        Channel groups.
    """

    weight: IntArray
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", _weight(self.weight, 4, "conv"))
        _pair(self.stride, 1, "conv stride")
        _pair(self.padding, 0, "conv padding")
        _pair(self.dilation, 1, "conv dilation")
        if self.groups < 1 or self.weight.shape[0] % self.groups:
            raise NetworkError(
                f"conv groups: {self.groups} does not divide the "
                f"{self.weight.shape[0]} output channels"
            )

    def output_shape(self, shape: Shape) -> Shape:
        """Shape (C, H, W) that a source of shape ``shape`` is turned into.

        Raises
        ------
        NetworkError
            If the channels do not match or the output would be empty.
        """
        expected = self.weight.shape[1] * self.groups
        if shape[0] != expected:
            raise NetworkError(
                f"conv weight expects {expected} input channels, "
                f"source shape is {shape}"
            )
        sides = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, p, d, k, s in zip(
                shape[1:],
                self.padding,
                self.dilation,
                self.weight.shape[2:],
                self.stride,
                strict=True,
            )
        ]
        if min(sides) < 1:
            raise NetworkError(f"conv leaves no output for source shape {shape}")
        return (self.weight.shape[0], sides[0], sides[1])

    def absolute_sum(self) -> IntArray:
        """Sum of |weight| per output channel: shape (C_out,), int64."""
        total: IntArray = np.abs(self.weight.astype(np.int64)).sum(axis=(1, 2, 3))
        return total


@dataclass(frozen=True, kw_only=True, eq=False)
class ConvTranspose:
    """Transposed convolution, as ``torch.nn.ConvTranspose2d`` without bias.

    Parameters
    ----------
    weight : ndarray, shape (C_in, C_out // groups, K_h, K_w), int32
        Weight mantissas, even, -256..254.
    stride, padding, output_padding : tuple of int
        Along (H, W).
    groups : int
        Channel groups; more than one only in a `StockNetwork`.
    dilation : tuple of int
        Along (H, W); more than one only in a `StockNetwork`.
    """

    weight: IntArray
    stride: Pair = (2, 2)
    padding: Pair = (1, 1)
    output_padding: Pair = (1, 1)
    groups: int = field(default=1, metadata={ADDED_LATER: True})
    dilation: Pair = field(default=(1, 1), metadata={ADDED_LATER: True})

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", _weight(self.weight, 4, "convT"))
        _pair(self.stride, 1, "convT stride")
        _pair(self.padding, 0, "convT padding")
        _pair(self.output_padding, 0, "convT output_padding")
        _pair(self.dilation, 1, "convT dilation")
        if any(o >= s for o, s in zip(self.output_padding, self.stride, strict=True)):
            raise NetworkError(
                f"convT output_padding: {self.output_padding} found, "
                f"less than the stride {self.stride} needed"
            )
        if self.groups < 1 or self.weight.shape[0] % self.groups:
            raise NetworkError(
                f"convT groups: {self.groups} does not divide the "
                f"{self.weight.shape[0]} input channels"
            )

    @property
    def spans(self) -> Pair:
        """Rows and columns that one source value reaches, gaps included."""
        kh, kw = self.weight.shape[2:]
        return (self.dilation[0] * (kh - 1) + 1, self.dilation[1] * (kw - 1) + 1)

    def output_shape(self, shape: Shape) -> Shape:
        """Shape (C, H, W) that a source of shape ``shape`` is turned into.

        Raises
        ------
        NetworkError
            If the channels do not match or the output would be empty.
        """
        if shape[0] != self.weight.shape[0]:
            raise NetworkError(
                f"convT weight expects {self.weight.shape[0]} input channels, "
                f"source shape is {shape}"
            )
        sides = [
            (n - 1) * s - 2 * p + k + o
            for n, s, p, k, o in zip(
                shape[1:],
                self.stride,
                self.padding,
                self.spans,
                self.output_padding,
                strict=True,
            )
        ]
        if min(sides) < 1:
            raise NetworkError(f"convT leaves no output for source shape {shape}")
        return (self.weight.shape[1] * self.groups, sides[0], sides[1])

    def absolute_sum(self) -> IntArray:
        """Sum of |weight| per output channel, of its largest phase.

        An output pixel receives only the taps of its phase (index modulo the
        stride), so the largest phase sum is the bound: shape (C_out,), int64.
        """
        (sh, sw), (dh, dw) = self.stride, self.dilation
        kh, kw = self.weight.shape[2:]
        magnitude = np.abs(self.weight.astype(np.int64))
        rows, columns = np.arange(kh) * dh % sh, np.arange(kw) * dw % sw
        c_in, c_out = self.weight.shape[:2]
        # (groups, C_in / groups, C_out / groups, K_h, K_w) -> per output channel
        parts = magnitude.reshape(self.groups, c_in // self.groups, c_out, kh, kw)
        per_tap = parts.sum(axis=1).reshape(-1, kh, kw)
        phases = [
            per_tap[:, rows == a][:, :, columns == b].sum(axis=(1, 2))
            for a in range(sh)
            for b in range(sw)
        ]
        largest: IntArray = np.max(phases, axis=0)
        return largest


@dataclass(frozen=True, kw_only=True, eq=False)
class AveragePool:
    """Sum over a window with one shared weight; the threshold divides.

    With weight mantissa 2 and threshold ``2 * K_h * K_w`` the layer's payload
    is the exact average (design: average pooling takes its source's scale).

    Parameters
    ----------
    channels : int
        Channels of source and layer.
    kernel_size : tuple of int
        Window and stride along (H, W).
    weight_mant : int
        The one weight mantissa, even, 2..254.
    """

    channels: int
    kernel_size: Pair = (2, 2)
    weight_mant: int = 2

    def __post_init__(self) -> None:
        _pair(self.kernel_size, 1, "pool kernel_size")
        if self.weight_mant % 2 or not 2 <= self.weight_mant <= WEIGHT_MANT.maximum:
            raise RangeError(
                f"pool weight: {self.weight_mant} found, even 2..254 allowed"
            )

    def output_shape(self, shape: Shape) -> Shape:
        """Shape (C, H, W) that a source of shape ``shape`` is turned into.

        Raises
        ------
        NetworkError
            If the channels differ or the window does not divide the sides.
        """
        kh, kw = self.kernel_size
        if shape[0] != self.channels:
            raise NetworkError(
                f"pool expects {self.channels} channels, source shape is {shape}"
            )
        if shape[1] % kh or shape[2] % kw:
            raise NetworkError(
                f"pool window {self.kernel_size} does not divide source shape {shape}"
            )
        return (self.channels, shape[1] // kh, shape[2] // kw)

    def absolute_sum(self) -> IntArray:
        """Sum of |weight| per output channel: shape (C,), int64."""
        total = self.weight_mant * self.kernel_size[0] * self.kernel_size[1]
        return np.full(self.channels, total, dtype=np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Dense:
    """Fully connected synapses, as ``torch.nn.Linear`` on the flattened source.

    Parameters
    ----------
    weight : ndarray, shape (N_out, N_in), int32
        Weight mantissas, even, -256..254. N_in runs over the source's (C, H, W).
    delay : ndarray, shape (N_out, N_in), int32, or None
        Extra time steps of each synapse, 0..62; only in a `StockNetwork`.
    """

    weight: IntArray
    delay: IntArray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", _weight(self.weight, 2, "dense"))
        if self.delay is None:
            return
        delay = integers(self.delay, "dense delay")
        object.__setattr__(self, "delay", delay)
        if delay.shape != self.weight.shape:
            raise NetworkError(
                f"dense delay: shape {delay.shape} found, {self.weight.shape} needed"
            )
        low, high = int(delay.min()), int(delay.max())
        if not DELAY.contains(low, high):
            raise RangeError(f"dense delay: {low}..{high} outside {DELAY}")

    def output_shape(self, shape: Shape) -> Shape:
        """Shape (N_out, 1, 1) that a source of shape ``shape`` is turned into.

        Raises
        ------
        NetworkError
            If the source has another number of elements than the weight expects.
        """
        neurons = shape[0] * shape[1] * shape[2]
        if neurons != self.weight.shape[1]:
            raise NetworkError(
                f"dense weight expects {self.weight.shape[1]} inputs, "
                f"source shape is {shape}"
            )
        return (self.weight.shape[0], 1, 1)

    def absolute_sum(self) -> IntArray:
        """Sum of |weight| per output: shape (N_out,), int64."""
        total: IntArray = np.abs(self.weight.astype(np.int64)).sum(axis=1)
        return total


@dataclass(frozen=True, kw_only=True, eq=False)
class Injection:
    """No synapse: the host writes the payload into the compartments, undelayed.

    A `CUBA` receives it as its bias mantissa, a `Delta` as its input. Only into
    the first layer of a `StockNetwork`.

    Parameters
    ----------
    gain, offset : int
        The host's transform: payload = gain * x + offset (netx: ``weight`` and
        ``bias`` of the input layer). For the reader; no backend uses it.
    """

    gain: int = 64
    offset: int = 0

    def output_shape(self, shape: Shape) -> Shape:
        """Return ``shape`` itself."""
        return shape

    def absolute_sum(self) -> IntArray:
        """One weight of 1: shape (1,), int64."""
        return np.ones(1, dtype=np.int64)


Synapse = Conv | ConvTranspose | AveragePool
# What a StockNetwork's connections hold.
StockSynapse = Conv | ConvTranspose | Dense | Injection
