# SPDX-License-Identifier: BSD-3-Clause
"""Networks built to reach 24 bits exactly, and to go one further."""

from __future__ import annotations

import importlib.util

import numpy as np

from benchmarks.torture.result import Result
from export.compartment import MTIF, Accumulator, Bias, Compartment
from export.network import Connection, Input, Layer, Network
from export.synapse import Conv
from sim.backend import BackendError, OverflowLayerError, create

LIMIT = 2**23


def _network(
    weights: list[int], exponent: int, bias: int, steps: int, spikes: bool
) -> Network:
    """Input -> 'sum', through two connections; then an output that passes it on."""
    source = Input(shape=(1, 1, 1), minimum=-LIMIT, maximum=LIMIT - 1, scale=1.0)

    def layer(name: str, origin: str, values: list[int], kind: Compartment) -> Layer:
        connections = tuple(
            Connection(
                source=origin,
                synapse=Conv(weight=np.full((1, 1, 1, 1), value)),
                weight_exp=exponent if origin == "input" else 0,
            )
            for value in values
        )
        return Layer(
            name=name,
            shape=(1, 1, 1),
            connections=connections,
            compartment=kind,
            scale=1.0,
        )

    biases = Bias(mant=np.array([bias]), exp=0)
    zero = Bias(mant=np.array([0]))
    if not spikes:
        layers = [layer("sum", "input", weights, Accumulator(bias=biases))]
    else:
        neuron = MTIF(vth_mant=np.array([131071]), num_thresholds=1, bias=biases)
        last = layer("out", "sum", [2], Accumulator(bias=zero))
        layers = [layer("sum", "input", weights, neuron), last]
    return Network(input=source, layers=tuple(layers), num_steps=steps, task="test")


def _expected(
    weights: list[int], exponent: int, bias: int, steps: int, spikes: bool, pixel: int
) -> tuple[int, bool] | None:
    """(step, whether an input) of the first overflow, in Python integers."""
    v = 0
    sums = [(weight * pixel) << exponent for weight in weights]
    for t in range(steps):
        if any(not -LIMIT <= s < LIMIT for s in sums):
            return t, True
        v += sum(sums) + bias
        if not -LIMIT <= v < LIMIT:
            return t, False
        if spikes and v >= 131071:
            v -= 131071
    return None


def overflow(result: Result, count: int) -> None:
    """Random weights, exponents, biases and pixels around the limit."""
    result.what = (
        "networks around 24 bits signed in every backend: an overflow is reported "
        "with layer, step and kind as plain Python integers predict it, everything "
        "else runs; the stock Lava Conv, which wraps, refuses what might"
    )
    names = ["reference", "torch"]
    if importlib.util.find_spec("lava") is not None:
        names += ["lava", "lava-stock"]
    for number in result.cases(count):
        random = np.random.default_rng([0, number])
        result.add("networks")
        exponent = int(random.integers(0, 4))
        weights = [2 * int(random.integers(-128, 128)) for _ in range(2)]
        weights = weights[: int(random.integers(1, 3))]
        largest = max(max(map(abs, weights)), 2) << exponent
        pixel = LIMIT // largest + int(random.integers(-3, 4))
        if random.random() < 0.5:
            pixel = pixel // int(random.integers(1, 9))
        pixel = int(np.clip(pixel * random.choice([-1, 1]), -LIMIT, LIMIT - 1))
        bias, steps = int(random.integers(-4096, 4096)), int(random.integers(1, 6))
        spikes = bool(random.random() < 0.5)
        case = (weights, exponent, bias, steps, spikes)
        network = _network(*case)
        expected = _expected(*case, pixel)
        result.add("of them overflow", expected is not None)
        # Lava starts a process per layer: a tenth of the cases.
        for name in names if number % 10 == 0 else names[:2]:
            named = _found(name, network, pixel)
            refused = named == "refused" and name == "lava-stock"
            right = refused or named == expected
            example = f"{case} pixel {pixel}: {named} found, {expected} expected"
            result.check(right, name + (": refused" if refused else ""), example)


def _found(name: str, network: Network, pixel: int) -> tuple[int, bool] | str | None:
    try:
        create(name).run(network, np.full((1, 1, 1, 1), pixel))
    except OverflowLayerError as error:
        if error.layer != "sum":
            return str(error)
        return error.step, error.what.startswith("input from 'input'")
    except BackendError as error:
        return "refused" if "24 bits" in str(error) else str(error)
    return None
