# SPDX-License-Identifier: BSD-3-Clause
"""Sums of a stock connection, many steps at once, in the fastest exact arithmetic.

A sum is exact in float32 where ``max over outputs of sum |weight| * largest payload
found`` stays below 2**24, the largest payload being that of each source channel. Where
it does not, a payload is cut in two, ``high * 2**k + low`` with ``0 <= low < 2**k``,
whose sums are exact in float32 and added in float64. Else all is done in float64:
|weight| <= 2**8, |payload| <= 2**23 and fewer than 2**22 synapses per compartment keep
every partial sum below 2**53 (direct convolutions only; see `sim.torch.simulator`).
"""

from __future__ import annotations

import functools
import weakref

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import assert_never

from export.synapse import Conv, ConvTranspose, Dense, Injection, StockSynapse
from sim.torch.exact import FLOAT32_EXACT
from sim.torch.int8 import convolve


class SumsOf:
    """Synapses on a device; weights stay there as long as the synapse lives."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._ready: weakref.WeakKeyDictionary[StockSynapse, Sums] = (
            weakref.WeakKeyDictionary()
        )

    def __call__(self, synapse: StockSynapse) -> Sums:
        """Give what computes the sums of a synapse other than an injection."""
        assert not isinstance(synapse, Injection)  # it adds nothing up
        ready = self._ready.get(synapse)
        if ready is None:
            ready = self._ready[synapse] = Sums(synapse, self.device)
        return ready


class Sums:
    """Sums of one synapse.

    Parameters
    ----------
    synapse : Conv, ConvTranspose or Dense
        Weights and geometry; delays are not looked at.
    device : torch.device
        Where.
    """

    def __init__(
        self, synapse: Conv | ConvTranspose | Dense, device: torch.device
    ) -> None:
        self.synapse = synapse
        self.total = int(synapse.absolute_sum().max())
        self.weight = torch.from_numpy(np.array(synapse.weight)).to(device).float()
        if isinstance(synapse, ConvTranspose):
            self.weight = _turned(synapse, self.weight)
        if not isinstance(synapse, Dense):
            self.weight = self.weight.contiguous(memory_format=torch.channels_last)

    @functools.cached_property
    def reach(self) -> Tensor:
        """Sum of |weight| from each source channel, (groups, C_out, C_in), float64.

        Sources and outputs are those of a group; of a dense synapse each value is a
        channel.
        """
        if isinstance(self.synapse, Dense):
            return self.weight.abs().double()[None]
        each = self.weight.abs().double().sum((2, 3))
        return each.unflatten(0, (self.synapse.groups, -1))  # type: ignore[no-untyped-call,no-any-return]

    def __call__(self, sent: Tensor) -> tuple[Tensor, int]:
        """Add up what arrives.

        Parameters
        ----------
        sent : Tensor, shape (T, C, H, W), bool, int or float
            Integers, of one step or more.

        Returns
        -------
        sums : Tensor, shape (T, C, H, W), float32 or float64
            Integers.
        bound : int
            None is larger in magnitude.
        """
        largest = 1 if sent.dtype == torch.bool else magnitude(sent)
        bound = self.total * largest
        if bound >= FLOAT32_EXACT:
            bound = min(bound, self._bound_of_channels(sent))
        if bound < FLOAT32_EXACT:
            return self._add(sent.float(), self.weight), bound
        bits = ((FLOAT32_EXACT - 1) // max(self.total, 1)).bit_length() - 1
        if bits < 1 or self.total * ((largest >> bits) + 1) >= FLOAT32_EXACT:
            return self._add(sent.double(), self.weight.double()), bound
        high = (sent.double() / 2**bits).floor()
        low = sent.double() - high * 2**bits
        both = (self._add(part.float(), self.weight).double() for part in (high, low))
        return next(both) * 2**bits + next(both), bound

    def _bound_of_channels(self, sent: Tensor) -> int:
        values = sent.abs().double()
        if isinstance(self.synapse, Dense):
            each = values.flatten(1).amax(0)
        else:
            each = values.amax((0, 2, 3))
        return int((self.reach @ each.view(len(self.reach), -1, 1)).max())

    def _add(self, x: Tensor, weight: Tensor) -> Tensor:
        synapse = self.synapse
        match synapse:
            case Conv():
                return convolve(
                    x,
                    weight,
                    None,
                    synapse.stride,
                    synapse.padding,
                    synapse.dilation,
                    synapse.groups,
                )
            case ConvTranspose():
                spread = _spread(synapse, x)
                dilation, groups = synapse.dilation, synapse.groups
                return convolve(spread, weight, None, (1, 1), (0, 0), dilation, groups)
            case Dense():
                return (x.flatten(1) @ weight.T)[:, :, None, None]
            case _:
                assert_never(synapse)


def _spread(synapse: ConvTranspose, x: Tensor) -> Tensor:
    """Source with zeros between its values, for a plain convolution."""
    (sh, sw), (_, c, h, w) = synapse.stride, x.shape
    spread = x.new_zeros(len(x), c, (h - 1) * sh + 1, (w - 1) * sw + 1)
    spread[:, :, ::sh, ::sw] = x
    margins = [
        (span - 1 - p, span - 1 - p + o)
        for span, p, o in zip(
            synapse.spans, synapse.padding, synapse.output_padding, strict=True
        )
    ]
    # Negative margins cut away, as a padding larger than the kernel does.
    return functional.pad(spread, (*margins[1], *margins[0]))


def _turned(synapse: ConvTranspose, weight: Tensor) -> Tensor:
    """(groups * C_in, C_out, K, K) -> (groups * C_out, C_in, K, K), kernels turned."""
    c_in = len(weight) // synapse.groups
    turned = weight.reshape(synapse.groups, c_in, *weight.shape[1:]).transpose(1, 2)
    return turned.reshape(-1, c_in, *weight.shape[2:]).flip(2, 3)


def magnitude(values: Tensor) -> int:
    """Largest absolute value of integers of any dtype but bool."""
    if values.ndim == 4 and values.is_contiguous(memory_format=torch.channels_last):
        values = values.permute(0, 2, 3, 1)
    low, high = torch.aminmax(values)
    return max(-int(low), int(high))
