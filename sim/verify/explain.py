# SPDX-License-Identifier: BSD-3-Clause
"""Known mistakes of a backend, tried on the layer that differs first.

A mistake is named only if it reproduces every value of that layer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from export.compartment import MTIF
from export.network import Layer, Network
from export.synapse import Conv, ConvTranspose
from sim.recording import Recording
from sim.torch.trace import currents
from sim.verify.comparison import OUTPUT
from sim.verify.dump_mistakes import dump_mistakes

Int64 = npt.NDArray[np.int64]
WRAP_BITS = range(8, 25)


def explain(
    name: str, left: Recording, right: Recording, network: Network | None
) -> tuple[str, ...]:
    """Mistakes that turn the left side's layer into exactly the right side's.

    Parameters
    ----------
    name : str
        First layer that differs, or ``"output accumulator"``.
    left, right : Recording
        Of the same images.
    network : Network or None
        What ran; None if the layer's sources were not recorded.

    Returns
    -------
    tuple of str
        One sentence each; empty if nothing known fits.
    """
    causes = list(_shifts(name, left, right))
    if left.steps == right.steps or name == OUTPUT:
        causes += dump_mistakes(values(left, name), values(right, name))
    if network is not None:
        causes += _recomputed(name, right, network)
    return tuple(causes)


def values(recording: Recording, name: str) -> npt.NDArray[Any]:
    """All values of a layer, (images, steps, C, H, W); the output's as of one step."""
    if name == OUTPUT:
        assert recording.output is not None  # it was compared
        return recording.output[:, None]
    return recording.payloads[name]


def obeys(network: Network, layer: Layer, recording: Recording, image: int) -> bool:
    """Whether a layer gave what follows from what its sources are recorded to send.

    Parameters
    ----------
    network, layer, recording, image
        As in `sim.torch.trace.currents`; the layer is recorded itself.
    """
    is_output = layer is network.output and recording.output is not None
    recorded = values(recording, OUTPUT if is_output else layer.name)[image]
    due = _run(layer, currents(network, layer, recording, image))
    return np.array_equal(due, recorded[0] if is_output else recorded)


def _shifts(name: str, left: Recording, right: Recording) -> Iterator[str]:
    if name == OUTPUT or left.steps != right.steps or len(left.steps) < 2:
        return
    a, b = left.payloads[name], right.payloads[name]
    if np.array_equal(a[:, :-1], b[:, 1:]):
        yield "one step late: the right side sends what the left sent a step before"
    if np.array_equal(a[:, 1:], b[:, :-1]):
        yield "one step early: the right side sends what the left sends a step later"


def _recomputed(name: str, right: Recording, network: Network) -> Iterator[str]:
    if name == OUTPUT:
        layer, wanted = network.output, right.output
    else:
        layer = next(x for x in network.layers if x.name == name)
        wanted = right.payloads[name]
    assert wanted is not None  # it was compared
    images = range(len(right.images))

    def fits(changed: Layer, **rule: Any) -> bool:
        return all(
            np.array_equal(
                _run(changed, currents(network, changed, right, image), **rule),
                wanted[image],
            )
            for image in images
        )

    if fits(layer):
        yield "the layer does what it should with what the right side sent it"
        return
    for text, changed in _kernels(layer):
        if fits(changed):
            yield text
    bias = layer.compartment.bias.effective()[:, None, None]
    if bias.any():
        for early in range(1, network.stages[layer.name] + 1):
            if fits(layer, start=early * bias):
                steps = "step" if early == 1 else "steps"
                yield f"bias counted early: {early} {steps} before the window begins"
        zero = dataclasses.replace(layer.compartment.bias, mant=0 * bias[:, 0, 0])
        silent = dataclasses.replace(layer.compartment, bias=zero)
        if fits(dataclasses.replace(layer, compartment=silent)):
            yield "bias left out"
    if isinstance(layer.compartment, MTIF):
        if fits(layer, strict=True):
            yield "fires above the threshold only, not at it (> for >=)"
        if fits(layer, to_zero=True):
            yield "resets the potential to zero, not by subtraction"
    bits = [b for b in WRAP_BITS if fits(layer, bits=b)]
    if bits:
        yield f"wraps: the potential is kept in {bits[-1]} bits signed"


def _kernels(layer: Layer) -> Iterator[tuple[str, Layer]]:
    """The layer with each of the usual mistakes of axis order."""
    kernels = [
        c.synapse.weight
        for c in layer.connections
        if isinstance(c.synapse, Conv | ConvTranspose)
    ]
    if any(max(k.shape[2:]) > 1 for k in kernels):
        yield (
            "kernel flipped: convolution for cross-correlation",
            _with(layer, lambda w: w[:, :, ::-1, ::-1]),
        )
        if all(k.shape[2] == k.shape[3] for k in kernels):
            yield (
                "kernel transposed: rows taken for columns",
                _with(layer, lambda w: w.swapaxes(2, 3)),
            )


def _with(layer: Layer, change: Any) -> Layer:
    connections = []
    for c in layer.connections:
        synapse = c.synapse
        if isinstance(synapse, Conv | ConvTranspose):
            synapse = dataclasses.replace(synapse, weight=change(synapse.weight))
        connections.append(dataclasses.replace(c, synapse=synapse))
    return dataclasses.replace(layer, connections=tuple(connections))


def _run(
    layer: Layer,
    current: Int64,
    *,
    start: Int64 | int = 0,
    strict: bool = False,
    to_zero: bool = False,
    bits: int | None = None,
) -> Int64:
    """Payloads (T, C, H, W) of a layer, or its final potential; with a mistake."""
    v = np.zeros(layer.shape, dtype=np.int64) + start
    compartment = layer.compartment
    sent = []
    for step in current:
        v = v + step
        if bits is not None:
            half = 1 << (bits - 1)
            v = (v + half) % (2 * half) - half
        if not isinstance(compartment, MTIF):
            continue
        vth = compartment.vth_mant.astype(np.int64)[:, None, None]
        payload = np.clip((v - strict) // vth, 0, compartment.payload_maximum)
        v = np.where((payload > 0) & to_zero, 0, v - payload * vth)
        sent.append(payload)
    return np.stack(sent) if sent else v
