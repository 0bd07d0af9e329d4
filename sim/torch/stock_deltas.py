# SPDX-License-Identifier: BSD-3-Clause
"""Delta, sigma-delta and sigma layers without feedback, all steps of a run in float32.

A sigma-delta layer knows all that arrives before it runs, so its steps are a few
operations on numbers that lie still. With ``reference``, what x was when it was last
sent, the rules of `export.stock_compartment.Delta` become::

    delta = x - reference        (= x - act + residue)
    s = delta where abs(delta) >= threshold, else 0
    reference = reference + s

States are held in units of a payload, 2**-6 of theirs: a power of two, which rounds
nothing. float32 holds integers to 2**24, so it is exact while all that a backend checks
stays within 24 bits. `run` gives None where it cannot prove that; then
`sim.torch.stock_neurons` runs the layer in integers, and names what overflows.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import assert_never

from export.facts import STATE
from export.stock_compartment import CUBA, STATE_SHIFT, Delta, Sigma, SigmaDelta, column
from export.stock_network import StockLayer

#: Values that run together: few enough that all their states stay in a core's cache.
CHUNK = 2**15
UNIT = 2.0**-STATE_SHIFT


@dataclass(frozen=True, kw_only=True)
class Arriving:
    """What arrives at a layer.

    Parameters
    ----------
    sums : Tensor, shape (T, C, H, W), float32
        Integers within 24 bits signed.
    bound : int
        None is larger in magnitude.
    late : int
        Steps at the beginning at which nothing arrives; ``sums`` lacks them.
    """

    sums: Tensor
    bound: int
    late: int


def run(
    layer: StockLayer, arriving: Arriving, steps: int, states: Collection[str]
) -> dict[str, Tensor] | None:
    """Run a layer from rest.

    Parameters
    ----------
    layer : StockLayer
        Of Delta, SigmaDelta or Sigma compartments.
    arriving : Arriving
        Sums, or the input of a Delta encoder.
    steps : int
        T.
    states : collection of str
        States to give.

    Returns
    -------
    dict of str to Tensor, or None
        What is sent, under the name of the layer, and the states under ``layer:state``,
        each (T, C, H, W) and float32; None if something may leave 24 bits signed.
    """
    bias = _bias(layer, arriving.sums.device)
    proof = _Proof(layer, arriving.bound, bias, steps)
    if proof.impossible:
        return None
    sums = _rows(arriving.sums)
    count = sums.shape[1]
    rows = {name: sums.new_empty(steps, count) for name in ("", *states)}
    bias = bias.expand(count // len(bias), len(bias)).reshape(-1)
    for first in range(0, count, CHUNK):
        part = slice(first, first + CHUNK)
        of_part = {name: values[:, part] for name, values in rows.items()}
        _run_part(layer, sums[:, part], arriving.late, bias[part], of_part, proof)
    if not proof.holds():
        return None
    shape = (steps, *layer.shape[1:], layer.shape[0])
    return {
        f"{layer.name}:{name}" if name else layer.name: values.view(shape).permute(
            0, 3, 1, 2
        )
        for name, values in rows.items()
    }


class _Proof:
    """That nothing leaves 24 bits: from bounds, else from what was found.

    The largest y = sigma + bias bounds all of a sigma-delta layer: x is 0..y, and so
    is the reference, of which delta is the difference.
    """

    def __init__(self, layer: StockLayer, bound: int, bias: Tensor, steps: int) -> None:
        compartment = layer.compartment
        self.bias = [int(v / UNIT) for v in torch.aminmax(bias)]
        self.found: list[Tensor] = []
        highest = max(map(abs, self.bias)) + steps * bound
        self.impossible = not _fits(*self.bias)
        if isinstance(compartment, Delta):
            highest = 2 * bound << compartment.spike_exp + STATE_SHIFT
            self.impossible = not _fits(highest)
        self.given = _fits(highest)

    def see(self, y: Tensor) -> None:
        """Take note of y, in units of a payload, after a step."""
        if not self.given:
            self.found += torch.aminmax(y)

    def holds(self) -> bool:
        """Whether all that was seen stays."""
        if self.given:
            return True
        low, high = (int(v / UNIT) for v in torch.aminmax(torch.stack(self.found)))
        least, most = self.bias
        return _fits(low, high, low - most, high - least)


def _fits(*values: int) -> bool:
    return STATE.contains(min(values), max(values))


def _bias(layer: StockLayer, device: torch.device) -> Tensor:
    """Bias of each channel, (C,), in units of a payload."""
    compartment = layer.compartment
    if not isinstance(compartment, SigmaDelta):
        return torch.zeros(1, dtype=torch.float32, device=device)
    bias = torch.from_numpy(column(compartment.bias.effective())).to(device)
    units: Tensor = bias.flatten().float() * 2**compartment.spike_exp
    return units


def _rows(values: Tensor) -> Tensor:
    """(T, C, H, W) -> (T, H * W * C), as convolutions lay them down."""
    return values.permute(0, 2, 3, 1).reshape(len(values), -1)


def _run_part(
    layer: StockLayer,
    sums: Tensor,
    late: int,
    bias: Tensor,
    rows: dict[str, Tensor],
    proof: _Proof,
) -> None:
    """Fill in the rows of some values of the layer, each (T, values)."""
    compartment = layer.compartment
    match compartment:
        case Sigma():
            y = bias.clone()
            for t, row in enumerate(rows[""]):
                if t >= late:
                    y.add_(sums[t - late])
                row.copy_(y)
                proof.see(y * UNIT)
        case Delta() | SigmaDelta():
            _encode(compartment, sums, late, bias, rows, proof)
        case CUBA():
            raise AssertionError(layer.name)  # only sigma-delta layers come here
        case _:
            assert_never(compartment)


def _encode(
    compartment: Delta | SigmaDelta,
    sums: Tensor,
    late: int,
    bias: Tensor,
    rows: dict[str, Tensor],
    proof: _Proof,
) -> None:
    shift = compartment.spike_exp + STATE_SHIFT
    # Integers reach the threshold where they are beyond half a unit less.
    threshold = ((compartment.vth_mant << shift) - 0.5) * UNIT
    y = bias.clone()
    x, reference = torch.zeros_like(y), torch.zeros_like(y)
    none = torch.zeros_like(bias)
    delta, s = torch.empty_like(y), torch.empty_like(y)
    for t, row in enumerate(rows[""]):
        arrived = sums[t - late] if t >= late else None
        if isinstance(compartment, SigmaDelta):
            if arrived is not None:
                y.add_(arrived, alpha=UNIT)
            proof.see(y)
            torch.clamp(y, min=0, out=x)
        elif arrived is not None:
            torch.mul(arrived, 2**compartment.spike_exp, out=x)
        torch.sub(x, reference, out=delta)
        torch.hardshrink(delta, threshold, out=s)
        reference.add_(s)
        torch.floor(s, out=row)
        for name, values in rows.items():
            if name:
                state = {
                    "sigma": (y, bias),
                    "act": (x, none),
                    "residue": (x, reference),
                }
                torch.mul(state[name][0] - state[name][1], 1 / UNIT, out=values[t])
