# SPDX-License-Identifier: BSD-3-Clause
"""Where two backends part, what it looks like there, and what would explain it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import assert_never

from export.compartment import MTIF
from export.network import Connection, Layer, Network
from export.synapse import AveragePool, Conv, ConvTranspose
from sim.recording import Recording, layer_of
from sim.torch.trace import currents, has_sources, potentials
from sim.verify.comparison import OUTPUT, Comparison, Mismatch
from sim.verify.dump_mistakes import axes, dump_mistakes
from sim.verify.explain import explain, obeys, values
from sim.verify.scope import aligned, at_size

NEIGHBOURHOOD = 3  # pixels each way
MAX_DIFFERENCES = 24


@dataclass(frozen=True, kw_only=True)
class Source:
    """What one connection delivers to the compartment that differs first.

    Parameters
    ----------
    name : str
        Source of the connection.
    rows, columns : tuple of int
        First and last of its receptive field, within the source.
    left, right : tuple of int
        Its shifted sum at every step, by the payloads of either backend.
    """

    name: str
    rows: tuple[int, int]
    columns: tuple[int, int]
    left: tuple[int, ...]
    right: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """The first layer that differs, at its first mismatch.

    Parameters
    ----------
    layer : str
        Name.
    first : Mismatch
        Where.
    differences : tuple of (int, int)
        Right minus left, and how often; the most frequent ones of the layer.
    top, leftmost : int
        Row and column where the neighbourhood begins.
    neighbourhood_left, neighbourhood_right : tuple of tuple of int
        Values around the mismatch, same image, step and channel.
    payloads_left, payloads_right : tuple of int
        What the compartment sent at every recorded step.
    potentials_left, potentials_right : tuple of int
        Its potential before reset at every step; empty if not computable.
    thresholds : tuple of int
        ``vth << i`` of the compartment.
    sources : tuple of Source
        Its receptive field; empty if not computable.
    causes : tuple of str
        Explanations that reproduce the right side exactly.
    remark : str
        Whether the dump is wrong or the chip, where that can be told.
    """

    layer: str
    first: Mismatch
    differences: tuple[tuple[int, int], ...]
    top: int
    leftmost: int
    neighbourhood_left: tuple[tuple[int, ...], ...]
    neighbourhood_right: tuple[tuple[int, ...], ...]
    payloads_left: tuple[int, ...]
    payloads_right: tuple[int, ...]
    potentials_left: tuple[int, ...]
    potentials_right: tuple[int, ...]
    thresholds: tuple[int, ...]
    sources: tuple[Source, ...]
    causes: tuple[str, ...]
    remark: str = ""


def explained(
    comparison: Comparison,
    left: Recording,
    right: Recording,
    network: Network | None = None,
) -> Comparison:
    """Return a comparison with its ``causes``: what would explain a failure.

    Parameters
    ----------
    comparison : Comparison
        Of the two recordings.
    left, right, network
        As in `diagnose`; the network at any size.

    Returns
    -------
    Comparison
        The same, unless its verdict is FAIL.
    """
    if comparison.verdict != "FAIL" or left.num_steps != right.num_steps:
        return comparison
    both = aligned(left, right)
    if both is None:
        causes = [f"images: {text}" for text in dump_mistakes(*_entered(left, right))]
        return replace(comparison, causes=tuple(causes))
    a, b = both
    causes = [
        f"layer '{name}': {text}"
        for name, payload in a.payloads.items()
        if name in b.payloads and payload.shape[2:] != b.payloads[name].shape[2:]
        for text in axes(payload, b.payloads[name])
    ]
    if (
        a.output is not None
        and b.output is not None
        and a.output.shape[1:] != (b.output.shape[1:])
    ):
        causes += [
            f"output: {text}" for text in axes(values(a, OUTPUT), values(b, OUTPUT))
        ]
    sized = None if network is None else at_size(network, left)
    diagnosis = diagnose(comparison, left, right, sized)
    if diagnosis is not None:
        causes += [f"{diagnosis.layer}: {text}" for text in diagnosis.causes]
        causes += [diagnosis.remark] if diagnosis.remark else []
    return replace(comparison, causes=tuple(causes))


def _entered(left: Recording, right: Recording) -> tuple[Any, Any]:
    """What entered, with an axis of steps."""
    a, b = (
        side.images if side.images.ndim == 5 else side.images[:, None]
        for side in (left, right)
    )
    return a, b


def diagnose(
    comparison: Comparison,
    left: Recording,
    right: Recording,
    network: Network | None = None,
) -> Diagnosis | None:
    """Describe the first layer, in network order, that differs.

    Parameters
    ----------
    comparison : Comparison
        Of the two recordings.
    left, right : Recording
        The left one is taken as right; causes are sought for the other.
    network : Network or None
        What ran, at the size of the images; without it there are no potentials,
        and only a shift in time is recognised.

    Returns
    -------
    Diagnosis or None
        None if nothing differs.
    """
    wrong = [layer for layer in comparison.layers if layer.mismatches]
    both = aligned(left, right)
    if both is None or not wrong:
        return None
    left, right = both
    if network is not None:  # a file of others may hold the layers in any order
        order = [layer.name for layer in network.layers] + [OUTPUT]
        wrong.sort(key=lambda layer: order.index(layer_of(layer.name, order) or OUTPUT))
    if network is not None and not network.in_windows:
        network = None  # potentials are those of windows
    differing = wrong[0] if wrong else None
    if differing is None or differing.first is None:
        return None
    first = differing.first
    a, b = (
        _values(recording, differing.name, first.image) for recording in (left, right)
    )
    at = left.steps.index(first.step) if differing.name != OUTPUT else 0
    top, leftmost = max(0, first.y - NEIGHBOURHOOD), max(0, first.x - NEIGHBOURHOOD)
    window = (
        first.c,
        slice(top, first.y + NEIGHBOURHOOD + 1),
        slice(leftmost, first.x + NEIGHBOURHOOD + 1),
    )
    at_right = right.steps.index(first.step) if differing.name != OUTPUT else 0
    differences = Counter(
        (_all(right, differing.name, left) - _all(left, differing.name, right))
        .reshape(-1)
        .tolist()
    )
    differences.pop(0, None)
    layer = _layer(network, differing.name)
    compartment = (slice(None), first.c, first.y, first.x)
    traced = (
        network is not None
        and layer is not None
        and all(
            has_sources(network, layer, recording)
            and (layer.name in recording.payloads or differing.name == OUTPUT)
            for recording in (left, right)
        )
    )
    return Diagnosis(
        layer=differing.name,
        first=first,
        differences=tuple(sorted(differences.most_common(MAX_DIFFERENCES))),
        top=top,
        leftmost=leftmost,
        neighbourhood_left=_rows(a[at][window]),
        neighbourhood_right=_rows(b[at_right][window]),
        payloads_left=_ints(a[compartment]) if differing.name != OUTPUT else (),
        payloads_right=_ints(b[compartment]) if differing.name != OUTPUT else (),
        potentials_left=_trace(network, layer, left, first) if traced else (),
        potentials_right=_trace(network, layer, right, first) if traced else (),
        thresholds=_thresholds(layer, first.c),
        sources=_sources(network, layer, left, right, first) if traced else (),
        causes=explain(differing.name, left, right, network if traced else None),
        remark=_remark(comparison, differing.name, left, right, network),
    )


def _remark(
    comparison: Comparison,
    name: str,
    left: Recording,
    right: Recording,
    network: Network | None,
) -> str:
    """Whether what the layer feeds knows nothing of its mismatches.

    It does not if it gave, on either side, what follows from the left side's payloads
    and does not follow from the right side's.
    """
    (*others, count) = sorted(layer.mismatches for layer in comparison.layers)
    if any(others) or name == OUTPUT:
        return ""
    only = "Only this value differs" if count == 1 else f"Only {count:,} values differ"
    it, feeds = ("it", "feeds") if count == 1 else ("they", "feed")
    if network is None and count == 1:
        return f"{only} of all; --network tells whether the layers {it} {feeds} agree."
    if network is None:
        return ""
    compared = {layer.name for layer in comparison.layers}
    fed = [
        layer
        for layer in network.layers
        if any(c.source == name for c in layer.connections)
    ]
    for layer in fed:
        if {layer.name, *([OUTPUT] if layer is network.output else [])}.isdisjoint(
            compared
        ) or not all(has_sources(network, layer, side) for side in (left, right)):
            return ""
    if not fed:
        return ""
    images = range(len(left.images))
    if all(obeys(network, layer, right, i) for layer in fed for i in images):
        return f"{only}; the layers {it} {feeds} would give the same with either."
    if all(obeys(network, layer, left, i) for layer in fed for i in images):
        return f"{only}; the layers {it} {feeds} agree: the dump, not the chip."
    return ""


def _values(recording: Recording, name: str, image: int) -> npt.NDArray[Any]:
    """Shape (steps, C, H, W); the output accumulator as one step."""
    if name == OUTPUT:
        assert recording.output is not None
        output: npt.NDArray[Any] = recording.output[image][None]
        return output
    payload: npt.NDArray[Any] = recording.payloads[name][image]
    return payload


def _all(recording: Recording, name: str, other: Recording) -> npt.NDArray[np.int64]:
    """All values of a layer, at the steps that the other recording holds too."""
    if name == OUTPUT:
        assert recording.output is not None
        return recording.output.astype(np.int64)
    steps = [i for i, t in enumerate(recording.steps) if t in other.steps]
    return recording.payloads[name][:, steps].astype(np.int64)


def _layer(network: Network | None, name: str) -> Layer | None:
    if network is None:
        return None
    if name == OUTPUT:
        return network.output
    return next((layer for layer in network.layers if layer.name == name), None)


def _ints(values: npt.NDArray[Any]) -> tuple[int, ...]:
    return tuple(int(v) for v in values)


def _rows(values: npt.NDArray[Any]) -> tuple[tuple[int, ...], ...]:
    return tuple(_ints(row) for row in values)


def _trace(
    network: Network | None, layer: Layer | None, recording: Recording, at: Mismatch
) -> tuple[int, ...]:
    assert network is not None  # only called when it can be traced
    assert layer is not None
    v = potentials(network, layer, recording, at.image)
    return _ints(v[:, at.c, at.y, at.x])


def _thresholds(layer: Layer | None, channel: int) -> tuple[int, ...]:
    if layer is None or not isinstance(layer.compartment, MTIF):
        return ()
    vth = layer.compartment.vth_mant
    theta = int(vth[channel if len(vth) > 1 else 0])
    return tuple(theta << i for i in range(layer.compartment.num_thresholds))


def _sources(
    network: Network | None,
    layer: Layer | None,
    left: Recording,
    right: Recording,
    at: Mismatch,
) -> tuple[Source, ...]:
    assert network is not None
    assert layer is not None
    bias = int(layer.compartment.bias.effective()[at.c])
    sources = []
    for c in layer.connections:
        alone = _alone(layer, c)
        sums = [
            currents(network, alone, recording, at.image)[:, at.c, at.y, at.x] - bias
            for recording in (left, right)
        ]
        _, height, width = network.nodes[c.source].shape
        sources.append(
            Source(
                name=c.source,
                rows=_reach(c, height, 0, at.y),
                columns=_reach(c, width, 1, at.x),
                left=_ints(sums[0]),
                right=_ints(sums[1]),
            )
        )
    return tuple(sources)


def _alone(layer: Layer, connection: Connection) -> Layer:
    return Layer(
        name=layer.name,
        shape=layer.shape,
        connections=(connection,),
        compartment=layer.compartment,
        scale=layer.scale,
    )


def _reach(connection: Connection, size: int, axis: int, at: int) -> tuple[int, int]:
    """First and last row (axis 0) or column (1) of the source that ``at`` reads."""
    synapse = connection.synapse
    match synapse:
        case Conv():
            low = at * synapse.stride[axis] - synapse.padding[axis]
            reach = synapse.dilation[axis] * (synapse.weight.shape[2 + axis] - 1)
            high = low + reach
        case ConvTranspose():
            shifted = at + synapse.padding[axis]
            stride = synapse.stride[axis]
            low = -((synapse.weight.shape[2 + axis] - 1 - shifted) // stride)
            high = shifted // stride
        case AveragePool():
            low = at * synapse.kernel_size[axis]
            high = low + synapse.kernel_size[axis] - 1
        case _:
            assert_never(synapse)
    return max(0, low), min(size - 1, high)
