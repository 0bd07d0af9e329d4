# SPDX-License-Identifier: BSD-3-Clause
"""Choose thresholds by trying them on calibration crops."""

from itertools import pairwise

import torch

from loihi_unet.checkpoint import Calibration
from loihi_unet.config import TrainConfig
from loihi_unet.convert import spiking_unet
from loihi_unet.pictures import Picture
from loihi_unet.simulate import run
from loihi_unet.streams import Stream
from loihi_unet.tasks import make_task
from loihi_unet.topology import topology
from loihi_unet.unet import UNet

#: Largest value of a step, ``q * 2**N``, in units of a layer's scale.
RANGES = (4.0, 2.0, 1.0, 0.5, 0.25)
#: What a layer's scale, and with it its thresholds, is multiplied by, as often as that
#: helps.
FACTORS = (0.7, 1.4)
#: Crops that candidates are judged on.
CROPS = 4


@torch.no_grad()
def search_thresholds(
    model: UNet,
    config: TrainConfig,
    calibration: Calibration,
    pictures: list[Picture],
    *,
    num_steps: int,
    num_thresholds: int,
) -> tuple[Calibration, float]:
    """Choose q for all layers, then each layer's own thresholds.

    A layer fires at ``q * lambda * 2**i``, so its own base threshold is its scale.
    Judged by the mean squared difference between the outputs of the Spiking-UNet and
    of the U-Net on a few training crops: first q, with the scales as measured, then
    once through the layers, each with the ones before it settled.

    Parameters
    ----------
    model : UNet
        The trained network, on the CPU.
    config : TrainConfig
        Gives crop size, noise and seed.
    calibration : Calibration
        Its scales.
    pictures : list[Picture]
        Where the crops come from.
    num_steps, num_thresholds : int
        T and N.

    Returns
    -------
    calibration : Calibration
        With the chosen scales; unchanged for ``"layer"`` normalisation, which has
        no scale to choose per layer.
    base_threshold : float
        q.
    """
    config = config.model_copy(update={"batch_size": CROPS})
    task = make_task(config, train=pictures, validation=[])
    # A batch that the scales were not measured on, while the generator has any.
    x, _ = task.batch(2**20, Stream.CALIBRATION)
    target = model(x)

    def error(scales: dict[str, float], q: float) -> float:
        snn = spiking_unet(
            model,
            calibration.model_copy(update={"scales": scales}),
            num_steps=num_steps,
            num_thresholds=num_thresholds,
            base_threshold=q,
        )
        return float((run(snn, x).output - target).square().mean())

    scales = dict(calibration.scales)
    errors = {top / 2**num_thresholds: 0.0 for top in RANGES}
    errors = {q: error(scales, q) for q in errors}
    q = min(errors, key=lambda candidate: errors[candidate])
    best = errors[q]
    if calibration.normalisation == "layer":
        return calibration, q
    for group in _groups(model):
        for factor in FACTORS:
            before = best
            while (found := error(trial := _scaled(scales, group, factor), q)) < best:
                best, scales = found, trial
            if best < before:
                break
    return calibration.model_copy(update={"scales": scales}), q


def _scaled(
    scales: dict[str, float], group: list[str], factor: float
) -> dict[str, float]:
    return {**scales, **{name: scales[name] * factor for name in group}}


def _groups(model: UNet) -> list[list[str]]:
    """Layers by common scale: a pool has its source's."""
    nodes = topology(model.config)[:-1]
    groups: list[list[str]] = []
    for node in nodes:
        if node.kind == "average_pool":
            groups[-1].append(node.name)
        else:
            groups.append([node.name])
    # A pool follows the layer it halves.
    assert all(
        later.sources[0] == earlier.name
        for earlier, later in pairwise(nodes)
        if later.kind == "average_pool"
    )
    return groups
