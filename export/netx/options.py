# SPDX-License-Identifier: BSD-3-Clause
"""What stock files leave to the arguments of netx's Network."""

from __future__ import annotations

from dataclasses import dataclass

from export.errors import NetworkError
from export.facts import PAYLOAD, SPIKE_EXP, STATE
from export.stock_network import Reset
from export.synapse import Shape

# As many as a state has; a payload is never wider.
MESSAGE_BITS = STATE.maximum.bit_length() + 1


@dataclass(frozen=True, kw_only=True)
class StockOptions:
    """Arguments of ``lava.lib.dl.netx.hdf5.Network`` (lava-dl 0.6.0), and T.

    Parameters
    ----------
    num_steps : int or None
        T of the StockNetwork; None takes ``simulation/tSample``, or, where the file has
        none, the steps after which the first input has reached the output.
    num_layers : int or None
        Read only the first entries of ``layer``, counted as netx does (input and
        flatten included).
    skip_layers : int
        Leave out that many first entries of those; the input is then what the last
        one left out sends.
    input_message_bits : int
        Bits of the payloads of an input without neuron; 0 for a spike train. Payloads
        may be signed or not: ``-2**(bits - 1) .. 2**bits - 1``.
    input_shape : tuple of int or None
        (C, H, W) of the input, where the file does not say. netx has (x, y, C).
    reset : Reset or None
        netx's ``reset_interval`` and ``reset_offset``.
    spike_exp : int
        Fraction bits of sigma-delta payloads, 0..7.

    Raises
    ------
    NetworkError
        If a value is outside of its range.
    """

    num_steps: int | None = None
    num_layers: int | None = None
    skip_layers: int = 0
    input_message_bits: int = 0
    input_shape: Shape | None = None
    reset: Reset | None = None
    spike_exp: int = 6

    def __post_init__(self) -> None:
        _within("num_layers", 1 if self.num_layers is None else self.num_layers, 1)
        _within("skip_layers", self.skip_layers, 0)
        _within("input_message_bits", self.input_message_bits, 0, MESSAGE_BITS)
        _within("spike_exp", self.spike_exp, SPIKE_EXP.minimum, SPIKE_EXP.maximum)
        if self.input_shape is not None:
            for side in self.input_shape:
                _within("input_shape", side, 1)
            if len(self.input_shape) != 3:
                raise NetworkError(
                    f"input_shape: {self.input_shape} found, (C, H, W) needed"
                )

    @property
    def input_range(self) -> tuple[int, int]:
        """Smallest and largest payload of an input without neuron."""
        bits = self.input_message_bits
        if bits == 0:
            return 0, 1
        return -(1 << (bits - 1)), min((1 << bits) - 1, PAYLOAD.maximum)


def _within(name: str, value: int, low: int, high: int | None = None) -> None:
    if type(value) is int and value >= low and (high is None or value <= high):
        return
    allowed = f"{low} or more" if high is None else f"{low}..{high}"
    raise NetworkError(f"{name}: {value} found, {allowed} allowed")
