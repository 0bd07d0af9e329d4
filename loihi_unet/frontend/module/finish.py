# SPDX-License-Identifier: BSD-3-Clause
"""From the values that drive layers to layers with connections."""

from __future__ import annotations

import torch

from loihi_unet.errors import ConversionError
from loihi_unet.frontend.module.builder import Builder
from loihi_unet.frontend.module.placing import placed
from loihi_unet.frontend.module.taps import Taps, added, alike, compose, pointwise
from loihi_unet.frontend.module.value import ONES, Value
from loihi_unet.networks.topology import INPUT
from loihi_unet.spiking.layer import Connection, Layer


def finish(builder: Builder, output: Value) -> tuple[tuple[Layer, ...], bool]:
    """Return all layers that the output needs, and whether one reads the ones.

    Raises
    ------
    ConversionError
        If the output does not depend on the input.
    """
    if not output.terms:
        raise ConversionError("the network's output does not depend on its input")
    needed, waiting = set(), [output]
    while waiting:
        for source in waiting.pop().terms:
            if source in builder.layers and source not in needed:
                needed.add(source)
                waiting.append(builder.layers[source])
    kept = {name: v for name, v in builder.layers.items() if name in needed}
    kept["out"] = output
    ones = any(ONES in value.terms for value in kept.values())
    return tuple(_made(builder, n, v, ones) for n, v in kept.items()), ones


def _made(builder: Builder, name: str, value: Value, ones: bool) -> Layer:
    terms = dict(value.terms)
    if ones:
        terms = _with_plane(builder, name, terms)
    connections = []
    for source, taps in terms.items():
        size = builder.shapes[source][1:]
        kind, weight, geometry = placed(taps, size, value.size)
        eye = torch.eye(value.shape[0]).double()
        if (
            name == "out"
            and source == INPUT
            and not ones
            and kind == "conv"
            and taps.weight.shape[2:] == (1, 1)
            and builder.shapes[INPUT] == value.shape
            and torch.equal(taps.weight[:, :, 0, 0], eye)
        ):
            connections.append(Connection(source=source, kind="identity"))
            continue
        connections.append(
            Connection(
                source=source,
                kind=kind,
                weight=weight.float().contiguous(),
                geometry=geometry,
            )
        )
    connections.sort(key=lambda c: c.kind == "identity")
    return Layer(
        name=name,
        channels=value.shape[0],
        connections=tuple(connections),
        bias=value.bias.float(),
        scale=1.0,
        spiking=name != "out",
    )


def _with_plane(builder: Builder, name: str, terms: dict[str, Taps]) -> dict[str, Taps]:
    """Read picture and plane of ones as the channels of one input."""
    channels = builder.shapes[INPUT][0]
    constants: list[Taps] = []
    for source, start in ((INPUT, 0), (ONES, channels)):
        if source in terms:
            width = terms[source].weight.shape[1]
            places = torch.zeros(width, channels + 1)
            places[:, start : start + width] = torch.eye(width)
            constants.append(compose(terms[source], pointwise(places)))
    rest = {n: t for n, t in terms.items() if n not in (INPUT, ONES)}
    if not constants:
        return rest
    if len(constants) == 2 and not alike(*constants):
        raise ConversionError(
            f"layer {name!r}: it reads the picture and a constant at different "
            "resolutions"
        )
    joined = constants[0] if len(constants) == 1 else added(*constants)
    return {INPUT: joined, **rest}
