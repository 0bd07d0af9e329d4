# SPDX-License-Identifier: BSD-3-Clause
"""Which layers need many thresholds: N per layer, under a budget.

Each layer is quantised alone, with every number of thresholds, and the error that
this makes in the network's output is measured. Errors of different layers add up
nearly, so thresholds are taken away where a neuron gives up least, one by one.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from loihi_unet.conversion.search import ALLOWANCE
from loihi_unet.conversion.trial import Crops, Trial, largest
from loihi_unet.errors import ConversionError
from loihi_unet.networks.topology import INPUT
from loihi_unet.spiking.run_float import current
from loihi_unet.spiking.spiking_unet import Layer
from loihi_unet.spiking.synapse import relative_sides


def share_out(
    crops: Crops, *, num_steps: int, num_thresholds: int, bits: float | None = None
) -> dict[str, int]:
    """Choose N of every layer.

    Parameters
    ----------
    crops : Crops
        What to judge by.
    num_steps, num_thresholds : int
        T, and the most that a layer may have.
    bits : float, optional
        Average over all neurons, at most; None: as few as make the output's error
        grow by no more than `loihi_unet.conversion.search.ALLOWANCE` in all.

    Returns
    -------
    dict[str, int]
        By layer; a pool has as many as its source.

    Raises
    ------
    ConversionError
        If `bits` is below 1.
    """
    if bits is not None and not bits >= 1:
        raise ConversionError(f"bits {bits:g}: allowed are numbers from 1")
    groups = _groups(crops.layers)
    neurons = _neurons(crops.layers)
    weights = [sum(neurons[name] for name in group) for group in groups]
    errors = sensitivities(
        crops, groups, num_steps=num_steps, num_thresholds=num_thresholds
    )
    numbers = [num_thresholds] * len(groups)
    budget = None if bits is None else bits * sum(weights)
    allowed = (1 + ALLOWANCE) * sum(error[num_thresholds] for error in errors)
    while budget is None or _product(numbers, weights) > budget:
        costs = {
            index: (errors[index][n - 1] - errors[index][n]) / weights[index]
            for index, n in enumerate(numbers)
            if n > 1
        }
        if not costs:
            break
        index = min(costs, key=lambda candidate: costs[candidate])
        numbers[index] -= 1
        total = sum(error[n] for error, n in zip(errors, numbers, strict=True))
        if budget is None and total > allowed:
            numbers[index] += 1
            break
    return {
        name: number
        for group, number in zip(groups, numbers, strict=True)
        for name in group
    }


@torch.no_grad()
def sensitivities(
    crops: Crops, groups: list[list[str]], *, num_steps: int, num_thresholds: int
) -> list[dict[int, float]]:
    """Return what each group of layers alone adds to the output's error, by N.

    Parameters
    ----------
    crops : Crops
        What to judge by.
    groups : list[list[str]]
        Layers that have one N: a layer, and the pool that follows it.
    num_steps, num_thresholds : int
        T, and the largest N to try.

    Returns
    -------
    list[dict[int, float]]
        Mean squared differences; each falls, or stays, as N grows.
    """
    names = [layer.name for layer in crops.layers]
    values = {INPUT: crops.x, **crops.wanted}
    wanted = list(crops.wanted.values())[-1]
    by_layer = []
    for group in groups:
        index = names.index(group[0])
        layer = crops.layers[index]
        drive = current(layer, _with_time(layer, values))
        errors: dict[int, float] = {}
        for number in range(1, num_thresholds + 1):
            trial = Trial(
                drive.expand(num_steps, *([-1] * 4)), values[layer.name], 2**number - 1
            )
            full = largest(trial.target) / trial.top
            theta = trial.best_threshold(full, torch.zeros_like(full))
            sent = trial.values(theta, trial.best_lead(theta)).mean(dim=0)
            output = _rest(crops, index, {**values, layer.name: sent})
            errors[number] = float((output - wanted).square().mean())
        for number in range(num_thresholds - 1, 0, -1):
            errors[number] = max(errors[number], errors[number + 1])
        by_layer.append(errors)
    return by_layer


def _rest(crops: Crops, index: int, values: dict[str, Tensor]) -> Tensor:
    """Output of the trained network after one layer sent something else."""
    for layer in crops.layers[index + 1 :]:
        drive = current(layer, _with_time(layer, values))[0]
        values[layer.name] = drive.relu_()
    return current(crops.last, _with_time(crops.last, values))[0]


def _with_time(layer: Layer, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {c.source: values[c.source][None] for c in layer.connections}


def _groups(layers: tuple[Layer, ...]) -> list[list[str]]:
    """Layers with the pools that follow them."""
    groups: list[list[str]] = []
    for layer in layers:
        if layer.connections[0].kind == "average_pool":
            groups[-1].append(layer.name)
        else:
            groups.append([layer.name])
    return groups


def _neurons(layers: tuple[Layer, ...]) -> dict[str, float]:
    """Neurons of each layer, per pixel of the picture."""
    sides = relative_sides(layers)
    return {
        layer.name: layer.channels * float(math.prod(sides[layer.name]))
        for layer in layers
    }


def _product(numbers: list[int], weights: list[float]) -> float:
    return sum(n * weight for n, weight in zip(numbers, weights, strict=True))
