# SPDX-License-Identifier: BSD-3-Clause
"""Choose thresholds by trying them on calibration crops."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from loihi_unet.config import TrainConfig
from loihi_unet.conversion.normalise import spiking_unet
from loihi_unet.data.pictures import Picture
from loihi_unet.files.checkpoint import Calibration
from loihi_unet.networks.net import Net
from loihi_unet.seeds import Purpose
from loihi_unet.spiking.graph import Graph, graph_of, pools
from loihi_unet.spiking.run_float import run
from loihi_unet.tasks.make import make_task

#: Largest value of a step, ``q * 2**N``, in units of a layer's scale.
RANGES = (4.0, 2.0, 1.0, 0.5, 0.25)
#: What a layer's scale, and with it its thresholds, is multiplied by, as often as that
#: helps.
FACTORS = (0.7, 1.4)
#: Crops that candidates are judged on.
CROPS = 4
#: How much of the output's error may be added by all layers that get fewer thresholds
#: together, as a share of the error without.
ALLOWANCE = 0.5


class Trials:
    """Errors of candidates, against the U-Net's output on a few training crops.

    Parameters
    ----------
    model : Net
        The trained network, on the CPU.
    config : TrainConfig
        Gives crop size, noise and seed.
    calibration : Calibration
        Its scales.
    pictures : sequence of Picture
        Where the crops come from.
    num_steps, num_thresholds : int
        T and N.
    """

    def __init__(
        self,
        model: Net,
        config: TrainConfig,
        calibration: Calibration,
        pictures: Sequence[Picture],
        *,
        num_steps: int,
        num_thresholds: int,
    ) -> None:
        self.graph = graph_of(model)
        self.calibration = calibration
        self.num_steps = num_steps
        self.num_thresholds = num_thresholds
        config = config.model_copy(update={"batch_size": CROPS})
        task = make_task(config, train=pictures, validation=[])
        # A batch that the scales were not measured on, while the generator has any.
        self.x, _ = task.batch(2**20, Purpose.CALIBRATION)
        with torch.no_grad():
            self.target = model(self.x)

    def error(
        self,
        scales: dict[str, float],
        q: float,
        thresholds: dict[str, int] | None = None,
    ) -> float:
        """Return the mean squared difference between the two outputs."""
        snn = spiking_unet(
            self.graph,
            self.calibration.model_copy(update={"scales": scales}),
            num_steps=self.num_steps,
            num_thresholds=self.num_thresholds,
            base_threshold=q,
            thresholds=thresholds,
        )
        return float((run(snn, self.x).output - self.target).square().mean())


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """What a search found.

    Attributes
    ----------
    calibration : Calibration
        With the chosen scales.
    base_threshold : float
        q.
    numbers : dict[str, int]
        N of each layer, by name; empty: all have the network's.
    """

    calibration: Calibration
    base_threshold: float
    numbers: dict[str, int]


def search_thresholds(
    model: Net,
    config: TrainConfig,
    calibration: Calibration,
    pictures: Sequence[Picture],
    *,
    num_steps: int,
    num_thresholds: int,
    fewer: bool = False,
) -> Thresholds:
    """Choose q for all layers, then each layer's own thresholds.

    A layer fires at ``q * lambda * 2**i``, so its own base threshold is its scale.
    Judged as `Trials` does: first q, with the scales as measured, then once through
    the layers, each with the ones before it settled.

    Parameters
    ----------
    model, config, calibration, pictures, num_steps, num_thresholds
        As in `Trials`.
    fewer : bool
        Then take thresholds away from every layer, lowest or highest, as long as the
        output's error grows by no more than `ALLOWANCE`, spent evenly.

    Returns
    -------
    Thresholds
        Scales are unchanged for ``"layer"`` normalisation, which has none to choose
        per layer; there a layer loses its highest thresholds only.
    """
    trials = Trials(
        model,
        config,
        calibration,
        pictures,
        num_steps=num_steps,
        num_thresholds=num_thresholds,
    )
    scales = dict(calibration.scales)
    errors = {top / 2**num_thresholds: 0.0 for top in RANGES}
    errors = {q: trials.error(scales, q) for q in errors}
    q = min(errors, key=lambda candidate: errors[candidate])
    if calibration.normalisation == "connection":
        scales = _search_scales(trials, scales, q)
    numbers: dict[str, int] = {}
    if fewer:
        scales, numbers = _take_away(trials, scales, q)
    return Thresholds(
        calibration=calibration.model_copy(update={"scales": scales}),
        base_threshold=q,
        numbers=numbers,
    )


def _search_scales(
    trials: Trials, scales: dict[str, float], q: float
) -> dict[str, float]:
    """Move each layer's scale up or down as long as that helps."""
    best = trials.error(scales, q)
    for group in _groups(trials.graph):
        for factor in FACTORS:
            before = best
            while (
                error := trials.error(trial := _scaled(scales, group, factor), q)
            ) < best:
                best, scales = error, trial
            if best < before:
                break
    return scales


def _take_away(
    trials: Trials, scales: dict[str, float], q: float
) -> tuple[dict[str, float], dict[str, int]]:
    """Give layers fewer thresholds while the output hardly notices.

    A layer without its lowest threshold has twice the scale, so that its range stays.
    """
    groups = _groups(trials.graph)
    numbers = {name: trials.num_thresholds for group in groups for name in group}
    before = trials.error(scales, q)
    lowest = trials.calibration.normalisation == "connection"
    for count, group in enumerate(groups, start=1):
        # What earlier layers did not use up is left to the later ones.
        limit = before * (1 + ALLOWANCE * count / len(groups))
        while numbers[group[0]] > 1:
            fewer = {**numbers, **dict.fromkeys(group, numbers[group[0]] - 1)}
            candidates = [
                (trials.error(trial, q, fewer), trial)
                for trial in (scales, *([_scaled(scales, group, 2.0)] * lowest))
            ]
            least, trial = min(candidates, key=lambda item: item[0])
            if least > limit:
                break
            scales, numbers = trial, fewer
    return scales, numbers


def _scaled(
    scales: dict[str, float], group: list[str], factor: float
) -> dict[str, float]:
    return {**scales, **{name: scales[name] * factor for name in group}}


def _groups(graph: Graph) -> list[list[str]]:
    """Layers by common scale: a pool has its source's."""
    layers = graph.layers[:-1]
    groups: list[list[str]] = []
    for layer in layers:
        if pools(layer):
            groups[-1].append(layer.name)
        else:
            groups.append([layer.name])
    # A pool follows the layer it halves.
    assert all(
        later.connections[0].source == earlier.name
        for earlier, later in pairwise(layers)
        if pools(later)
    )
    return groups
