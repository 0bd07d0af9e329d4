# SPDX-License-Identifier: BSD-3-Clause
"""From values, which are linear in layers of ReLUs, to layers and connections.

A value is a sum of linear maps of layers, and a bias. Linear maps in a row are merged
where that is exact, borders included. Where it is not, the value is carried by a layer
of its own: a payload has no sign, so by a pair, ``relu(y)`` and ``relu(-y)``, whose
readers take the difference.
"""

from __future__ import annotations

import torch
from torch import Tensor

from loihi_unet.frontend.module.placing import placed
from loihi_unet.frontend.module.taps import (
    Taps,
    added,
    affordable,
    alike,
    composable,
    compose,
    contained,
    mirrored,
    pointwise,
)
from loihi_unet.frontend.module.value import ONES, Shape, Value
from loihi_unet.networks.topology import INPUT
from loihi_unet.spiking.layer import Connection, Pair
from loihi_unet.spiking.synapse import apply

#: Branches of one value, beyond which it gets neurons of its own.
MOST_TERMS = 12


class Builder:
    """Layers as they are added.

    Parameters
    ----------
    channels : int
        Of the picture.
    size : tuple of int
        Its (H, W).

    Attributes
    ----------
    shapes : dict[str, Shape]
        Of the input, the plane of ones, and layers.
    layers : dict[str, Value]
        What drives each layer, in topological order; each has a ReLU.
    """

    def __init__(self, channels: int, size: Pair) -> None:
        self.shapes: dict[str, Shape] = {INPUT: (channels, *size), ONES: (1, *size)}
        self.layers: dict[str, Value] = {}

    def input(self) -> Value:
        """Return the picture."""
        return self._sent(INPUT)

    def constant(self, bias: Tensor, size: Pair, name: str) -> Value:
        """Return a value that is the same everywhere."""
        return Value((len(bias), *size), {}, bias.double(), name)

    def _sent(self, source: str) -> Value:
        shape = self.shapes[source]
        same = pointwise(torch.eye(shape[0]))
        return Value(shape, {source: same}, torch.zeros(shape[0]).double(), source)

    def relu(self, value: Value) -> Value:
        """Return ``relu(value)``: a new layer, where it is not one already."""
        if not value.terms:
            return Value(
                value.shape, {}, value.bias.clamp(min=0), value.name, value.flat
            )
        if self.nonnegative(value) and self._is_layer(value):
            return value
        return self._same(self._layer(value), value)

    def carried(self, value: Value, *, fewer: bool = False) -> Value:
        """Return the same value, carried by neurons, with no bias beside them.

        One that is read from neurons of its own size already stays, unless it is to
        have fewer branches.
        """
        if not value.terms or (self._at_hand(value) and not fewer):
            return value
        if self.nonnegative(value):
            return self._same(self._layer(value), value)
        pair = Value(
            (2 * value.shape[0], *value.size),
            {name: mirrored(taps) for name, taps in value.terms.items()},
            torch.cat([value.bias, -value.bias]),
            value.name,
        )
        name = self._layer(pair)
        eye = torch.eye(value.shape[0])
        difference = pointwise(torch.cat([eye, -eye], dim=1))
        return self._same(name, value, difference)

    def _same(self, name: str, like: Value, taps: Taps | None = None) -> Value:
        sent = self._sent(name)
        terms = sent.terms if taps is None else {name: taps}
        bias = torch.zeros_like(like.bias)
        return Value(like.shape, terms, bias, like.name, like.flat)

    def _at_hand(self, value: Value) -> bool:
        """Whether the value is a map of channels only."""
        return not value.bias.any() and all(
            taps.weight.shape[2:] == (1, 1)
            and taps.offset == (0, 0)
            and self.shapes[source][1:] == value.size
            for source, taps in value.terms.items()
        )

    def _is_layer(self, value: Value) -> bool:
        """Whether the value is a layer's output as it is."""
        if len(value.terms) != 1 or not self._at_hand(value):
            return False
        [(source, taps)] = value.terms.items()
        eye = torch.eye(value.shape[0]).double()
        return source in self.layers and torch.equal(taps.weight[:, :, 0, 0], eye)

    def nonnegative(self, value: Value) -> bool:
        """Whether it is so for every picture, told from the signs of the weights."""
        return bool((value.bias >= 0).all()) and all(
            source != INPUT and bool((taps.weight >= 0).all())
            for source, taps in value.terms.items()
        )

    def _layer(self, value: Value) -> str:
        base = value.name.replace("/", "_") or "layer"
        name, number = base, 1
        while name in self.layers or name in (INPUT, ONES, "out"):
            number += 1
            name = f"{base}_{number}"
        self.layers[name] = value
        self.shapes[name] = value.shape
        return name

    def add(self, first: Value, second: Value, factor: float = 1.0) -> Value:
        """Return ``first + factor * second``, of equal shapes."""
        second = self.linear_channels(second, torch.full((second.shape[0],), factor))
        for attempt in (0, 1, 2):
            if all(
                alike(first.terms[name], taps)
                for name, taps in second.terms.items()
                if name in first.terms
            ):
                break
            if attempt == 0:
                second = self.carried(second)
            else:
                first = self.carried(first)
        terms = dict(first.terms)
        for name, taps in second.terms.items():
            terms[name] = added(terms[name], taps) if name in terms else taps
        terms = {name: taps for name, taps in terms.items() if taps.weight.any()}
        total = Value(
            first.shape, terms, first.bias + second.bias, first.name, first.flat
        )
        return self.carried(total, fewer=True) if len(terms) > MOST_TERMS else total

    def linear_channels(self, value: Value, factors: Tensor) -> Value:
        """Return the value with each channel multiplied by a number."""
        factors = factors.double()
        return Value(
            value.shape,
            {
                name: taps.scaled(factors)
                for name, taps in value.terms.items()
                if bool(factors.any())
            },
            value.bias * factors,
            value.name,
            value.flat,
        )

    def shifted(self, value: Value, bias: Tensor) -> Value:
        """Return the value plus a number for each channel."""
        bias = value.bias + bias.double()
        return Value(value.shape, dict(value.terms), bias, value.name, value.flat)

    def linear(
        self, value: Value, taps: Taps, size: Pair, *, name: str, flat: bool = False
    ) -> Value:
        """Return a linear map of a value.

        Parameters
        ----------
        value : Value
            What it is done to.
        taps : Taps
            The map; beyond the value's window it sees zeros.
        size : tuple of int
            (H, W) of the result.
        name : str
            For a layer that carries it.
        flat : bool
            Of the result.

        Returns
        -------
        Value
            Without a bias of the map's own.
        """
        value = self._readable(value, taps, size)
        bias = self._bias(value, taps, size)
        if bias is None:
            value = self._readable(self._with_ones(value), taps, size)
            bias = self._bias(value, taps, size)
        assert bias is not None  # a carried value has no bias
        terms = {source: compose(taps, inner) for source, inner in value.terms.items()}
        terms = {source: taps_ for source, taps_ in terms.items() if taps_.weight.any()}
        return Value((len(bias), *size), terms, bias, name, flat)

    def _readable(self, value: Value, taps: Taps, size: Pair) -> Value:
        """Return the value with neurons for what cannot be merged with a map."""
        stays: dict[str, Taps] = {}
        rest: dict[str, Taps] = {}
        for source, inner in value.terms.items():
            sizes = (self.shapes[source][1:], value.size, size)
            fits = composable(taps, inner, sizes) and affordable(taps, inner)
            (stays if fits else rest)[source] = inner
        if not rest:
            return value
        used = torch.zeros(value.shape[0], dtype=torch.bool)
        for inner in rest.values():
            used |= inner.weight.flatten(1).any(dim=1)
        rows = pointwise(torch.eye(value.shape[0])[used])
        part = self.carried(
            Value(
                (int(used.sum()), *value.size),
                {source: compose(rows, inner) for source, inner in rest.items()},
                value.bias[used],
                value.name,
            )
        )
        back = pointwise(torch.eye(value.shape[0])[:, used])
        terms = {source: compose(back, inner) for source, inner in part.terms.items()}
        for source, inner in terms.items():
            known = stays.get(source)
            stays[source] = inner if known is None else added(known, inner)
        bias = value.bias.masked_fill(used, 0.0)
        return Value(value.shape, stays, bias, value.name, value.flat)

    def _bias(self, value: Value, taps: Taps, size: Pair) -> Tensor | None:
        """What becomes of a value's bias; None where it differs from place to place."""
        rows = taps.weight.shape[0]
        if not value.bias.any():
            return torch.zeros(rows).double()
        if not taps.weight.any():
            return torch.zeros(rows).double()
        plane = value.bias[None, :, None, None].expand(1, *value.shape)
        kind, weight, geometry = placed(taps, value.size, size)
        connection = Connection(source="", kind=kind, weight=weight, geometry=geometry)
        sums = apply(connection, plane.contiguous())[0].flatten(1)
        first = sums[:, :1]
        scale = float(sums.abs().max())
        if bool(((sums - first).abs() > 1e-9 * scale).any()):
            return None
        return first[:, 0].clone()

    def _with_ones(self, value: Value) -> Value:
        """Return the value with its bias as a map of the plane of ones, if it can."""
        plane = self._ones(value.size)
        terms = dict(value.terms)
        if plane is None or (ONES in terms and not alike(terms[ONES], plane)):
            return self.carried(value)
        part = compose(pointwise(value.bias[:, None]), plane)
        terms[ONES] = added(terms[ONES], part) if ONES in terms else part
        none = torch.zeros_like(value.bias)
        return Value(value.shape, terms, none, value.name, value.flat)

    def _ones(self, size: Pair) -> Taps | None:
        """A map of the plane of ones that is 1 in a window and 0 beyond it."""
        full = self.shapes[ONES][1:]
        down, up = [1, 1], [1, 1]
        for axis in (0, 1):
            if size[axis] <= full[axis]:
                down[axis] = -(-full[axis] // size[axis])
                if (size[axis] - 1) * down[axis] >= full[axis]:
                    return None
            elif size[axis] % full[axis] == 0:
                up[axis] = size[axis] // full[axis]
            else:
                return None
        if max(down) > 1 and max(up) > 1:
            return None
        taps = Taps(
            weight=torch.ones(1, 1, *up).double(),
            down=(down[0], down[1]),
            up=(up[0], up[1]),
        )
        inside = all(contained(taps, n, full[n], size[n]) for n in (0, 1))
        return taps if inside else None

    def concatenated(self, values: list[Value]) -> Value:
        """Return values side by side, along the channels."""
        total = sum(value.shape[0] for value in values)
        result: Value | None = None
        start = 0
        for value in values:
            rows = torch.zeros(total, value.shape[0])
            rows[start : start + value.shape[0]] = torch.eye(value.shape[0])
            start += value.shape[0]
            part = self.linear(value, pointwise(rows), value.size, name=value.name)
            result = part if result is None else self.add(result, part)
        assert result is not None  # torch.cat has refused an empty list
        result.flat = values[0].flat
        return result
